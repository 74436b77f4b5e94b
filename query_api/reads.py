"""Owns the queries on MongoDB; returns plain documents and says which member answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.errors import NotFound, StoreUnavailable
from query_api.cursors import Cursor, fingerprint
from query_api.filters import SORTS, PeopleQuery, conditions
from service_kit.mongo import reading, store_errors

_SHOWN: Final = {"hash": 0, "keys": 0}
_STATUS: Final = {"version": 1}
_ROLES: Final = {"RSPrimary": "primary", "RSSecondary": "secondary", "Mongos": "router"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Attributes:
        documents: As the collection keeps them, but for internal fields.
        member: Address and role of the member that answered, `127.0.0.1:27017 (secondary)`.
    """

    documents: list[dict[str, Any]]
    member: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of people.

    Attributes:
        answer: The people in order.
        next: Where the following page begins; None on the last.
        count: How many match in all, if that was asked.
    """

    answer: Answer
    next: str | None
    count: int | None


class Reads:
    """The queries, each from a secondary unless a strong one is asked for.

    Every method raises `StoreUnavailable` when MongoDB does not answer in time.

    Args:
        client: A client of either driver.
        database: Database name.
    """

    def __init__(self, client: Any, database: str) -> None:
        self._client = client
        self._eventual = reading(client, database, strong=False)
        self._strong = reading(client, database, strong=True)

    def _database(self, strong: bool) -> Any:
        return self._strong if strong else self._eventual

    async def check(self) -> None:
        """Return if a member answers."""
        with store_errors():
            await self._eventual["people"].find({"_id": ""}, limit=1).to_list(1)

    async def person(self, person_id: str, *, min_version: int | None, strong: bool) -> Answer:
        """Return the person; nothing if there is none, or it was deleted.

        Args:
            person_id: The id.
            min_version: Do not answer with an older version; ask the primary before giving up.
            strong: Ask the primary at once.

        Raises:
            NotFound: Not even the primary has that version yet.
        """
        answer = await self._find("people", {"_id": person_id}, _SHOWN, strong=strong)
        if min_version is None or _version(answer) >= min_version:
            return _without_tombstones(answer)
        if not strong:
            answer = await self._find("people", {"_id": person_id}, _SHOWN, strong=True)
        if _version(answer) < min_version:
            raise NotFound(f"the person is not at version {min_version} yet", retry_after=1)
        return _without_tombstones(answer)

    async def person_by_document(self, document_type: str, document_id: str, *, strong: bool) -> Answer:
        """Return the person with a document; nothing if there is none."""
        document = {"document_type": document_type, "document_id": document_id}
        return await self._find("people", document, _SHOWN, strong=strong)

    async def event_of_command(self, person_id: str, command_id: str, *, strong: bool) -> Answer:
        """Return the event that a command made, if it did."""
        command = {"person_id": person_id, "command_id": command_id}
        return await self._find("events", command, _STATUS, strong=strong)

    async def rejection_of_command(self, person_id: str, command_id: str, *, strong: bool) -> Answer:
        """Return why a command was refused, if it was."""
        command = {"person_id": person_id, "command_id": command_id}
        return await self._find("rejections", command, {"code": 1, "detail": 1}, strong=strong)

    async def people(self, query: PeopleQuery) -> Page:
        """Return a page of people.

        Pages hang together by sort key and id, not by position: what others insert or delete meanwhile
        neither repeats nor hides an item, and the thousandth page costs what the first costs.

        Raises:
            InvalidFields: The cursor belongs to another query.
        """
        filters = query.filters
        mark = fingerprint(filters)
        field, descending = SORTS[query.sort.lstrip("-")], query.sort.startswith("-")
        matching = conditions(filters)
        # Tombstones have no sort key, so this bound keeps them out without reading them.
        wanted = [*matching, {field: {"$gte": ""}}]
        if query.cursor is not None:
            cursor = Cursor.decode(query.cursor, query.sort, mark)
            wanted += _after(field, cursor, descending=descending)
        direction = -1 if descending else 1
        answer = await self._find(
            "people",
            {"$and": wanted},
            {"hash": 0},
            strong=query.strong,
            sort=[(field, direction), ("_id", direction)],
            limit=query.limit + 1,
        )
        following = None
        if len(answer.documents) > query.limit:
            answer.documents.pop()
            last = answer.documents[-1]
            following = Cursor(query.sort, mark, _value(last, field), last["_id"]).encode()
        for document in answer.documents:
            del document["keys"]
        count = None
        if query.count:
            with store_errors():
                people = self._database(query.strong)["people"]
                count = await people.count_documents({"$and": [*matching, {field: {"$gte": ""}}]})
        return Page(answer, following, count)

    async def _find(
        self,
        collection: str,
        wanted: Mapping[str, Any],
        shown: Mapping[str, int],
        *,
        strong: bool,
        sort: Sequence[tuple[str, int]] | None = None,
        limit: int = 1,
    ) -> Answer:
        with store_errors():
            # A negative limit asks for one batch and no open cursor.
            found = self._database(strong)[collection].find(wanted, shown, sort=sort, limit=-limit)
            documents = await found.to_list(limit)
            return Answer(documents, self._member(found.address))

    def _member(self, address: tuple[str, int] | None) -> str:
        if address is None:
            raise StoreUnavailable("MongoDB did not say which member answered")
        known = self._client.topology_description.server_descriptions().get(address)
        role = _ROLES.get(known.server_type_name, "standalone") if known else "unknown"
        return f"{address[0]}:{address[1]} ({role})"


def _version(answer: Answer) -> int:
    return int(answer.documents[0]["version"]) if answer.documents else 0


def _without_tombstones(answer: Answer) -> Answer:
    if answer.documents and "deleted" in answer.documents[0]:
        return Answer([], answer.member)
    return answer


def _value(document: Mapping[str, Any], field: str) -> str:
    value: Any = document
    for part in field.split("."):
        value = value[part]
    return str(value)


def _after(field: str, cursor: Cursor, *, descending: bool) -> list[dict[str, Any]]:
    """Return the conditions of what follows the cursor: a range of the index, less the equals before it."""
    beyond, reach = ("$lt", "$lte") if descending else ("$gt", "$gte")
    return [
        {field: {reach: cursor.key}},
        {"$or": [{field: {beyond: cursor.key}}, {"_id": {beyond: cursor.last_id}}]},
    ]
