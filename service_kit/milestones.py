"""People at every 200th version of theirs, so that a fold of a long stream begins near its end. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from events.log.event import EVENT_SCHEMA, RecordedEvent
from events.person.decider import PersonState, evolve
from events.person.schema.declarations import PersonSchema

MILESTONE_EVERY: Final = 200
"""Events from one milestone of a person to the next: what a fold reads at most, some 10 ms of it."""
MILESTONE_FORM: Final = 100 * EVENT_SCHEMA + 2
"""What folding means, by the schema of events, and the form of these documents, by the last digits: whoever
changes the form raises them. Milestones in another form are passed over, until `rollcall rebuild` replaces
them (docs/adr/0052)."""


_SHAPE: Final = 1_000


def milestone_form(schema: PersonSchema | None) -> int:
    """Return the form of the milestones that are kept: with another shape of people, another one."""
    return MILESTONE_FORM if schema is None else schema.shape * _SHAPE + MILESTONE_FORM


@dataclass(frozen=True, slots=True)
class Milestone:
    """A person right after an event.

    Attributes:
        state: The person; active.
        newest: When the newest of the commands up to then was accepted.
        form: As of `milestone_form`.
    """

    state: PersonState
    newest: datetime
    form: int = MILESTONE_FORM

    @property
    def key(self) -> dict[str, Any]:
        """Return the filter of its document, which is the only one with these values."""
        return {"person_id": self.state.person_id, "form": self.form, "version": self.state.version}


@dataclass(frozen=True, slots=True)
class Step:
    """An event of a stream, and what it makes of the person.

    Attributes:
        event: The event.
        before: The person before it; None where a fold begins at a milestone, which does not say.
        after: The person after it.
        newest: When the newest of the commands up to it was accepted.
    """

    event: RecordedEvent
    before: PersonState | None
    after: PersonState
    newest: datetime


def next_step(
    person_id: str, last: Step | None, event: RecordedEvent, schema: PersonSchema | None = None
) -> Step:
    """Return the step to a person's next event.

    Args:
        person_id: The id.
        last: The step before; None before the first event.
        event: The event.
        schema: The person schema in whose form the person is; None where there has been one alone.

    Raises:
        NewerSchema: This code is too old to know what the event means.
        UnknownSchema: It has a schema that there has never been.
    """
    before = PersonState(person_id) if last is None else last.after
    newest = event.accepted_at if last is None else max(last.newest, event.accepted_at)
    return Step(event, before, evolve(before, event, schema), newest)


def milestone_at(step: Step, schema: PersonSchema | None = None) -> Milestone | None:
    """Return the milestone that is to be kept of an event; None if there is none to keep of it.

    Of a deleted person none is kept, nor of an event from whose milestone the fold began.
    """
    if step.before is None or step.after.version % MILESTONE_EVERY or step.after.status != "active":
        return None
    return Milestone(step.after, step.newest, milestone_form(schema))


def milestone_document(milestone: Milestone) -> dict[str, Any]:
    """Return a milestone as the collection `milestones` keeps it: personal, like the person."""
    state = milestone.state
    return {
        **milestone.key,
        "hash": state.hash,
        "fields": dict(state.fields),
        "created_at": state.created_at,
        "applied_at": state.updated_at,
        "newest": milestone.newest,
        **({"holds": dict(state.holds)} if state.holds else {}),
    }


def milestone_of(document: Mapping[str, Any]) -> Milestone:
    """Return the milestone in a document of `milestones`."""
    state = PersonState(
        document["person_id"],
        "active",
        document["version"],
        document["hash"],
        document["fields"],
        document["created_at"],
        document["applied_at"],
        document.get("holds", {}),
    )
    return Milestone(state, document["newest"], document["form"])
