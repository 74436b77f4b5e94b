"""What becomes of each command of a batch: for those who wait, the feed and the read model. Pure.

A stage takes outcomes and returns outcomes: nothing that is here is ever changed.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, assert_never

from events.errors import MalformedMessage, Unavailable
from events.log.event import CLEAR_TYPES, RecordedEvent
from events.person.commands import Command, Envelope
from events.person.decider import PersonState
from events.person.outcomes import Applied, Outcome, Parked, Rejected, Unchanged
from events.person.rejections import PersonErased, Rejection
from events.person.schema.declarations import PersonSchema
from events.person.views import person_view
from service_kit.mongo.connection import refuses_all

_OURS: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a command waits.

    Attributes:
        kind: The name of the failure's class, or that of `BEHIND`.
        detail: One sentence; says where it failed, never a value.
    """

    kind: str
    detail: str


BEHIND: Final = Reason("waits-behind", "waits behind an earlier command of the same person")
LOG_BEHIND: Final = Reason("log-behind-feed", "the feed knows of later events of the person than the log has")
ENDED: Final = Reason("ended-its-worker", "each worker that tried it, alone, ended meanwhile")


@dataclass(frozen=True, slots=True)
class PersonChange:
    """What a batch makes of one person in the read model.

    Attributes:
        before: What the read model is expected to show, if only some fields of that change; else None.
        after: The person after the batch, and after whatever else the log was found to hold by then.
        is_new: Whether the stream began in this batch, so that the read model hardly knows the person.
    """

    before: PersonState | None
    after: PersonState
    is_new: bool


@dataclass(frozen=True, slots=True)
class AppliedCommand:
    """A command whose event is in the log.

    Attributes:
        command: What was asked.
        event: What it made happen: in force, to be announced.
        after: The person right after the event, for the reply.
        change: What the batch makes of the person in the read model; all commands of a person have the same.
    """

    command: Command
    event: RecordedEvent
    after: PersonState
    change: PersonChange


@dataclass(frozen=True, slots=True)
class RejectedCommand:
    """A command that the rules do not allow; that is on record.

    Attributes:
        command: What was asked.
        rejection: Why it is not allowed.
        first_accepted_at: When the command was accepted that is on record, if it came before.
    """

    command: Command
    rejection: Rejection
    first_accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class UnchangedCommand:
    """A command that would change nothing; that is on record.

    Attributes:
        command: What was asked.
        state: The person, who was so before.
        first_accepted_at: As of `RejectedCommand`.
        former: Whether the person has changed since.
    """

    command: Command
    state: PersonState
    first_accepted_at: datetime | None = None
    former: bool = False


EventlessCommand = RejectedCommand | UnchangedCommand
"""A command with an outcome on record that is no event."""


@dataclass(frozen=True, slots=True)
class ParkedCommand:
    """A command that is to wait: it failed, or its person is parked."""

    command: Command
    reason: Reason

    @property
    def failed(self) -> bool:
        """Whether it was tried, in vain; else it waits behind another one."""
        return self.reason is not BEHIND


CommandOutcome = AppliedCommand | EventlessCommand | ParkedCommand
Outcomes = Mapping[str, CommandOutcome]
"""The outcome of each command, by command id; the applied ones of a person in order."""


@dataclass(frozen=True, slots=True)
class UnreadableMessage:
    """A message that is no command of ours: what goes to the dead letters.

    Attributes:
        body: As it came.
        message_id: As its sender named it.
        queue: Where it was.
        reason: Why it cannot be read.
        time: When that was found, UTC.
        envelope: Whose it is, if one of our services published it: a fault of ours.
        reply_to: Queue that waits for the outcome, if any.
        correlation_id: What the one who waits knows it by.
    """

    body: bytes
    message_id: str | None
    queue: str
    reason: str
    time: datetime
    envelope: Envelope | None = None
    reply_to: str | None = None
    correlation_id: str | None = None


def applied_in(outcomes: Outcomes) -> list[AppliedCommand]:
    """Return the applied commands, those of each person in order of version."""
    return [outcome for outcome in outcomes.values() if isinstance(outcome, AppliedCommand)]


