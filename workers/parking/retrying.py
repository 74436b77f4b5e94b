"""Does what operators ask about a parked person: applies the waiting commands, or drops some, on record.

Both run alone, and are done again from the beginning if they were cut: what is on record is not decided anew.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final, assert_never

import structlog

from events.errors import BrokerUnavailable, MalformedMessage
from events.parking.controls import Control, DropParked, RetryParked
from events.person.claims import Claim
from events.person.commands import Command, CreatePerson, UpdatePerson, UpsertPerson, decode_command
from events.person.rejections import Dropped, Rejection
from events.person.schema.declarations import PersonSchema
from service_kit.mongo.transport_keys import Opened, content_of
from service_kit.read_model import rejection_document
from workers import metrics
from workers.deciding.batches import BatchDecider
from workers.deciding.person_batch import DecisionInputs
from workers.outcomes import Outcomes, ParkedCommand, Reason, concerns_one, reason_of
from workers.parking.parked import WaitingCommands
from workers.projecting.projector import Projector, keep_until_stored
from workers.store import Store
from workers.streams import Streams

CHANGES: Final = (CreatePerson, UpdatePerson, UpsertPerson)
AT_ONCE: Final = 100
"""Waiting commands that are held in memory; each may be 64 KB."""

log = structlog.get_logger()


class ControlHandler:
    """Carries out controls, while nothing else is under way.

    Args:
        store: The collections.
        streams: The log by people.
        waiting: The commands that wait.
        decider: Decides and appends.
        projector: Projects and announces.
        inputs: Clock, ids and person schema.
    """

    def __init__(
        self,
        store: Store,
        streams: Streams,
        waiting: WaitingCommands,
        decider: BatchDecider,
        projector: Projector,
        inputs: DecisionInputs,
    ) -> None:
        self._store = store
        self._streams = streams
        self._waiting = waiting
        self._decider = decider
        self._projector = projector
        self._inputs = inputs

    async def carry_out(self, control: Control) -> None:
        """Do what is asked; where that fails for this person alone, the commands wait on.

        Raises:
            BrokerUnavailable: The broker is lost; the control is delivered again.
        """
        try:
            match control:
                case RetryParked():
                    await self._retry(control)
                case DropParked():
                    await self._drop(control)
                case _:
                    assert_never(control)
        except Exception as exc:
            if isinstance(exc, BrokerUnavailable) or not concerns_one(exc):
                raise
            # As many wait as before, or fewer; whoever asked finds them in the list still.
            log.error(
                "waiting commands not changed",
                person_id=control.person_id,
                type=control.type,
                reason=reason_of(exc).detail,
            )

    async def give_up(self, control: Control, reason: Reason) -> None:
        """Note at the oldest waiting command why what was asked is not tried any more; all wait on."""
        person_id = control.person_id
        oldest = await keep_until_stored("retrying", partial(self._waiting.oldest, person_id, 1))
        await self._note_failures(person_id, {command_id: reason for command_id, _ in oldest})
        log.error("given up", person_id=person_id, type=control.type, reason=reason.kind)

    async def _retry(self, control: RetryParked) -> None:
        """Apply a person's waiting commands in order, until none is left or one fails."""
        person_id, count = control.person_id, 0
        oldest = partial(self._waiting.oldest, person_id, AT_ONCE)
        while waiting := await keep_until_stored("retrying", oldest):
            commands, unreadable = _readable(waiting, self._inputs.schema)
            outcomes = await self._decide_again(person_id, commands)
            outcomes = await self._projector.announce_events(await self._projector.project_people(outcomes))
            failed = [one for one in outcomes.values() if isinstance(one, ParkedCommand)]
            finished = [
                command.command_id
                for command in commands
                if not isinstance(outcomes[command.command_id], ParkedCommand)
            ]
            if finished:
                # Only now: if this worker ends before, they are here still, and their outcomes on record.
                await keep_until_stored("retrying", partial(self._waiting.remove, person_id, finished))
            count += len(finished)
            metrics.RETRIED.inc(len(finished))
            for command in commands:
                metrics.count_outcome(outcomes[command.command_id])
            reasons = {one.command.command_id: one.reason for one in failed if one.failed}
            if unreadable is not None and not failed:
                reasons = dict([unreadable])
            await self._note_failures(person_id, reasons)
            if failed or unreadable is not None:
                break
        log.info("retried", person_id=person_id, commands=count, actor=control.actor)

    async def _decide_again(self, person_id: str, commands: Sequence[Command]) -> Outcomes:
        if not commands:
            return {}
        # Nothing else is under way, so the read model is up to date.
        decide = partial(self._decider.decide_batch, commands, {}, {person_id})
        return await keep_until_stored("retrying", decide)

    async def _note_failures(self, person_id: str, reasons: Mapping[str, Reason]) -> None:
        now = self._inputs.clock()
        for command_id, reason in reasons.items():
            note = partial(self._waiting.note_failure, person_id, command_id, reason, now)
            await keep_until_stored("retrying", note)

    async def _drop(self, control: DropParked) -> None:
        """Refuse waiting commands, on record; one that is in the log cannot be given up any more."""
        person_id = control.person_id
        positions = await keep_until_stored("dropping", lambda: self._waiting.positions([person_id]))
        its = positions.get(person_id, {})
        chosen = set(control.data.command_ids or its)
        command_ids = [one for one in sorted(its, key=its.__getitem__) if one in chosen]
        for start in range(0, len(command_ids), AT_ONCE):
            await self._drop_some(control, command_ids[start : start + AT_ONCE])

    async def _drop_some(self, control: DropParked, command_ids: Sequence[str]) -> None:
        person_id = control.person_id
        in_log = await keep_until_stored(
            "dropping", lambda: self._store.applied([person_id], list(command_ids))
        )
        found = await keep_until_stored("dropping", lambda: self._waiting.messages(person_id, command_ids))
        rejection = Dropped(f"dropped by {control.actor} while the person was parked")
        commands = []
        for command_id, body in found:
            words = {"person_id": person_id, "command_id": command_id, "actor": control.actor}
            if command_id in in_log:
                log.warning("not dropped", reason="its event is in the log: retry", **words)
                continue
            try:
                commands.append(decode_command(content_of(body), self._inputs.schema))
            except MalformedMessage as exc:
                log.warning("not dropped", reason=exc.detail, **words)
        if not commands:
            return
        await self._record_dropped(commands, rejection)
        dropped = [command.command_id for command in commands]
        await self._free_claims(person_id, commands)
        await keep_until_stored("dropping", lambda: self._waiting.remove(person_id, dropped))
        metrics.DROPPED.inc(len(dropped))
        for command_id in dropped:
            log.info("dropped", person_id=person_id, command_id=command_id, actor=control.actor)

    async def _record_dropped(self, commands: Sequence[Command], rejection: Rejection) -> None:
        now = self._inputs.clock()
        documents = [rejection_document(command, rejection, now) for command in commands]
        await keep_until_stored("dropping", lambda: self._store.record_eventless(documents))

    async def _free_claims(self, person_id: str, commands: Sequence[Command]) -> None:
        """Free what was reserved for dropped commands before they failed."""
        try:
            readings = await keep_until_stored("dropping", lambda: self._streams.read({person_id: commands}))
        except Exception as exc:
            if not concerns_one(exc):
                raise
            log.warning("values may stay reserved", person_id=person_id, reason=reason_of(exc).detail)
            return
        reading = readings[person_id]
        state, fields = reading.head, [step.after.fields for step in reading.steps]
        wanted = [c.data.model_dump(exclude_unset=True) for c in commands if isinstance(c, CHANGES)]
        fields += [{k: v for k, v in {**state.fields, **one}.items() if v is not None} for one in wanted]
        claims = await keep_until_stored("dropping", self._inputs.load_claims)
        names = {name for one in fields for name in claims.possible(one)}
        stray = names - claims.possible(state.fields)
        freed = [Claim(name, person_id, state.version + 2) for name in sorted(stray)]
        await keep_until_stored("dropping", lambda: self._store.release(freed))


def _readable(
    waiting: Sequence[tuple[str, Opened]], schema: PersonSchema
) -> tuple[list[Command], tuple[str, Reason] | None]:
    """Return waiting commands up to the first that cannot be read, and its id and what is wrong with it."""
    commands: list[Command] = []
    for command_id, body in waiting:
        try:
            commands.append(decode_command(content_of(body), schema))
        except MalformedMessage as exc:
            return commands, (command_id, reason_of(exc))
    return commands, None
