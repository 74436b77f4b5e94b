"""Writes events of the log into the read model, and then has them announced."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import structlog

from events.errors import StoreUnavailable
from events.log.event import GONE, RecordedEvent
from service_kit.milestones import MILESTONE_EVERY
from service_kit.retries import backoff
from workers.announcing.announcer import Announcer
from workers.erasing.eraser import ERASED, Eraser
from workers.outcomes import (
    Outcomes,
    PersonChange,
    Reason,
    applied_in,
    changes_of_people,
    concerns_one,
    reason_of,
    with_people_parked,
)
from workers.store import Store
from workers.streams import Streams

Result = TypeVar("Result")
WaitUntilReconciled = Callable[[Sequence[RecordedEvent]], Awaitable[None]]

log = structlog.get_logger()


async def keep_until_stored(doing: str, operation: Callable[[], Awaitable[Result]]) -> Result:
    """Run an operation until MongoDB lets it through; nothing is acknowledged meanwhile.

    There is no last attempt. To give a batch up would put it behind what comes after it in the queue, and
    MongoDB's absence says nothing against any command.
    """
    attempt = 0
    while True:
        try:
            return await operation()
        except StoreUnavailable as exc:
            attempt += 1
            pause = backoff(attempt)
            log.warning("keeping the batch", doing=doing, reason=exc.detail, retry_in=round(pause, 2))
            await asyncio.sleep(pause)


def _erasures(outcomes: Outcomes) -> list[RecordedEvent]:
    return [one.event for one in applied_in(outcomes) if one.event.type == ERASED]


class Projector:
    """Projects and announces, in the order of the calls; each may be repeated.

    Args:
        store: The collections.
        streams: Keeps the milestones.
        announcer: Publishes the events.
        wait_until_reconciled: Returns when events may be announced (see `workers.announcing.reconciler`).
        eraser: Does what an erasure means beside the tombstone.
    """

    def __init__(
        self,
        store: Store,
        streams: Streams,
        announcer: Announcer,
        wait_until_reconciled: WaitUntilReconciled,
        eraser: Eraser,
    ) -> None:
        self._store = store
        self._streams = streams
        self._announcer = announcer
        self._wait_until_reconciled = wait_until_reconciled
        self._eraser = eraser

    async def project_people(self, outcomes: Outcomes) -> Outcomes:
        """Bring what was applied to the read model.

        Returns:
            The outcomes, with the people parked of whom that failed.
        """
        erasures = _erasures(outcomes)
        await keep_until_stored("erasing", lambda: self._eraser.let_go(erasures))
        changes = changes_of_people(outcomes)
        failed = await keep_until_stored("projecting", lambda: self._project_apart(changes))
        await self._keep_milestones(outcomes)
        outcomes = with_people_parked(outcomes, failed)
        shown = _erasures(outcomes)
        await keep_until_stored("erasing", lambda: self._eraser.destroy_keys(shown))
        return outcomes

    async def _keep_milestones(self, outcomes: Outcomes) -> None:
        """See to the milestones of those who have come to one, or are deleted; most have no such event."""
        events = [one.event for one in applied_in(outcomes) if one.event.version >= MILESTONE_EVERY]
        deleted = {event.person_id for event in events if event.type in GONE}
        passed = {one.person_id: one.version for one in events if one.version % MILESTONE_EVERY == 0}
        for person_id, version in passed.items():
            if person_id not in deleted:
                await self._extend_milestones(person_id, version)
        await keep_until_stored("projecting", lambda: self._streams.remove_milestones(deleted))

    async def _extend_milestones(self, person_id: str, version: int) -> None:
        extend = partial(self._streams.extend_milestones, person_id, version)
        try:
            await keep_until_stored("projecting", extend)
        except Exception as exc:
            if not concerns_one(exc):
                raise
            # All is right without them, only slower.
            log.warning("no milestone kept", person_id=person_id, reason=reason_of(exc).detail)

    async def announce_events(self, outcomes: Outcomes) -> Outcomes:
        """Bring to the feed what was projected, and nothing else: a majority has it by then.

        The position of a snapshot rests on that order (docs/adr/0017).

        Returns:
            The outcomes, with the people parked of whom an event cannot be announced.

        Raises:
            BrokerUnavailable: The broker is lost.
        """
        frames, failed = self._encode_events(outcomes)
        outcomes = with_people_parked(outcomes, failed)
        events = [outcome.event for outcome in applied_in(outcomes)]
        await keep_until_stored("announcing", lambda: self._wait_until_reconciled(events))
        await self._announcer.announce(frames)
        return outcomes

    async def _project_apart(self, changes: Mapping[str, PersonChange]) -> dict[str, Reason]:
        """Project some people; return why it failed, for those of whom it did.

        What fails for many is done again for fewer, which is harmless: a projection is guarded by version.
        """
        try:
            await self._store.project(changes.values())
        except Exception as exc:
            if not concerns_one(exc):
                raise
            people = list(changes)
            if len(people) == 1:
                return {people[0]: reason_of(exc)}
            middle = len(people) // 2
            first = await self._project_apart({one: changes[one] for one in people[:middle]})
            return first | await self._project_apart({one: changes[one] for one in people[middle:]})
        return {}

    def _encode_events(self, outcomes: Outcomes) -> tuple[list[bytes], dict[str, Reason]]:
        """Return the announcements, and why it failed, for those of whom an event cannot be encoded.

        Of such a person, the events before that one are announced all the same: they come first in order.
        """
        frames: list[bytes] = []
        failed: dict[str, Reason] = {}
        for outcome in applied_in(outcomes):
            event = outcome.event
            if event.person_id in failed:
                continue
            try:
                frames.append(self._announcer.encode_announcement(event))
            except Exception as exc:
                if not concerns_one(exc):
                    raise
                failed[event.person_id] = reason_of(exc)
        return frames, failed