def changes_of_people(outcomes: Outcomes) -> dict[str, PersonChange]:
    """Return what the read model is to show of each person that an event has changed, by person id."""
    return {outcome.event.person_id: outcome.change for outcome in applied_in(outcomes)}


def with_people_parked(outcomes: Outcomes, reasons: Mapping[str, Reason]) -> Outcomes:
    """Return the outcomes once the applied commands of some people wait for their effects.

    Their events stay in force: a retry finds them in the log. The first command of each person gets the
    reason, and the others wait behind it.

    Args:
        outcomes: What became of some commands.
        reasons: Why a person is parked, by person id.
    """
    if not reasons:
        return outcomes
    left = dict(reasons)
    changed: dict[str, CommandOutcome] = {}
    for command_id, outcome in outcomes.items():
        person_id = outcome.command.person_id
        if person_id in reasons and isinstance(outcome, AppliedCommand):
            changed[command_id] = ParkedCommand(outcome.command, left.pop(person_id, BEHIND))
        else:
            changed[command_id] = outcome
    return changed


def anything_failed(outcomes: Iterable[CommandOutcome]) -> bool:
    """Return whether a command was tried in vain, so that its person is parked from now on."""
    return any(isinstance(outcome, ParkedCommand) and outcome.failed for outcome in outcomes)


def told_to_client(outcome: CommandOutcome, accepted_at: datetime, schema: PersonSchema) -> Outcome:
    """Return what the one who waits for a command is told.

    Args:
        outcome: Of the command, or of the one with its id that came before.
        accepted_at: When it was accepted. What is delivered again was accepted once, and no repeat of it.
        schema: What a person is.
    """
    match outcome:
        case AppliedCommand(event=event, after=after, change=change):
            replayed = event.accepted_at != accepted_at
            if change.after.status == "erased" and event.type not in CLEAR_TYPES:
                # It was applied, and what it made of the person nobody can tell any more.
                detail = f"the person {event.person_id} was erased"
                version = change.after.version
                return Rejected(code=PersonErased.code, detail=detail, version=version, replayed=replayed)
            return Applied(
                version=event.version,
                event_id=event.event_id,
                replayed=replayed,
                person=person_view(after, schema) if after.status == "active" else None,
                # What other commands of its batch did, its own answer need not know.
                former=replayed and event.version < change.after.version,
            )
        case UnchangedCommand(state=state, former=former):
            replayed = _first_accepted_at(outcome) != accepted_at
            person = person_view(state, schema) if state.status == "active" else None
            return Unchanged(version=state.version, replayed=replayed, person=person, former=former)
        case RejectedCommand(rejection=one):
            replayed = _first_accepted_at(outcome) != accepted_at
            return Rejected(code=one.code, detail=one.detail, version=one.version, replayed=replayed)
        case ParkedCommand(reason=reason):
            return Parked(reason=reason.kind, detail=reason.detail)
        case _:
            assert_never(outcome)


def _first_accepted_at(outcome: EventlessCommand) -> datetime:
    return outcome.first_accepted_at or outcome.command.accepted_at


def concerns_one(exc: Exception) -> bool:
    """Return whether a failure may be due to one person: no repetition cures it, and others may do well.

    False for a part that is away, for MongoDB's refusal of the service itself, and for lack of memory.
    """
    return not isinstance(exc, Unavailable | MemoryError) and not refuses_all(exc)


def reason_of(exc: Exception) -> Reason:
    """Return how a failure is told. Its own words may quote a person's data, so they are left out."""
    if isinstance(exc, MalformedMessage):
        return Reason(type(exc).__name__, exc.detail)
    code = getattr(exc, "code", None)
    what = type(exc).__name__ if code is None else f"{type(exc).__name__} (code {code})"
    frames = [f for f in traceback.extract_tb(exc.__traceback__) if Path(f.filename).is_relative_to(_OURS)]
    frames = [f for f in frames if ".venv" not in Path(f.filename).parts]
    if not frames:
        return Reason(type(exc).__name__, what)
    path, last = Path(frames[-1].filename).relative_to(_OURS), frames[-1]
    return Reason(type(exc).__name__, f"{what} at {path}:{last.lineno}, in {last.name}")
