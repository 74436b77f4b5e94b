"""Owns what operators ask of a parked person's line: apply it in order, or give some of it up, on record.

Both run alone, and are done again from the beginning if they were cut: what is on record is not decided anew.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final, assert_never

import structlog

from events.claims import Claim, claims_of
from events.commands import Command, CreatePerson, UpdatePerson, UpsertPerson, decode_command
from events.controls import Control, DropParked, RetryParked
from events.decider import PersonState, evolve
from events.errors import MalformedMessage
from events.rejections import Dropped, Rejection
from workers import metrics
from workers.batches import Settled
from workers.documents import rejection_document
from workers.effects import Effects, steadily
from workers.faults import BEHIND, Reason, concerns_one, reason_of
from workers.isolation import settle_apart
from workers.lines import Stamps
from workers.store import Store

CHANGES: Final = (CreatePerson, UpdatePerson, UpsertPerson)
AT_ONCE: Final = 100
"""Commands of a line that are held in memory; each may be 64 KB."""

log = structlog.get_logger()


class Retrying:
    """Carries out controls, while nothing else is under way.

    Args:
        store: The collections.
        stamps: Clock, ids and rules of uniqueness.
        effects: Projects and announces.
    """

    def __init__(self, store: Store, stamps: Stamps, effects: Effects) -> None:
        self._store = store
        self._stamps = stamps
        self._effects = effects

    async def carry_out(self, control: Control) -> None:
        """Do what is asked.

        Raises:
            BrokerUnavailable: The broker is lost; the control is delivered again.
        """
        match control:
            case RetryParked():
                await self._retry(control)
            case DropParked():
                await self._drop(control)
            case _:
                assert_never(control)

    async def give_up(self, control: Control, reason: Reason) -> None:
        """Note at the head of a line why what was asked of it is not tried any more; the line stays."""
        person_id, now = control.person_id, self._stamps.clock()
        parked = self._store.parked
        for command_id, _ in await steadily("retrying", lambda: parked.first(person_id, 1)):
            note = partial(parked.failed_again, person_id, command_id, reason, now)
            await steadily("retrying", note)
        log.error("given up", person_id=person_id, type=control.type, reason=reason.kind)

    async def _retry(self, control: RetryParked) -> None:
        """Apply a person's line from its head until it is empty or a command fails."""
        person_id, applied = control.person_id, 0
        while line := await steadily("retrying", lambda: self._store.parked.first(person_id, AT_ONCE)):
            commands, settled = await self._settle(line)
            await self._effects.publish(settled)
            finished = [
                command_id
                for command_id, _ in line
                if command_id in settled.done or command_id in settled.rejections
            ]
            if finished:
                await steadily("retrying", lambda ids=finished: self._store.parked.remove(person_id, ids))  # type: ignore[misc]
            applied += len(finished)
            metrics.RETRIED.inc(len(finished))
            self._effects.account(commands, settled)
            if settled.parked:
                await self._failed_again(person_id, settled)
                break
        log.info("retried", person_id=person_id, commands=applied, actor=control.actor)

    async def _settle(self, line: Sequence[tuple[str, bytes]]) -> tuple[list[Command], Settled]:
        """Settle commands of a line, up to the first that cannot be read."""
        commands: list[Command] = []
        unreadable: dict[str, MalformedMessage] = {}
        for command_id, body in line:
            try:
                commands.append(decode_command(body))
            except MalformedMessage as exc:
                unreadable[command_id] = exc
                break
        settled = Settled()
        if commands:
            retried = {commands[0].person_id}
            settled = await steadily(
                "retrying", lambda: settle_apart(commands, self._store, self._stamps, {}, retried)
            )
        if not settled.parked:
            settled.parked |= {command_id: reason_of(exc) for command_id, exc in unreadable.items()}
        return commands, settled

    async def _failed_again(self, person_id: str, settled: Settled) -> None:
        now = self._stamps.clock()
        again = self._store.parked.failed_again
        for command_id, reason in settled.parked.items():
            if reason is not BEHIND:
                await steadily("retrying", lambda c=command_id, r=reason: again(person_id, c, r, now))  # type: ignore[misc]

    async def _drop(self, control: DropParked) -> None:
        """Refuse waiting commands, on record; one that is in the log cannot be given up any more."""
        person_id = control.person_id
        lines = await steadily("dropping", lambda: self._store.parked.lines([person_id]))
        line = lines.get(person_id, {})
        wanted = [one for one in sorted(line, key=line.__getitem__) if one in self._chosen(control, line)]
        for start in range(0, len(wanted), AT_ONCE):
            await self._drop_some(control, wanted[start : start + AT_ONCE])

    @staticmethod
    def _chosen(control: DropParked, line: dict[str, int]) -> set[str]:
        return set(control.data.command_ids or line)

    async def _drop_some(self, control: DropParked, wanted: Sequence[str]) -> None:
        person_id = control.person_id
        kept = await steadily("dropping", lambda: self._store.applied([person_id], list(wanted)))
        found = await steadily("dropping", lambda: self._store.parked.some(person_id, wanted))
        rejection = Dropped(f"dropped by {control.actor} while the person was parked")
        commands = []
        for command_id, body in found:
            words = {"person_id": person_id, "command_id": command_id, "actor": control.actor}
            if command_id in kept:
                log.warning("not dropped", reason="its event is in the log: retry", **words)
                continue
            try:
                commands.append(decode_command(body))
            except MalformedMessage as exc:
                log.warning("not dropped", reason=exc.detail, **words)
        if not commands:
            return
        await self._record(commands, rejection)
        dropped = [command.command_id for command in commands]
        await self._free(person_id, commands)
        await steadily("dropping", lambda: self._store.parked.remove(person_id, dropped))
        metrics.DROPPED.inc(len(dropped))
        for command_id in dropped:
            log.info("dropped", person_id=person_id, command_id=command_id, actor=control.actor)

    async def _record(self, commands: Sequence[Command], rejection: Rejection) -> None:
        now = self._stamps.clock()
        documents = [rejection_document(command, rejection, now) for command in commands]
        await steadily("dropping", lambda: self._store.record_rejections(documents))

    async def _free(self, person_id: str, commands: Sequence[Command]) -> None:
        """Free what was reserved for dropped commands before they failed."""
        try:
            streams = await steadily("dropping", lambda: self._store.streams([person_id]))
            state = PersonState(person_id)
            fields = []
            for event in streams[person_id]:
                state = evolve(state, event)
                fields.append(state.fields)
        except Exception as exc:
            if not concerns_one(exc):
                raise
            log.warning("values may stay reserved", person_id=person_id, reason=reason_of(exc).detail)
            return
        wanted = [c.data.model_dump(exclude_unset=True) for c in commands if isinstance(c, CHANGES)]
        fields += [{k: v for k, v in {**state.fields, **one}.items() if v is not None} for one in wanted]
        unique = self._stamps.unique_email
        names = {name for one in fields if "email" in one for name in claims_of(one, unique_email=unique)}
        stray = names - claims_of(state.fields, unique_email=unique)
        freed = [Claim(name, person_id, state.version + 2) for name in sorted(stray)]
        await steadily("dropping", lambda: self._store.release(freed))
