"""Owns one person's share of a batch: its commands in order, and what the rules make of them. Pure."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from events.claims import Claim, claims_of
from events.commands import Command, RevertPerson
from events.decider import PersonState, decide, evolve
from events.facts import RecordedEvent, record
from events.rejections import Rejection, Superseded


@dataclass(frozen=True, slots=True)
class Stamps:
    """Where a decision gets what it may not make itself.

    Attributes:
        clock: Tells the time, UTC, whole milliseconds.
        new_id: Makes an event's id.
        unique_email: Whether e-mail addresses are unique.
    """

    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    unique_email: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A command that was decided, its event not yet in the log.

    Attributes:
        command: What was asked.
        event: What it makes happen.
        after: The person after it.
        needs: Claims that it must win.
        frees: Claims that it gives up.
    """

    command: Command
    event: RecordedEvent
    after: PersonState
    needs: frozenset[str]
    frees: frozenset[str]


@dataclass(frozen=True, slots=True)
class Done:
    """An event that is in the log, and the person right after it."""

    event: RecordedEvent
    after: PersonState


@dataclass(slots=True)
class Line:
    """A person's commands of one batch that wait, in order.

    Attributes:
        state: The person after the last event that is known to be in the log.
        base: The person before this batch, if it added nothing but updates to what the read model has.
        waiting: Commands not yet settled.
        done: What this batch put into the log, or found there.
        claimed: Claims that were won and are not yet backed by an event.
        freed: Claims that an event gave up, by the version of that event.
        newest: When the newest of the commands in the log was accepted; known once the log was read.
        past: Earlier versions that waiting commands want back, each with the id of its event.
    """

    state: PersonState
    base: PersonState | None = None
    waiting: deque[Command] = field(default_factory=deque)
    done: list[Done] = field(default_factory=list)
    claimed: set[str] = field(default_factory=set)
    freed: dict[str, int] = field(default_factory=dict)
    newest: datetime | None = None
    past: dict[int, tuple[PersonState, str]] = field(default_factory=dict)

    def plan(self, stamps: Stamps, *, chained: bool) -> tuple[list[Step], list[tuple[Command, Rejection]]]:
        """Decide the next commands, without settling them.

        Args:
            stamps: Clock, ids and rules of uniqueness.
            chained: False: one event at the most. True: as many as need no claim, to be appended in
                order.

        Returns:
            The steps, and the refused commands. Refusals before the first step are final;
            the one that ends a chain is not among them.
        """
        steps: list[Step] = []
        refused: list[tuple[Command, Rejection]] = []
        state, newest = self.state, self.newest
        for command in self.waiting:
            if chained and isinstance(command, RevertPerson):
                break  # it may want back what this chain only now appends
            command, past = self._with_past(command)
            try:
                _refuse_overtaken(command, newest)
                (event,) = decide(command, state, past)
            except Rejection as rejection:
                if steps:
                    break
                refused.append((command, rejection))
                continue
            now = stamps.clock()
            recorded = record(
                event,
                command,
                event_id=stamps.new_id(),
                version=state.version + 1,
                applied_at=max(now, state.updated_at) if state.updated_at else now,
                prev=state.hash,
            )
            after = evolve(state, recorded)
            held = claims_of(state.fields, unique_email=stamps.unique_email)
            holds = claims_of(after.fields, unique_email=stamps.unique_email)
            step = Step(command, recorded, after, holds - held, held - holds)
            if chained and step.needs:
                break
            steps.append(step)
            state, newest = after, _later(newest, recorded.accepted_at)
            if not chained:
                break
        return steps, refused

    def _with_past(self, command: Command) -> tuple[Command, PersonState | None]:
        """Return a command with the version that it wants back; the event there is what causes it."""
        if not isinstance(command, RevertPerson) or command.data.to_version not in self.past:
            return command, None
        past, event_id = self.past[command.data.to_version]
        cause = command.causation_id or event_id
        return command.model_copy(update={"causation_id": cause}), past

    def missing(self) -> set[int]:
        """Return the versions, all in the log, that must be recalled before the next command is decided."""
        wanted = {command.data.to_version for command in self.waiting if isinstance(command, RevertPerson)}
        return {version for version in wanted if version <= self.state.version} - self.past.keys()

    def recall(self, stream: Sequence[RecordedEvent]) -> None:
        """Take the missing versions from the log."""
        missing = self.missing()
        state = PersonState(self.state.person_id)
        for event in stream:
            state = evolve(state, event)
            if event.version in missing:
                self.past[event.version] = state, event.event_id

    def settle(self, step: Step) -> None:
        """Take note that a step's event is in the log."""
        self.waiting.popleft()
        self.state = step.after
        self.done.append(Done(step.event, step.after))
        self.newest = _later(self.newest, step.event.accepted_at)
        self.claimed -= step.needs
        for name in step.frees:
            self.freed[name] = step.event.version
        for name in step.needs:
            self.freed.pop(name, None)

    def drop(self, command_id: str) -> None:
        """Take a command out of the line: it was refused, or is in the log already."""
        self.waiting = deque(c for c in self.waiting if c.command_id != command_id)

    def reload(self, stream: Sequence[RecordedEvent], stamps: Stamps) -> None:
        """Take the person from the log, the truth, and settle what is found in it.

        Claims that the history gave up are freed once more, in case a crash came before their release.
        """
        wanted = {command.command_id for command in self.waiting}
        state = PersonState(self.state.person_id)
        ever: set[str] = set()
        for event in stream:
            state = evolve(state, event)
            self.newest = _later(self.newest, event.accepted_at)
            ever |= claims_of(state.fields, unique_email=stamps.unique_email)
            if event.command_id in wanted:
                self.drop(event.command_id)
                self.done.append(Done(event, state))
        self.state, self.base = state, None
        for name in ever - claims_of(state.fields, unique_email=stamps.unique_email):
            self.freed[name] = state.version + 1

    def releases(self, stamps: Stamps) -> list[Claim]:
        """Return the claims that this person must let go: given up, or won for a refused command."""
        person_id, version = self.state.person_id, self.state.version
        stray = self.claimed - claims_of(self.state.fields, unique_email=stamps.unique_email)
        return [
            *(Claim(name, person_id, given_up) for name, given_up in self.freed.items()),
            *(Claim(name, person_id, version + 2) for name in stray),
        ]


def _later(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else max(one, other)


def _refuse_overtaken(command: Command, newest: datetime | None) -> None:
    """Refuse a command out of the dead letters whose person has changed since by a later one.

    Raises:
        Superseded: Applied now, it would put older values over newer ones.
    """
    if command.late and newest is not None and newest > command.accepted_at:
        raise Superseded("it was a dead letter, and a later command has changed the person meanwhile")
