"""Queries on access records: about a person, by who read, or all; newest first, by page or to the end."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import Field

from events.access.batch import ACCESSES, marks_for
from events.times import rfc3339
from query_api.accesses.views import access_views
from query_api.history.filters import SpanQuery
from query_api.people.queries import Answer, Page
from query_api.reading.cursors import MAX_CURSOR, Cursor, CursorSeal, fingerprint, invalid_cursor
from query_api.reading.forms import MAX_PAGE, LinesQuery
from service_kit.http.typed import PathId
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import Client, Document, MemberAddress, reading, store_errors
from service_kit.pieces import next_piece
from service_kit.seals.access_key import AccessKey
from service_kit.seals.kek import Keks
from service_kit.seals.kek_source import keks_of
from service_kit.seals.wrapping import ACCESS_KEYS
from service_kit.settings import Settings

READ_AT_ONCE: Final = 20
"""Batches that are read at once."""
_ORDER: Final = [("ended_at", -1), ("_id", -1)]
_SORT: Final = "accesses"


class AccessesOfPersonQuery(SpanQuery, LinesQuery):
    """Parameters of the accesses to one person's data."""

    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Accesses a page")
    cursor: str | None = Field(default=None, max_length=MAX_CURSOR, description="`next` of the page before")


class AccessesQuery(AccessesOfPersonQuery):
    """Parameters of the search in all access records."""

    person_id: PathId | None = Field(default=None, description="About this person")
    subject: str | None = Field(default=None, max_length=255, description="Subject of who asked")
    route: str | None = Field(
        default=None, max_length=200, description="The route's template: `/people/{person_id}`"
    )
    outcome: Literal["answered", "absent", "refused"] | None = Field(
        default=None,
        description="`refused`: for a right that was lacking; `absent`: there was nothing to show",
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which accesses are wanted, and from where on.

    Attributes:
        query: Times, page, consistency, and what else is asked for.
        person_id: About whom; None for all.
    """

    query: AccessesOfPersonQuery
    person_id: str | None

    @property
    def mark(self) -> str:
        """Return the fingerprint of what is wanted."""
        query = self.query
        return fingerprint(
            [self.person_id, query.from_, query.to, *(self._of(name) for name in _RECORD_FILTERS)]
        )

    def _of(self, name: str) -> str | None:
        return getattr(self.query, name, None)

    @property
    def conditions(self) -> dict[str, Any]:
        """Return the condition of the batches in which there may be some."""
        query = self.query
        found: dict[str, Any] = {}
        if self.person_id is not None:
            found["marks"] = {"$in": marks_for(self.person_id)}
        elif (subject := self._of("subject")) is not None:
            found["subjects"] = subject
        else:
            found["count"] = {"$gte": 1}
        if query.from_ is not None:
            found["ended_at"] = {"$gte": datetime.fromisoformat(query.from_)}
        if query.to is not None:
            found["begun_at"] = {"$lt": datetime.fromisoformat(query.to)}
        return {**found, "records": {"$exists": True}}

    def has(self, view: Mapping[str, Any]) -> bool:
        """Return whether an access is wanted."""
        query = self.query
        if self.person_id is not None and self.person_id not in view["people"]:
            return False
        if query.from_ is not None and view["at"] < rfc3339(datetime.fromisoformat(query.from_)):
            return False
        if query.to is not None and view["at"] >= rfc3339(datetime.fromisoformat(query.to)):
            return False
        return all(self._of(name) in (None, view[name]) for name in _RECORD_FILTERS)


_RECORD_FILTERS: Final = ("subject", "route", "outcome")


class AccessReads:
    """The queries, each from a secondary unless a strong one is asked for.

    Every method raises `StoreUnavailable` when MongoDB does not answer in time.

    Args:
        settings: Name the database, and the key-encryption keys.
        client: A client of either driver.
        seal: Seals cursors.
    """

    def __init__(self, settings: Settings, client: Client, seal: CursorSeal) -> None:
        self._seal = seal
        self._databases = {
            strong: reading(client, settings.mongo_db, strong=strong) for strong in (False, True)
        }
        self._rows = reading(client, keys_database(settings.mongo_db), strong=True)[ACCESS_KEYS]
        # An application that is only built to be described has none.
        self._keks: Keks | None = None if settings.kek_file is None else keks_of(settings)

    async def page(self, wanted: Wanted) -> Page:
        """Return a page of accesses, newest first, to the second: within one, processes come in turn.

        Args:
            wanted: Which.

        Raises:
            InvalidFields: The cursor belongs to another query.
        """
        limit, mark = wanted.query.limit, wanted.mark
        place = _place_in(wanted.query.cursor, mark, self._seal)
        views: list[dict[str, Any]] = []
        places: list[tuple[datetime, str, int]] = []
        member: MemberAddress | None = None
        async for batch, some in self.batches(wanted, place):
            member = batch.get("member")
            for number, view in some:
                views.append(view)
                places.append((batch["ended_at"], batch["_id"], number))
            if len(views) > limit:
                break
        following = None
        if len(views) > limit:
            ended_at, batch_id, number = places[limit - 1]
            key = f"{rfc3339(ended_at)} {number}"
            following = Cursor(_SORT, mark, key, batch_id).encode(self._seal)
        return Page(Answer(views[:limit], member), following, None)

    async def batches(
        self, wanted: Wanted, place: tuple[datetime, str, int] | None = None
    ) -> AsyncIterator[tuple[Document, list[tuple[int, dict[str, Any]]]]]:
        """Yield batches, newest first, each with the accesses in it that are wanted, by their numbers.

        Args:
            wanted: Which.
            place: After which time and batch, and number in it.
        """
        collection = self._databases[wanted.query.strong][ACCESSES]
        told = False
        while True:
            conditions: list[dict[str, Any]] = [wanted.conditions]
            if place is not None:
                ended_at, batch_id, _ = place
                conditions.append({"ended_at": {"$lte": ended_at}})
                conditions.append({"$or": [{"ended_at": {"$lt": ended_at}}, {"_id": {"$lte": batch_id}}]})
            with store_errors():
                found = collection.find({"$and": conditions}, sort=_ORDER, limit=READ_AT_ONCE)
                documents = await found.to_list(None)
            if not (documents or told):
                yield {"member": found.address}, []  # who answered is told, also where there is nothing
            told = True
            keys = await self._keys_of(documents)
            for document in documents:
                await next_piece()
                least = None
                if place is not None and place[1] == document["_id"]:
                    least = place[2]
                some = [
                    (view["number"], view)
                    for view in access_views(document, keys.get(document.get("key")))
                    if wanted.has(view) and (least is None or view["number"] < least)
                ]
                yield {**document, "member": found.address}, some
            if len(documents) < READ_AT_ONCE:
                return
            last = documents[-1]
            place = last["ended_at"], last["_id"], 0

    async def _keys_of(self, documents: Sequence[Document]) -> dict[str | None, AccessKey]:
        """Return the keys that some batches' values open with, by id, but for those that have ended."""
        wanted = list({one["key"] for one in documents if one.get("sealed") is not None})
        if not wanted or self._keks is None:
            return {}
        with store_errors():
            rows = await self._rows.find({"_id": {"$in": wanted}, "key": {"$exists": True}}).to_list(None)
        return {
            row["_id"]: AccessKey.unwrapped(row["_id"], row["kek"], row["key"], self._keks) for row in rows
        }


def _place_in(cursor: str | None, mark: str, seal: CursorSeal) -> tuple[datetime, str, int] | None:
    """Return the place in a cursor; None if there is none.

    Raises:
        InvalidFields: It is no cursor of these accesses.
    """
    if cursor is None:
        return None
    decoded = Cursor.decode(cursor, _SORT, mark, seal)
    time, _, number = decoded.key.partition(" ")
    try:
        return datetime.fromisoformat(time), decoded.last_id, int(number)
    except ValueError:
        raise invalid_cursor("is no cursor of this API") from None
