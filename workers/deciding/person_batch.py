"""One person's commands of a batch, in order, and what the rules make of them. Pure."""

from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from events.errors import KeyTrouble
from events.log.event import RecordedEvent, record
from events.person.claims import Claim, ClaimNames
from events.person.commands import Command, CreatePerson, ErasePerson, RevertPerson
from events.person.decider import PersonState, decide, evolve
from events.person.rejections import Rejection, Superseded
from events.person.schema.declarations import PersonSchema
from service_kit.milestones import Step
from service_kit.seals.person_key import PersonKey
from workers.deciding.eventless import repeats
from workers.outcomes import (
    AppliedCommand,
    EventlessCommand,
    PersonChange,
    RejectedCommand,
    UnchangedCommand,
)
from workers.streams import StreamReading


async def _nothing_is_prepared(_kinds: Collection[str]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class DecisionInputs:
    """What deciding needs and may not make itself.

    Attributes:
        clock: Tells the time, UTC, whole milliseconds.
        new_id: Makes an event's id.
        schema: What a person is.
        claims: Names the claims, by the secrets that are known at the moment.
        load_claims: Reads those secrets anew if that was long ago; asked before each batch.
        new_key: Makes the key of a new person.
        withdraw: Takes back what is prepared, since two people are about to have the same values.
    """

    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    schema: PersonSchema
    claims: Callable[[], ClaimNames]
    load_claims: Callable[[], Awaitable[ClaimNames]]
    new_key: Callable[[], PersonKey] = PersonKey.new
    withdraw: Callable[[Collection[str]], Awaitable[None]] = _nothing_is_prepared


@dataclass(frozen=True, slots=True)
class Decision:
    """A command that was decided, its event not yet in the log.

    Attributes:
        command: What was asked.
        event: What it makes happen.
        after: The person after it.
        needs: Claims that must be won before.
        frees: Claims that the event gives up.
    """

    command: Command
    event: RecordedEvent
    after: PersonState
    needs: frozenset[str]
    frees: frozenset[str]


@dataclass(slots=True)
class PersonBatch:
    """A person's commands of one batch.

    Attributes:
        state: The person after the last event that is known to be in the log.
        before: The person as the read model shows them, or is about to; None once the log was read instead.
        undecided: Commands without an outcome, in order.
        applied: What this batch put into the log, or found there: command, event, and the person after it.
        claimed: Claims that were won and are not yet backed by an event.
        freed: Claims that an event gave up, by the version of that event.
        newest: When the newest of the commands in the log was accepted; known once the log was read.
        first_commands: The command that had an idempotency id first, by that.
        is_bare: Whether the fields are not known: of a parked person, an erase goes ahead of what waits.
        following: Commands that are decided only if the person is erased; else they wait.
        past: Earlier versions that undecided commands want back, each with the id of its event.
        key: What the person's events are sealed with; None before there are any, and for an erased person.
        has_new_key: Whether the key is not on record yet.
    """

    state: PersonState
    before: PersonState | None = None
    undecided: deque[Command] = field(default_factory=deque)
    applied: list[tuple[Command, RecordedEvent, PersonState]] = field(default_factory=list)
    claimed: set[str] = field(default_factory=set)
    freed: dict[str, int] = field(default_factory=dict)
    newest: datetime | None = None
    past: dict[int, tuple[PersonState, str]] = field(default_factory=dict)
    first_commands: dict[str, str] = field(default_factory=dict)
    is_bare: bool = False
    following: list[Command] = field(default_factory=list)
    key: PersonKey | None = None
    has_new_key: bool = False

    def decide_next(
        self, inputs: DecisionInputs, *, chained: bool
    ) -> tuple[list[Decision], list[EventlessCommand]]:
        """Decide the next commands; they stay undecided until their events are in the log.

        Args:
            inputs: Clock, ids and person schema.
            chained: False: one event at the most. True: as many as need no claim, to be appended in
                order.

        Returns:
            The decisions, and the commands that make no event. Before the first decision those are final;
            the one that ends a chain is not among them.
        """
        decisions: list[Decision] = []
        eventless: list[EventlessCommand] = []
        state, newest = self.state, self.newest
        firsts = dict(self.first_commands)
        for command in self.undecided:
            if chained and isinstance(command, RevertPerson):
                break  # it may want back what this chain only now appends
            command, past = self._with_past(command)
            try:
                _reject_superseded(command, newest)
                is_repeat = repeats(command, firsts) and state.status == "active"
                events = [] if is_repeat else decide(command, state, inputs.schema, past)
                outcome: EventlessCommand = UnchangedCommand(command, state)
            except Rejection as rejection:
                events, outcome = [], RejectedCommand(command, rejection)
            if command.idempotency_id is not None:
                firsts.setdefault(command.idempotency_id, command.command_id)
            if not events:
                if decisions:
                    break  # it rests on events that are not in yet: it is decided again once they are
                eventless.append(outcome)
                continue
            now = inputs.clock()
            recorded = record(
                events[0],
                command,
                schema=inputs.schema,
                key=self._event_key(inputs, command),
                event_id=inputs.new_id(),
                version=state.version + 1,
                # A worker's clock may be behind that of the last one; time within a stream never goes back.
                applied_at=max(now, state.updated_at) if state.updated_at else now,
                prev=state.hash,
            )
            after = evolve(state, recorded, inputs.schema)
            decision = Decision(
                command, recorded, after, *inputs.claims().changed(state.fields, after.fields)
            )
            if chained and decision.needs:
                break  # a claim has to be won first, and winning it may fail
            decisions.append(decision)
            state, newest = after, _later(newest, recorded.accepted_at)
            if not chained:
                break
        return decisions, eventless

    def _event_key(self, inputs: DecisionInputs, command: Command) -> PersonKey:
        """Return the person's key; a new one for somebody without events.

        Raises:
            KeyTrouble: There are events, and no key.
        """
        if self.key is None:
            if self.state.version:
                if isinstance(command, ErasePerson) and command.data.from_journal:
                    return inputs.new_key()  # the journal says that it is destroyed; this seals nothing
                raise KeyTrouble(f"there is no key for {self.state.person_id}, who has events")
            self.key, self.has_new_key = inputs.new_key(), True
        return self.key

    def take_key(self, key: PersonKey | None) -> None:
        """Take the key that is on record; what was decided with another one is to be decided again."""
        self.key, self.has_new_key = key, False

    def _with_past(self, command: Command) -> tuple[Command, PersonState | None]:
        """Return a command with the version that it wants back; the event there is what causes it."""
        if not isinstance(command, RevertPerson) or command.data.to_version not in self.past:
            return command, None
        past, event_id = self.past[command.data.to_version]
        cause = command.causation_id or event_id
        return command.model_copy(update={"causation_id": cause}), past

    def missing_versions(self) -> set[int]:
        """Return the versions, all in the log, that must be recalled before the next command is decided."""
        wanted = {command.data.to_version for command in self.undecided if isinstance(command, RevertPerson)}
        return {version for version in wanted if version <= self.state.version} - self.past.keys()

    def recall_versions(self, steps: Mapping[int, Step]) -> None:
        """Take the missing versions from the log."""
        for version, step in steps.items():
            self.past[version] = step.after, step.event.event_id

    @property
    def needs_log(self) -> bool:
        """Whether the read model does not say enough to decide the commands.

        A create of somebody it lacks finds out at its append whether the log knows of them.
        """
        if self.is_bare:
            return False
        if any(command.late for command in self.undecided):
            return True  # how late it is, the log alone can tell
        first = self.undecided[0] if self.undecided else None
        return self.state.status == "absent" and not isinstance(first, CreatePerson | None)

    def add_command(self, command: Command, first_commands: Mapping[str, str]) -> None:
        """Put a command behind the undecided ones.

        Args:
            command: The command.
            first_commands: Those on record that had an idempotency id first, by that.
        """
        self.undecided.append(command)
        if (key := command.idempotency_id) is not None and key in first_commands:
            self.first_commands[key] = first_commands[key]

    def note_claimed(self, name: str) -> None:
        """Take note that a claim was won, ahead of the event that needs it."""
        self.claimed.add(name)

    def note_appended(self, decision: Decision) -> None:
        """Take note that a decision's event is in the log."""
        self._note_first(self.undecided.popleft())
        command, event, self.state = decision.command, decision.event, decision.after
        self.applied.append((command, event, self.state))
        self.newest = _later(self.newest, event.accepted_at)
        self.claimed -= decision.needs
        for name in decision.frees:
            self.freed[name] = event.version
        for name in decision.needs:
            self.freed.pop(name, None)

    def note_eventless(self, command: Command) -> None:
        """Take note that it is on record that a command makes no event."""
        self._note_first(command)
        self.take_out(command.command_id)

    def _note_first(self, command: Command) -> None:
        if command.idempotency_id is not None:
            self.first_commands.setdefault(command.idempotency_id, command.command_id)

    def take_out(self, command_id: str) -> None:
        """Take note that a command has its outcome."""
        self.undecided = deque(c for c in self.undecided if c.command_id != command_id)

    def take_from_log(self, reading: StreamReading, inputs: DecisionInputs) -> None:
        """Take the person from the log, the truth, and find there what was applied before.

        Claims that those events gave up are freed once more, in case a crash came before their release: the
        commands of such events are delivered again, so they are among those that were asked for.
        """
        asked = {command.command_id: command for command in self.undecided}
        ever, claims = set[str](), inputs.claims()
        for step in reading.steps:
            for state in (step.before, step.after):
                if state is not None:
                    ever |= claims.possible(state.fields)
            event = step.event
            if event.idempotency_id is not None:
                self.first_commands[event.idempotency_id] = event.command_id
            # What is asked for is there with the event before it, and perhaps once more without.
            if command := asked.pop(event.command_id, None):
                self.take_out(event.command_id)
                self.applied.append((command, event, step.after))
        self.state, self.before = reading.head, None
        if reading.newest is not None:
            self.newest = _later(self.newest, reading.newest)
        for name in ever - claims.possible(self.state.fields):
            self.freed[name] = self.state.version + 1

    def outcomes(self) -> list[AppliedCommand]:
        """Return what became of the applied commands, in order of version but for a race that was lost."""
        if not self.applied:
            return []
        before = self.before
        # One who is deleted, or was, is written whole: a tombstone shares no field with a person.
        updated = before is not None and before.status == self.state.status == "active"
        updated = updated and before is not None and before.holds == self.state.holds
        is_new = self.applied[0][1].version == 1
        change = PersonChange(before if updated else None, self.state, is_new)
        return [AppliedCommand(command, event, after, change) for command, event, after in self.applied]

    def claims_to_free(self, inputs: DecisionInputs) -> list[Claim]:
        """Return the claims that this person must let go: given up, or won for a rejected command."""
        person_id, version = self.state.person_id, self.state.version
        stray = self.claimed and self.claimed - inputs.claims().possible(self.state.fields)
        return [
            *(Claim(name, person_id, given_up) for name, given_up in self.freed.items()),
            *(Claim(name, person_id, version + 2) for name in stray),
        ]


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)


def _reject_superseded(command: Command, newest: datetime | None) -> None:
    """Reject a command out of the dead letters whose person has changed since by a later one.

    Raises:
        Superseded: Applied now, it would put older values over newer ones.
    """
    if command.late and newest is not None and newest > command.accepted_at:
        raise Superseded("it was a dead letter, and a later command has changed the person meanwhile")
