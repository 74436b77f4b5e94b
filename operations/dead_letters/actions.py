"""Reads and changes dead letters for the verb, with the same queries and messages as the APIs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from events.errors import InvalidRequest, NotFound
from events.parking.controls import Chosen, Control, DropParked, RetryParked
from events.person.commands import COMMAND_TYPES
from events.times import to_milliseconds
from operations.addresses import kek_file, server_settings
from operations.errors import SetupError
from query_api.dead_letters.queries import ParkedQuery, ParkedReads
from query_api.people.queries import Page, Reads
from query_api.reading.forms import MAX_PAGE
from service_kit.broker import dead_letters
from service_kit.broker.dead_letters import HandedInDeadLetters, ReadDeadLetters
from service_kit.broker.dead_messages import DeadMessage, message_view
from service_kit.broker.handing_in import hand_in
from service_kit.broker.topology import DEAD
from service_kit.ids import new_id
from service_kit.mongo import connection as mongo
from service_kit.mongo.transport_keys import TransportKeys
from service_kit.seals.kek_source import keks_of

DONE_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.1
_SECONDS_EACH: Final = 0.05

Result = TypeVar("Result")


class DeadLetterOperations:
    """What operators can do.

    Args:
        reads: Finds what became of commands.
        url: AMQP URL.
        partitions: How many command queues there are.
        queues: The queues of dead letters to look at.
        keys: What messages are sealed with.
    """

    def __init__(
        self, reads: Reads, url: str, partitions: int, queues: Sequence[str], keys: TransportKeys
    ) -> None:
        self._reads = reads
        self._keys = keys
        self._parked = ParkedReads(reads, keys)
        self._queues = queues
        self._url = url
        self._partitions = partitions

    async def people(self) -> list[dict[str, Any]]:
        """Return everybody who is parked."""
        return await _all(self._parked.people)

    async def line(self, person_id: str, *, opened: bool = False) -> list[dict[str, Any]]:
        """Return what waits of a person, in order.

        Args:
            person_id: The person.
            opened: With the messages.

        Raises:
            NotFound: Nothing does.
        """
        return await _all(lambda query: self._parked.line(person_id, query, opened=opened))

    async def messages(self) -> ReadDeadLetters:
        """Return the dead letters."""
        return await dead_letters.look(self._url, self._queues)

    @staticmethod
    def message_view(message: DeadMessage) -> dict[str, Any]:
        """Return a message as it is listed."""
        return message_view(message, whole=False)

    async def message(self, id_: str) -> dict[str, Any]:
        """Return a message with what is in its body, or with the body itself if that does not open."""
        message = await dead_letters.find(self._url, id_, self._queues)
        (opened,) = await self._keys.open_kept([message.body])
        return message_view(message, whole=True, opened=opened if isinstance(opened, bytes) else None)

    async def hand_in(self, id_: str) -> HandedInDeadLetters:
        """Publish a message to its queue again, after those of its person that died before it."""
        return HandedInDeadLetters(await dead_letters.hand_in(self._url, id_, self._queues))

    async def hand_in_all(self, person_id: str | None = None) -> HandedInDeadLetters:
        """Publish what can be read to its queue again: everybody's, or one person's."""
        return await dead_letters.hand_in_all(self._url, self._queues, person_id)

    async def give_up(self, id_: str) -> None:
        """Delete a message."""
        await dead_letters.give_up(self._url, id_, self._queues)

    async def outcomes(self, messages: Sequence[DeadMessage]) -> dict[str, str]:
        """Wait for what becomes of commands that were handed in.

        Returns:
            By the command's id `applied`, `unchanged`, `parked`, or the code of its rejection; without those
            that no worker has decided in time.
        """
        subjects = [one.subject for one in messages if one.dead_queue == DEAD and one.subject is not None]
        open_ = {subject.id: subject for subject in subjects if subject.type in COMMAND_TYPES}
        outcomes: dict[str, str] = {}
        deadline = time.monotonic() + DONE_SECONDS + len(open_) * _SECONDS_EACH
        while open_ and time.monotonic() < deadline:
            for subject in list(open_.values()):
                outcome = await self._outcome(subject.person_id or "", subject.id)
                if outcome is not None:
                    outcomes[subject.id] = outcome
                    del open_[subject.id]
            if open_:
                await asyncio.sleep(_PAUSE_SECONDS)
        return outcomes

    async def _outcome(self, person_id: str, command_id: str) -> str | None:
        event, eventless, parked = await asyncio.gather(
            self._reads.event_of_command(person_id, command_id, strong=True),
            self._reads.eventless_command(person_id, command_id, strong=True),
            self._parked.command(person_id, command_id, strong=True),
        )
        if parked.documents:
            return "parked"
        if event.documents:
            return "applied"
        return str(eventless.documents[0]["code"]) if eventless.documents else None

    async def retry(self, person_id: str, actor: str) -> dict[str, Any] | None:
        """Have a person's line applied; return what still waits at its head, or None.

        Raises:
            NotFound: Nothing waits.
            SetupError: No worker does it in time.
        """
        before = (await self.line(person_id))[0]
        await self._ask(RetryParked.model_construct(**_stamp(person_id, actor)))

        async def tried() -> tuple[dict[str, Any] | None] | None:
            line = await self._line_or_nothing(person_id)
            if not line:
                return (None,)
            head = line[0]
            done = head["command_id"] != before["command_id"] or head["attempts"] > before["attempts"]
            # A long line is applied in parts; between two, the new head has not been tried yet.
            return (head,) if done and head["attempts"] else None

        return await _until(tried)

    async def drop(self, person_id: str, command_ids: Sequence[str], actor: str) -> int:
        """Give up waiting commands, or all; return how many wait still.

        Raises:
            NotFound: Nothing waits of the person, or one of these does not.
            SetupError: No worker does it in time.
        """
        waiting = {one["command_id"] for one in await self.line(person_id)}
        if unknown := set(command_ids) - waiting:
            raise NotFound(f"of the person {person_id} there waits no {', '.join(sorted(unknown))}")
        chosen = Chosen(command_ids=tuple(command_ids))
        await self._ask(DropParked.model_construct(**_stamp(person_id, actor), data=chosen))
        gone = set(command_ids) or waiting

        async def dropped() -> tuple[int] | None:
            left = {one["command_id"] for one in await self._line_or_nothing(person_id)}
            return None if gone & left else (len(left),)

        return await _until(dropped)

    async def _line_or_nothing(self, person_id: str) -> list[dict[str, Any]]:
        try:
            return await self.line(person_id)
        except NotFound:
            return []

    async def _ask(self, control: Control) -> None:
        await self._keys.read()
        await hand_in(self._url, self._partitions, [control], self._keys.current())


@asynccontextmanager
async def open_dead_letters(queues: Sequence[str]) -> AsyncIterator[DeadLetterOperations]:
    """Open MongoDB and know the broker: those of the settings, or those that `./run up` runs.

    Args:
        queues: The queues of dead letters to look at; those that are known, if none is named.

    Raises:
        SetupError: One is not known here, or a queue is none of dead letters.
    """
    try:
        looked_at = dead_letters.dead_queues(queues)
    except InvalidRequest as exc:
        raise SetupError(f"{exc.detail}.") from exc
    kek_file()  # that none is named is said first
    settings = server_settings()
    client = mongo.connect(settings, "rollcall dead-letters")
    try:
        yield DeadLetterOperations(
            Reads(client, settings.mongo_db),
            settings.amqp_url.get_secret_value(),
            settings.partitions,
            looked_at,
            TransportKeys(client, settings.mongo_db, keks_of(settings), lambda: datetime.now(UTC)),
        )
    finally:
        await mongo.close(client)


async def _all(page_of: Callable[[ParkedQuery], Awaitable[Page]]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = None
    while True:
        query = ParkedQuery(consistency="strong", limit=MAX_PAGE, cursor=cursor)
        page = await page_of(query)
        items += page.answer.documents
        cursor = page.next
        if cursor is None:
            return items


async def _until(check: Callable[[], Awaitable[tuple[Result] | None]]) -> Result:
    deadline = time.monotonic() + DONE_SECONDS
    while (result := await check()) is None:
        if time.monotonic() > deadline:
            raise SetupError(
                f"It is in the queue, but no worker did it within {DONE_SECONDS:.0f} s: look again."
            )
        await asyncio.sleep(_PAUSE_SECONDS)
    return result[0]


def _stamp(person_id: str, actor: str) -> dict[str, Any]:
    command_id = new_id()
    return {
        "person_id": person_id,
        "command_id": command_id,
        "accepted_at": to_milliseconds(datetime.now(UTC)),
        "actor": actor,
        "correlation_id": command_id,
        "source": "/rollcall/cli",
    }
