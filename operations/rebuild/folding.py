"""Folds a person's events into the document and claims that there should be, or says why not. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final

from events.accounts.event import is_stream
from events.errors import Damaged, KeyTrouble, NewerSchema, UnknownSchema
from events.log.event import EVENT_TYPES
from events.log.stored import payload_of
from events.log.upcasting import refuse_newer_event
from events.person.claims import ClaimNames
from events.person.decider import PersonState, Status, fields_after, holds_after, status_after
from events.person.schema.declarations import PersonSchema, Value
from operations.log_links import link_of_document
from operations.log_opening import Keyed, opened, proved
from service_kit.milestones import MILESTONE_EVERY, Milestone, milestone_form
from service_kit.read_model import person_document
from verifier import Link, walk

_ODD: Final = (KeyError, TypeError, ValueError, AttributeError)
"""What reading an event raises that no worker of ours wrote."""


@dataclass(frozen=True, slots=True)
class Folded:
    """What a person's events come to.

    Attributes:
        person_id: Whose.
        events: How many there are.
        version: Of the last one.
        applied_at: Of the last one, UTC; None if there is none.
        document: What the read model should have; None if there is no event, or a problem.
        claims: The names of the values that the person holds.
        possible_claims: Those, and what a secret that comes or goes would name them.
        milestones: What should be kept of the person's earlier versions.
        problem: Why nothing can be made of the events.
    """

    person_id: str
    events: int = 0
    version: int = 0
    applied_at: datetime | None = None
    document: dict[str, Any] | None = None
    claims: frozenset[str] = frozenset()
    possible_claims: frozenset[str] = frozenset()
    milestones: tuple[Milestone, ...] = ()
    problem: str | None = None


def folds(
    documents: Iterable[Keyed], schema: PersonSchema, claims: ClaimNames, *, prove: bool = False
) -> Iterator[Folded]:
    """Yield what each person's events come to, in memory for one event.

    Every person's chain is proved on the way, and by the seals that its values are those that were sealed:
    what was altered gets into no document. Whose key is destroyed comes to a tombstone; who has none, though
    there are sealed values, to a problem. What the log says of accounts is passed over.

    Args:
        documents: Of the collection `events`, times without a zone, in order of person and version; with
            the people's keys.
        schema: What a person is.
        claims: Names the claims.
        prove: Also prove that values are those which the hashes commit to, which who seals could have
            sealed wrong.
    """
    for person_id, stream in groupby(documents, _person):
        if is_stream(person_id):
            continue
        folding = _Folding(person_id, schema, claims, prove=prove)
        (verdict,) = walk(folding.links(stream))
        if verdict.finding and not folding.is_newer:
            text = f"version {verdict.finding.version} of the log: {verdict.finding.text}"
            yield Folded(person_id, verdict.events, problem=text)
        else:
            yield folding.end(verdict.events)


class _Folding:
    """One person's events so far: what `events.person.decider.fold` makes of them, in a fifth of the time."""

    __slots__ = (
        "_claims",
        "_created_at",
        "_erased",
        "_fields",
        "_holds",
        "_last",
        "_milestones",
        "_newest",
        "_person_id",
        "_problem",
        "_prove",
        "_schema",
        "_status",
        "is_newer",
    )

    def __init__(self, person_id: str, schema: PersonSchema, claims: ClaimNames, *, prove: bool) -> None:
        self._schema, self._claims, self._prove = schema, claims, prove
        self._person_id = person_id
        self._fields: Mapping[str, Value] = {}
        self._status: Status = "absent"
        self._holds: Mapping[str, str] = {}
        self._created_at: datetime | None = None
        self._erased = False
        self._last: Mapping[str, Any] = {}
        self._newest: datetime | None = None
        self._milestones: list[Milestone] = []
        self._problem: str | None = None
        self.is_newer = False
        """Whether an event is of a newer schema: whoever cannot read it cannot say that it is damaged."""

    def links(self, stream: Iterable[Keyed]) -> Iterator[Link]:
        """Yield the events as the chain sees them, and take each."""
        for document, keys in stream:
            can_prove = self._prove and self._person_id in keys
            yield proved(document, keys) if can_prove else link_of_document(document)
            if self._problem is None:
                try:
                    refuse_newer_event(document["schema"])
                    self._take(opened(document, keys))
                except (NewerSchema, UnknownSchema, KeyTrouble, Damaged) as exc:
                    self.is_newer = isinstance(exc, NewerSchema)
                    self._problem = f"version {document['version']} of the log: {exc.detail}"
                except _ODD as exc:
                    self._problem = (
                        f"version {document['version']} of the log is no event ({type(exc).__name__})"
                    )

    def _take(self, document: Mapping[str, Any]) -> None:
        type_ = document["type"]
        if type_ not in EVENT_TYPES:
            raise ValueError(f"type {type_}")
        payload = payload_of(document, self._schema)
        self._fields = fields_after(self._fields, *payload)
        self._status = status_after(self._status, payload[0])
        self._holds = holds_after(self._holds, *payload)
        if type_ == "person.created":
            self._created_at = _utc(document["applied_at"])
        self._erased = self._erased or "erased" in document
        self._last = document
        accepted_at = _utc(document["accepted_at"])
        self._newest = accepted_at if self._newest is None else max(self._newest, accepted_at)
        if document["version"] % MILESTONE_EVERY == 0:
            self._milestones.append(Milestone(self._state(), self._newest, milestone_form(self._schema)))

    def _state(self) -> PersonState:
        last = self._last
        applied_at = _utc(last["applied_at"])
        return PersonState(
            self._person_id,
            self._status,
            last["version"],
            last["hash"],
            self._fields,
            self._created_at,
            applied_at,
            self._holds,
        )

    def end(self, events: int) -> Folded:
        """Return what they come to."""
        if self._problem is not None:
            return Folded(self._person_id, events, problem=self._problem)
        if self._erased and self._status == "active":
            # The log lacks what tells of the erasure, as after a restore: it forgets nothing, the key does.
            self._status, self._fields = "deleted", {}
        state = self._state()
        milestones = tuple(self._milestones) if state.status == "active" else ()
        try:
            document = person_document(state, self._schema)
            claims = self._claims.held(self._fields)
            possible = self._claims.possible(self._fields)
        except _ODD as exc:
            return Folded(self._person_id, events, problem=f"the log makes no person ({type(exc).__name__})")
        return Folded(
            self._person_id, events, state.version, state.updated_at, document, claims, possible, milestones
        )


def _person(keyed: Keyed) -> str:
    person_id: str = keyed[0]["person_id"]
    return person_id


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC)
