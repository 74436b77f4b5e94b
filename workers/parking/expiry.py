"""Asks for commands to be given up that have waited too long behind one of their person that failed."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from events.accounts.event import ROLLCALL
from events.errors import Unavailable
from events.parking.controls import Chosen, DropParked
from service_kit.mongo.connection import Client, Document, store_errors, writing
from service_kit.mongo.rounds import Rounds

LOOK_SECONDS: Final = 3600.0
_WORK: Final = "parked.expiry"
_DAY: Final = timedelta(days=1)
_SOURCE: Final = "/rollcall/retention"
_BATCH: Final = 500

HandIn = Callable[[Sequence[DropParked]], Awaitable[object]]
"""Takes controls to the broker."""

log = structlog.get_logger()


class ParkedExpiry:
    """Asks by ordinary controls, in each person's order, as an operator does who drops commands.

    Args:
        client: A client of either driver.
        database: Database name.
        keep: For how long a command may wait.
        hand_in: Takes controls to the broker, sealed.
        clock: Tells the time, UTC, whole milliseconds.
        new_id: Makes a control's id.
    """

    def __init__(
        self,
        client: Client,
        database: str,
        keep: timedelta,
        hand_in: HandIn,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._parked = writing(client, database)["parked"]
        self._keep = keep
        self._hand_in = hand_in
        self._clock = clock
        self._new_id = new_id

    async def run(self, rounds: Rounds) -> None:
        """Ask once a day, in one worker of all, until cancelled.

        Args:
            rounds: Shares it out among workers.
        """
        while True:
            try:
                if await rounds.begin(_WORK, _DAY) and (count := await self.ask()):
                    log.info("waiting commands asked to be given up", commands=count)
            except Unavailable as exc:
                # What was not asked for today is tomorrow.
                log.warning("waiting commands not asked to be given up", reason=exc.detail)
            await asyncio.sleep(LOOK_SECONDS * (0.5 + random.random()))  # noqa: S311 - jitter, not a secret

    async def ask(self) -> int:
        """Ask for what has waited too long to be given up.

        Returns:
            How many commands that are.

        Raises:
            Unavailable: MongoDB or RabbitMQ is away; what was asked for until then stays so.
        """
        count, now = 0, self._clock()
        last: Document | None = None
        while documents := await self._waiting_since_before(now - self._keep, last):
            last = documents[-1]
            by_person: dict[str, list[str]] = defaultdict(list)
            for one in documents:
                by_person[one["person_id"]].append(one["command_id"])
            await self._hand_in([self._control(*one, now) for one in by_person.items()])
            count += len(documents)
        return count

    async def _waiting_since_before(self, before: datetime, last: Document | None) -> list[Document]:
        wanted: dict[str, Any] = {"parked_at": {"$lt": before}}
        if last is not None:
            same = {"parked_at": last["parked_at"], "_id": {"$gt": last["_id"]}}
            wanted["$or"] = [{"parked_at": {"$gt": last["parked_at"]}}, same]
        shown = {"person_id": 1, "command_id": 1, "parked_at": 1}
        with store_errors():
            order = [("parked_at", 1), ("_id", 1)]
            return await self._parked.find(wanted, shown, sort=order, limit=_BATCH).to_list(_BATCH)

    def _control(self, person_id: str, command_ids: Sequence[str], now: datetime) -> DropParked:
        command_id = self._new_id()
        return DropParked(
            command_id=command_id,
            person_id=person_id,
            source=_SOURCE,
            accepted_at=now,
            actor=ROLLCALL,
            correlation_id=command_id,
            data=Chosen(command_ids=tuple(command_ids)),
        )
