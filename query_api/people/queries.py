"""Queries on MongoDB that return plain documents and say which member answered."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from events.errors import NotFound
from events.person.rejections import PersonErased
from query_api.people.filters import COUNTED, PeopleQuery
from query_api.people.listing import SHOWN, Listing
from query_api.reading.cursors import CursorSeal
from query_api.reading.lease import Databases, Lease
from service_kit.mongo.connection import Client, Database, MemberAddress, aggregate, store_errors

_STATUS: Final = {"version": 1}
_ROLES: Final = {"RSPrimary": "primary", "RSSecondary": "secondary", "Mongos": "router"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found.

    Attributes:
        documents: As the collection keeps them, but for internal fields.
        member: Address of the member that answered.
    """

    documents: list[dict[str, Any]]
    member: MemberAddress | None


@dataclass(frozen=True, slots=True)
class Count:
    """How many match in all.

    Attributes:
        number: So many.
        exact: Whether there are no more.
    """

    number: int
    exact: bool


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
    count: Count | None


class Reads:
    """The queries, each from a secondary unless a strong one is asked for, or a lag may be on record.

    Every method raises `StoreUnavailable` when MongoDB does not answer in time.

    Args:
        client: A client of either driver.
        database: Database name.
        lease: Says whether secondaries may be read; for who promises nothing to those who waited, None.
        cursors: Seals the cursors of pages; without, they are good in this process alone.
        gone: Who was erased just now: whatever a secondary says, it is not shown.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        lease: Lease | None = None,
        cursors: CursorSeal | None = None,
        gone: Container[str] = (),
    ) -> None:
        self.cursors = cursors or CursorSeal()
        self._gone = gone
        self._client = client
        self._databases = Databases(client, database, lease)

    def _database(self, strong: bool) -> Database:
        return self._databases.choose(strong=strong)

    async def check(self) -> None:
        """Return if a member answers."""
        with store_errors():
            await self._database(strong=False)["people"].find({"_id": ""}, limit=1).to_list(1)

    async def person(self, person_id: str, *, min_version: int | None, strong: bool) -> Answer:
        """Return the person; nothing if there is none, or it was deleted.

        Args:
            person_id: The id.
            min_version: Do not answer with an older version; ask the primary before giving up.
            strong: Ask the primary at once.

        Raises:
            PersonErased: It was erased.
            NotFound: Not even the primary has that version yet.
        """
        needed = 1 if min_version is None else min_version
        answer = await self.find("people", {"_id": person_id}, SHOWN, strong=strong)
        if not strong and _version(_without_tombstones(answer)) < needed:
            answer = await self.find("people", {"_id": person_id}, SHOWN, strong=True)
        if answer.documents and ("erased" in answer.documents[0] or person_id in self._gone):
            raise erased(person_id)
        if min_version is not None and _version(answer) < min_version:
            raise NotFound(f"the person is not at version {min_version} yet", retry_after=1)
        return _without_tombstones(answer)

    async def newest_people(self, person_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the documents of people, and the tombstones, by id; as the primary has them."""
        wanted = {"_id": {"$in": list(person_ids)}}
        answer = await self.find("people", wanted, {"hash": 0, "keys": 0}, strong=True, limit=0)
        return {document["_id"]: document for document in answer.documents}

    async def person_by_values(self, claim: str, values: Mapping[str, Any], *, strong: bool) -> Answer:
        """Return the person who holds a claim; nothing if nobody does.

        The claim names its person, so that each of the two reads asks one shard. A claim that a secondary
        does not have, or has of an earlier holder, is asked of the primary.

        Args:
            claim: The name of the claim.
            values: Those that it is on, by field, in the order in which the schema names them.
            strong: Ask the primary at once.
        """
        answer = await self._holder(claim, values, strong=strong)
        if not strong and not answer.documents:
            answer = await self._holder(claim, values, strong=True)
        return answer

    async def _holder(self, claim: str, values: Mapping[str, Any], *, strong: bool) -> Answer:
        holder = await self.find("claims", {"_id": claim}, {"person_id": 1}, strong=strong)
        if not holder.documents:
            return holder
        # A claim is older than the event that needs it, and is freed after the one that gives it up.
        person = {"_id": holder.documents[0]["person_id"], **values}
        answer = await self.find("people", person, SHOWN, strong=strong)
        return Answer(self._left(answer.documents), answer.member)

    async def event_of_command(self, person_id: str, command_id: str, *, strong: bool) -> Answer:
        """Return the event that a command made, if it did."""
        command = {"person_id": person_id, "command_id": command_id}
        return await self.find("events", command, _STATUS, strong=strong)

    async def eventless_command(self, person_id: str, command_id: str, *, strong: bool) -> Answer:
        """Return what is on record of a command that got its outcome without an event."""
        command = {"person_id": person_id, "command_id": command_id}
        shown = {"code": 1, "detail": 1, "version": 1}
        return await self.find("rejections", command, shown, strong=strong)

    async def people(self, query: PeopleQuery) -> Page:
        """Return a page of people.

        Pages hang together by sort key and id, not by position: what others insert or delete meanwhile
        neither repeats nor hides an item, and the thousandth page costs what the first costs.

        Who is not there on a secondary is asked of the primary, while there is one: of a page that is empty,
        or lacks somebody whom the filters name.

        Raises:
            InvalidFields: The cursor belongs to another query.
        """
        listing = Listing.of(query, self.cursors)
        database = self._database(query.strong)
        page = await self._page(listing, query, database)
        if not query.strong and page.next is None and len(page.answer.documents) < query.at_least:
            newest = self._databases.choose(strong=False, newest=True)
            if newest is not database:
                page = await self._page(listing, query, newest)
        return page

    async def _page(self, listing: Listing, query: PeopleQuery, database: Database) -> Page:
        with store_errors():
            documents, member = await listing.next_people(database["people"], query.limit + 1)
            count = await _count(listing, query, database) if query.count != "false" else None
        following = None
        if len(documents) > query.limit:
            documents.pop()
            following = listing.cursor_after(documents[-1], self.cursors)
        documents = self._left(documents)
        for document in documents:
            document.pop("keys", None)
        return Page(Answer(documents, member), following, count)

    def _left(self, people: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return people without those who were erased just now."""
        return [person for person in people if person["_id"] not in self._gone]

    async def find(
        self,
        collection: str,
        wanted: Mapping[str, Any],
        shown: Mapping[str, int],
        *,
        strong: bool,
        sort: Sequence[tuple[str, int]] | None = None,
        limit: int = 1,
        batch: int = 0,
    ) -> Answer:
        """Return the first documents of a collection that are as wanted.

        Args:
            collection: Its name.
            wanted: The condition.
            shown: Which fields to return, or which not.
            strong: Ask the primary.
            sort: Fields and directions.
            limit: How many at most; 0 for all.
            batch: How many are decoded at once, while nobody else is answered; 0 for all.
        """
        with store_errors():
            # A first batch has 101 documents at most unless its size is given, and 16 MB in any case: what
            # does not fit comes with the next one. (A negative limit, one batch alone, would hide it.)
            found = self._database(strong)[collection].find(
                wanted, shown, sort=sort, limit=limit, batch_size=batch or limit
            )
            documents = await found.to_list(limit or None)
            return Answer(documents, found.address)

    async def aggregate(
        self, collection: str, pipeline: Sequence[Mapping[str, Any]], *, strong: bool
    ) -> Answer:
        """Return what a pipeline makes of a collection."""
        with store_errors():
            found = await aggregate(self._database(strong)[collection], pipeline)
            documents = await found.to_list(None)
            return Answer(documents, getattr(found, "address", None))

    def member_of(self, answer: Answer) -> str:
        """Return the member that gave an answer and its role, `127.0.0.1:27017 (secondary)` say."""
        if answer.member is None:
            return "unknown"
        known = self._client.topology_description.server_descriptions().get(answer.member)
        role = _ROLES.get(known.server_type_name, "standalone") if known else "unknown"
        return f"{answer.member[0]}:{answer.member[1]} ({role})"


async def _count(listing: Listing, query: PeopleQuery, database: Database) -> Count:
    """Return how many people match; counting costs time by how many are looked at."""
    bound: dict[str, Any] = {} if query.count == "exact" else {"limit": COUNTED + 1}
    number = await database["people"].count_documents({"$and": listing.counted}, **bound)
    exact = query.count == "exact" or number <= COUNTED
    return Count(number if exact else COUNTED, exact)


def erased(person_id: str) -> PersonErased:
    """Return what is said of a person who was erased."""
    return PersonErased(f"the person {person_id} was erased")


def _version(answer: Answer) -> int:
    return int(answer.documents[0]["version"]) if answer.documents else 0


def _without_tombstones(answer: Answer) -> Answer:
    if answer.documents and "deleted" in answer.documents[0]:
        return Answer([], answer.member)
    return answer
