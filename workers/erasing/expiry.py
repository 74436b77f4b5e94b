"""Asks for the erasures of people who were deleted long enough ago, and are not held."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from events.accounts.event import ROLLCALL
from events.errors import Unavailable
from events.person.commands import ErasePerson, Erasure
from events.person.decider import PersonState
from service_kit.mongo.connection import Client, Document, store_errors, writing
from service_kit.mongo.rounds import Rounds
from workers.erasing.eraser import ERASURES
from workers.streams import Streams

LOOK_SECONDS: Final = 3600.0
DAY: Final = timedelta(days=1)
_WORK: Final = "erasures.expiry"
_DELETED: Final = "person.deleted"
_SOURCE: Final = "/rollcall/retention"
_BATCH: Final = 500

HandIn = Callable[[Sequence[ErasePerson]], Awaitable[object]]
"""Takes commands to the broker."""

log = structlog.get_logger()


@dataclass(slots=True)
class Expired:
    """How many people were deleted long enough ago.

    Attributes:
        asked: Their erasures were asked for.
        held: A hold forbids it.
    """

    asked: int = 0
    held: int = 0


class DeletedExpiry:
    """Asks by ordinary commands: a hold, or an erasure that came first, refuses one as always.

    Args:
        client: A client of either driver.
        database: Database name.
        streams: The log by people.
        hand_in: Takes commands to the broker, sealed.
        clock: Tells the time, UTC, whole milliseconds.
        new_id: Makes a command's id.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        streams: Streams,
        hand_in: HandIn,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        collections = writing(client, database)
        self._events, self._erasures = collections["events"], collections[ERASURES]
        self._streams = streams
        self._hand_in = hand_in
        self._clock = clock
        self._new_id = new_id

    async def run(self, keep: timedelta, rounds: Rounds) -> None:
        """Ask once a day, in one worker of all, until cancelled.

        Args:
            keep: For how long deleted people are kept.
            rounds: Shares it out among workers.
        """
        while True:
            try:
                if await rounds.begin(_WORK, DAY):
                    expired = await self.ask(keep, ROLLCALL)
                    log.info("erasures of deleted people asked for", asked=expired.asked, held=expired.held)
            except Unavailable as exc:
                # What was not asked for today is tomorrow.
                log.warning("erasures of deleted people not asked for", reason=exc.detail)
            await asyncio.sleep(LOOK_SECONDS * (0.5 + random.random()))  # noqa: S311 - jitter, not a secret

    async def ask(self, keep: timedelta, actor: str, *, dry: bool = False) -> Expired:
        """Ask for the erasures that are due.

        Args:
            keep: For how long deleted people are kept.
            actor: Who asks, as the log will say.
            dry: Only count.

        Raises:
            Unavailable: MongoDB or RabbitMQ is away; what was asked for until then stays so.
        """
        expired, now = Expired(), self._clock()
        async for states in self._deleted_before(now - keep):
            free = [state for state in states if not state.holds]
            expired.held += len(states) - len(free)
            if free and not dry:
                await self._hand_in([self._command(state, actor, now) for state in free])
            expired.asked += len(free)
        return expired

    async def _deleted_before(self, before: datetime) -> AsyncIterator[list[PersonState]]:
        """Yield people who were deleted before a time and are not erased, some at a time."""
        last: Document | None = None
        while documents := await self._deletions(before, last):
            last = documents[-1]
            ids = [one["person_id"] for one in documents]
            with store_errors():
                erased = await self._erasures.find({"_id": {"$in": ids}}, {"_id": 1}).to_list(None)
            left = set(ids) - {one["_id"] for one in erased}
            if left:
                heads = await self._streams.bare_heads(left)
                yield [state for state in heads.values() if state.status == "deleted"]

    async def _deletions(self, before: datetime, last: Document | None) -> list[Document]:
        wanted: dict[str, Any] = {"type": _DELETED, "applied_at": {"$lt": before}}
        if last is not None:
            same = {"applied_at": last["applied_at"], "_id": {"$gt": last["_id"]}}
            wanted["$or"] = [{"applied_at": {"$gt": last["applied_at"]}}, same]
        shown = {"person_id": 1, "applied_at": 1}
        with store_errors():
            order = [("applied_at", 1), ("_id", 1)]
            return await self._events.find(wanted, shown, sort=order, limit=_BATCH).to_list(_BATCH)

    def _command(self, state: PersonState, actor: str, now: datetime) -> ErasePerson:
        command_id = self._new_id()
        return ErasePerson(
            command_id=command_id,
            person_id=state.person_id,
            source=_SOURCE,
            accepted_at=now,
            actor=actor,
            expected_versions=frozenset({state.version}),
            correlation_id=command_id,
            data=Erasure(reason="retention"),
        )
