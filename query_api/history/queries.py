"""Queries on the log: a person at some time, a person's history, the search over everybody's events."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import Any, Final, Self

from events.errors import NotFound
from events.log.stored import EVENTS
from events.person.outcomes import NOT_REJECTED
from events.person.rejections import PersonNotFound
from events.person.schema.declarations import PersonSchema, Value
from events.person.views import person_view
from events.times import parse_rfc3339, rfc3339
from query_api.history.filters import EventsQuery, HistoryQuery, all_of, place_of
from query_api.history.folding import Folds
from query_api.history.views import event_views, history_entries, rejection_view
from query_api.people.queries import Answer, Page, Reads, erased
from query_api.reading.cursors import Cursor, CursorSeal, after, fingerprint, invalid_cursor
from query_api.reading.opening import Keys, opened
from service_kit.mongo.connection import MemberAddress
from service_kit.pieces import next_piece

_ALL: Final[Mapping[str, int]] = {}
_HISTORY: Final = "history"
_VERSION: Final = re.compile(r"[1-9][0-9]{0,9}")


def _time_in(text: str) -> datetime:
    """Return the time in a cursor.

    Raises:
        InvalidFields: It is none that we wrote: one that has no form in UTC, for example.
    """
    try:
        return parse_rfc3339(text)
    except ValueError as exc:
        raise invalid_cursor("is no cursor of this API") from exc


@dataclass(frozen=True, slots=True)
class HistoryCursor:
    """Where a page of a history ended.

    Attributes:
        version: The oldest event that was given; None if none was.
        rejection: Time and id of the oldest refused command that was given; None if none was.
    """

    version: int | None = None
    rejection: tuple[datetime, str] | None = None

    @classmethod
    def read(cls, text: str | None, mark: str, seal: CursorSeal) -> Self:
        """Return the place in a cursor; the beginning if there is none.

        Raises:
            InvalidFields: It is no cursor of this history.
        """
        if text is None:
            return cls()
        cursor = Cursor.decode(text, _HISTORY, mark, seal)
        time, _, command_id = cursor.last_id.partition(" ")
        if cursor.key and not _VERSION.fullmatch(cursor.key):
            raise invalid_cursor("is no cursor of this API")
        version = int(cursor.key) if cursor.key else None
        if version is not None and version >= 2**31:
            raise invalid_cursor("is no cursor of this API")
        return cls(version, (_time_in(time), command_id) if time else None)

    def encode(self, mark: str, seal: CursorSeal) -> str:
        """Return the place as a cursor."""
        version = "" if self.version is None else str(self.version)
        rejection = (
            "" if self.rejection is None else " ".join((rfc3339(self.rejection[0]), self.rejection[1]))
        )
        return Cursor(_HISTORY, mark, version, rejection).encode(seal)

    @property
    def events(self) -> dict[str, Any]:
        """Return the condition of the events that follow."""
        return {} if self.version is None else {"version": {"$lt": self.version}}

    @property
    def rejections(self) -> dict[str, Any]:
        """Return the condition of the refused commands that follow."""
        if self.rejection is None:
            return {}
        return all_of(after("rejected_at", *self.rejection, descending=True))

    def beyond(self, documents: Sequence[Mapping[str, Any]]) -> "HistoryCursor":
        """Return the place after some more documents."""
        version, rejection = self.version, self.rejection
        for document in documents:
            if "applied_at" in document:
                version = document["version"]
            else:
                rejection = document["rejected_at"], document["_id"]
        return HistoryCursor(version, rejection)


class LogReads:
    """The queries, each from a secondary unless a strong one is asked for.

    Every method raises `StoreUnavailable` when MongoDB does not answer in time, or a key is not there, and
    `Damaged` when an event does not open with its person's key.

    Args:
        reads: Finds documents.
        folds: Tells what a person was.
        schema: What a person is.
        keys: Has what events open with.
    """

    def __init__(self, reads: Reads, folds: Folds, schema: PersonSchema, keys: Keys) -> None:
        self._keys = keys
        self._schema = schema
        self._reads = reads
        self._folds = folds

    async def past(
        self, subject: str, person_id: str, *, version: int | None, as_of: datetime | None, strong: bool
    ) -> Answer:
        """Return a person as it was, in the form of the read model.

        Args:
            subject: Who asks.
            person_id: The id.
            version: The version that is wanted.
            as_of: Or the time, UTC.
            strong: Ask the primary at once.

        Raises:
            NotFound: The person is not at that version yet.
            PersonNotFound: There was no such person then, or it was deleted by then.
            PersonErased: It was erased, then or since.
            Busy: Too many long streams are folded already.
            SearchTooLong: The stream is too long to be folded in time.
        """
        state, member, is_erased = await self._folds.state_at(
            subject, person_id, version=version, as_of=as_of, strong=strong
        )
        if is_erased or state.status == "erased":
            raise erased(person_id)
        if state.status == "absent":
            if as_of is None:
                raise PersonNotFound(f"there is no person {person_id}")
            raise PersonNotFound(f"there was no person {person_id}")
        if version is not None and state.version < version:
            raise NotFound(f"the person is not at version {version} yet", retry_after=1)
        if state.status == "deleted":
            raise PersonNotFound(f"the person {person_id} was deleted with version {state.version}")
        view = person_view(state, self._schema)
        return Answer([{"_id": view.pop("id"), **view}], member)

    async def history(self, subject: str, person_id: str, query: HistoryQuery) -> Page:
        """Return a page of a person's history, newest first.

        Args:
            subject: Who asks.
            person_id: The id.
            query: Which page.

        Raises:
            Busy: Too many long streams are folded already.
            SearchTooLong: The stream is too long to be folded in time.
            InvalidFields: The cursor belongs to another history.
            PersonNotFound: Nothing is known of such a person.
        """
        mark, seal = fingerprint([person_id, query.include, query.from_, query.to]), self._reads.cursors
        place = HistoryCursor.read(query.cursor, mark, seal)
        member, found = await self._decided(person_id, place, query, strong=query.strong)
        if not (found or query.cursor or query.strong):
            member, found = await self._decided(person_id, place, query, strong=True)
        if (
            not found
            and query.cursor is None
            and not (query.is_span and await self._is_known(person_id, query))
        ):
            raise PersonNotFound(f"nothing is known of a person {person_id}")
        page = found[: query.limit]
        shown = await self._shown(subject, person_id, page, strong=query.strong)
        following = place.beyond(page).encode(mark, seal) if len(found) > query.limit else None
        return Page(Answer(shown, member), following, None)

    async def _decided(
        self, person_id: str, place: HistoryCursor, query: HistoryQuery, *, strong: bool
    ) -> tuple[MemberAddress | None, list[dict[str, Any]]]:
        """Return who answered, and what was decided of a person, newest first: a page and one more."""
        events, rejections = await asyncio.gather(
            self._newest_events(person_id, place, query, strong=strong),
            self._newest_rejections(person_id, place, query, strong=strong) if query.include else _nothing(),
        )
        return events.member, list(
            merge(events.documents, rejections.documents, key=_decided_at, reverse=True)
        )

    async def _is_known(self, person_id: str, query: HistoryQuery) -> bool:
        """Return whether the primary knows anything of a person, whenever it was."""
        always = HistoryQuery(include=query.include, limit=1)
        _, found = await self._decided(person_id, HistoryCursor(), always, strong=True)
        return bool(found)

    async def _newest_events(
        self, person_id: str, place: HistoryCursor, query: HistoryQuery, *, strong: bool
    ) -> Answer:
        wanted = all_of([{"person_id": person_id, **place.events}, *query.within("applied_at")])
        # Of a page's versions none may be missing, and this member may be behind the one before it.
        newest = 0 if place.version is None else place.version - 1
        page: dict[str, Any] = {"sort": [("version", -1)], "limit": query.limit + 1}
        answer = await self._reads.find(EVENTS, wanted, _ALL, strong=strong, **page)
        if not strong and max((one["version"] for one in answer.documents), default=0) < newest:
            answer = await self._reads.find(EVENTS, wanted, _ALL, strong=True, **page)
        return answer

    async def _newest_rejections(
        self, person_id: str, place: HistoryCursor, query: HistoryQuery, *, strong: bool
    ) -> Answer:
        refused = {"person_id": person_id, "code": {"$nin": NOT_REJECTED}, **place.rejections}
        wanted = all_of([refused, *query.within("rejected_at")])
        order = [("rejected_at", -1), ("_id", -1)]
        limit = query.limit + 1
        return await self._reads.find("rejections", wanted, _ALL, strong=strong, sort=order, limit=limit)

    async def _shown(
        self, subject: str, person_id: str, page: Sequence[Mapping[str, Any]], *, strong: bool
    ) -> list[dict[str, Any]]:
        """Return a page's documents as they are shown; what they changed needs what came before them."""
        page = await opened(page, self._keys)
        stream = [one for one in reversed(page) if "applied_at" in one]
        fields: Mapping[str, Value] = {}
        if stream and stream[0]["version"] > 1:
            last = stream[0]["version"] - 1
            folded = await self._folds.state_at(subject, person_id, version=last, strong=strong)
            fields = folded.state.fields
        await next_piece()
        entries = history_entries(stream, fields, self._schema)
        return [entries.pop() if "applied_at" in document else rejection_view(document) for document in page]

    async def events(self, query: EventsQuery) -> Page:
        """Return a page of events of everybody.

        Raises:
            InvalidFields: The cursor belongs to another query.
        """
        mark, seal = fingerprint(query.filters), self._reads.cursors
        following: list[dict[str, Any]] = []
        if query.cursor is not None:
            cursor = Cursor.decode(query.cursor, query.sort, mark, seal)
            time = _time_in(cursor.key)
            following = after("applied_at", time, cursor.last_id, descending=query.descending)
        shape: dict[str, Any] = {"sort": query.order, "limit": query.limit + 1}
        answers = await asyncio.gather(
            *(
                self._reads.find(
                    name, all_of(query.conditions_in(name) + following), _ALL, strong=query.strong, **shape
                )
                for name in query.collections
            )
        )
        await next_piece()
        found = merge(*(one.documents for one in answers), key=place_of, reverse=query.descending)
        documents = list(islice(found, query.limit + 1))
        next_page = None
        if len(documents) > query.limit:
            documents.pop()
            last = documents[-1]
            next_page = Cursor(query.sort, mark, rfc3339(last["applied_at"]), last["_id"]).encode(seal)
        events = event_views(await opened(documents, self._keys), self._schema)
        return Page(Answer(events, answers[0].member), next_page, None)


async def _nothing() -> Answer:
    return Answer([], None)


def _decided_at(document: Mapping[str, Any]) -> datetime:
    """Return when an event was applied, or a command was refused."""
    time: datetime = document["applied_at"] if "applied_at" in document else document["rejected_at"]
    return time
