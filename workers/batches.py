"""Owns deciding and appending one batch: what is known already, then round by round until all is settled."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from events.claims import Claim, taken
from events.commands import Command, CreatePerson
from events.decider import PersonState
from events.rejections import Rejection
from workers.documents import is_current, rejection_document, state_of
from workers.faults import BEHIND, LOG_BEHIND, Reason
from workers.lines import Done, Line, Stamps, Step
from workers.store import Store


@dataclass(slots=True)
class Settled:
    """What became of a batch, all of it in the log or on record as refused, but for what is to wait.

    Attributes:
        done: The event of each applied command, by command id; per person in order of version.
        states: Each touched person after the batch.
        fresh: Ids of people whose stream began in this batch.
        bases: People that were only updated, as they were before this batch.
        rejections: The refusal of each refused command, by command id; all on record.
        parked: Why a command is to wait, by command id: it failed, or its person is parked.
    """

    done: dict[str, Done] = field(default_factory=dict)
    states: dict[str, PersonState] = field(default_factory=dict)
    fresh: set[str] = field(default_factory=set)
    bases: dict[str, PersonState] = field(default_factory=dict)
    rejections: dict[str, Rejection] = field(default_factory=dict)
    parked: dict[str, Reason] = field(default_factory=dict)

    def add(self, later: "Settled") -> None:
        """Take what became of some more commands. Without bases: they are of the part alone."""
        self.done |= later.done
        self.states |= later.states
        self.rejections |= later.rejections
        self.parked |= later.parked
        self.fresh, self.bases = set(), {}

    def set_aside(self, person_id: str, reason: Reason) -> None:
        """Let a person's applied commands wait for their effects; the first of them is why."""
        del self.states[person_id]
        for command_id, done in list(self.done.items()):
            if done.event.person_id == person_id:
                self.parked[command_id] = reason
                del self.done[command_id]
                reason = BEHIND


async def settle(
    commands: Sequence[Command],
    store: Store,
    stamps: Stamps,
    pending: Mapping[str, PersonState],
    retried: Collection[str] = (),
) -> Settled:
    """Decide a batch and append its events; commands of parked people are left to wait.

    Repeating it after any failure gives the same outcome: what got into the log before is found there.

    Args:
        commands: In the order in which each person's must be applied; ids may repeat.
        store: The collections.
        stamps: Clock, ids and rules of uniqueness.
        pending: People whose last events are in the log but perhaps not yet in the read model.
        retried: Parked people whose own line this is.

    Raises:
        StoreUnavailable: MongoDB is away; some events may be in.
    """
    settled = Settled()
    lines = await _open_lines(commands, store, stamps, pending, retried, settled)
    busy = [line for line in lines.values() if line.waiting]
    while busy:
        await _append_firsts(busy, store, stamps, settled)
        busy = [line for line in busy if line.waiting]
        if busy:
            await _append_chains(busy, store, stamps, settled)
            busy = [line for line in busy if line.waiting]
    await store.release([claim for line in lines.values() for claim in line.releases(stamps)])
    for person_id, line in lines.items():
        if line.done:
            settled.states[person_id] = line.state
            settled.done.update((done.event.command_id, done) for done in line.done)
            if line.done[0].event.version == 1:
                settled.fresh.add(person_id)
            elif line.base is not None and line.base.status == line.state.status == "active":
                settled.bases[person_id] = line.base
    return settled


async def _open_lines(
    commands: Sequence[Command],
    store: Store,
    stamps: Stamps,
    pending: Mapping[str, PersonState],
    retried: Collection[str],
    settled: Settled,
) -> dict[str, Line]:
    """Queue each command that is not settled yet behind its person's state, or leave it to wait."""
    people = list({command.person_id: None for command in commands})
    ids = [command.command_id for command in commands]
    applied, rejected, heads, parked = await asyncio.gather(
        store.applied(people, ids),
        store.rejected(people, ids),
        store.heads([person_id for person_id in people if person_id not in pending]),
        store.parked.lines(people),
    )
    # Should both be on record, the log is the truth.
    refused = {key: rejection for key, rejection in rejected.items() if key not in applied}
    settled.rejections.update(refused)
    lines = {}
    reasons: dict[str, Reason] = {}
    for person_id in people:
        if person_id in parked and person_id not in retried:
            continue  # its head may be what cannot be read
        if person_id in store.gaps.people:
            reasons[person_id] = LOG_BEHIND
            continue
        head = heads.get(person_id)
        # One in another form, while a projection is rolled out, says nothing: the log is folded.
        known = state_of(head) if head and is_current(head) else PersonState(person_id)
        state = pending.get(person_id) or known
        lines[person_id] = Line(state, base=state)
    unique: dict[str, Command] = {}
    for command in commands:
        unique.setdefault(command.command_id, command)
    for command in unique.values():
        if command.command_id in refused:
            continue
        if command.person_id in lines:
            lines[command.person_id].waiting.append(command)
        else:
            settled.parked[command.command_id] = reasons.pop(command.person_id, BEHIND)
    behind = {unique[command_id].person_id for command_id in applied} & lines.keys()
    behind |= {person_id for person_id, line in lines.items() if _is_to_be_known(line)}
    behind |= {command.person_id for line in lines.values() for command in line.waiting if command.late}
    await _reload([lines[person_id] for person_id in behind], store, stamps)
    return lines


def _is_to_be_known(line: Line) -> bool:
    """Return whether a command is for a person whom the read model lacks: the log says if there is one.

    A create of such a one finds that out at its append.
    """
    first = line.waiting[0] if line.waiting else None
    return line.state.status == "absent" and not isinstance(first, CreatePerson | None)


async def _reload(lines: Sequence[Line], store: Store, stamps: Stamps) -> None:
    streams = await store.streams([line.state.person_id for line in lines])
    for line in lines:
        line.reload(streams[line.state.person_id], stamps)


async def _recall(lines: Sequence[Line], store: Store) -> None:
    """Read what people were, for those of them that are to be so again."""
    streams = await store.streams([line.state.person_id for line in lines])
    for line in lines:
        line.recall(streams[line.state.person_id])


async def _append_firsts(busy: Sequence[Line], store: Store, stamps: Stamps, settled: Settled) -> None:
    """Append the next event of each person, all at once."""
    await _recall([line for line in busy if line.missing()], store)
    planned = await _plan(busy, store, stamps, settled, chained=False)
    planned = await _win_claims(planned, store, stamps, settled)
    if not planned:
        return
    lost = await store.append_each([step.event for _, step in planned])
    for position, (line, step) in enumerate(planned):
        if position not in lost:
            line.settle(step)
    if lost:
        await _reload([planned[position][0] for position in lost], store, stamps)


async def _append_chains(busy: Sequence[Line], store: Store, stamps: Stamps, settled: Settled) -> None:
    """Append the following events of each person that need no claim, in one ordered insert.

    An ordered insert stops at the first lost race, so it may hold several events of one person.
    """
    chain = await _plan(busy, store, stamps, settled, chained=True)
    if not chain:
        return
    done = await store.append_chain([step.event for _, step in chain])
    for line, step in chain[:done]:
        line.settle(step)
    if done < len(chain):
        await _reload([chain[done][0]], store, stamps)


async def _plan(
    busy: Sequence[Line], store: Store, stamps: Stamps, settled: Settled, *, chained: bool
) -> list[tuple[Line, Step]]:
    """Decide what comes next for each person; refusals are on record when this returns."""
    planned: list[tuple[Line, Step]] = []
    refused: list[tuple[Line, Command, Rejection]] = []
    for line in busy:
        steps, refusals = line.plan(stamps, chained=chained)
        planned += [(line, step) for step in steps]
        refused += [(line, command, rejection) for command, rejection in refusals]
    await _refuse(refused, store, stamps, settled)
    return planned


async def _refuse(
    refused: Sequence[tuple[Line, Command, Rejection]],
    store: Store,
    stamps: Stamps,
    settled: Settled,
) -> None:
    """Record refusals, after freeing what was won for them, and before their person's next event.

    A crash in between then leads to another decision, never to a value that is held for nobody; and a
    refused command that comes again after its successor was applied is still refused.
    """
    if not refused:
        return
    await store.release([claim for line, _, _ in refused for claim in line.releases(stamps)])
    now = stamps.clock()
    await store.record_rejections(
        [rejection_document(command, rejection, now) for _, command, rejection in refused]
    )
    for line, command, rejection in refused:
        settled.rejections[command.command_id] = rejection
        line.drop(command.command_id)


async def _win_claims(
    planned: Sequence[tuple[Line, Step]], store: Store, stamps: Stamps, settled: Settled
) -> list[tuple[Line, Step]]:
    """Reserve what the steps need; refuse those whose value belongs to somebody else."""
    wanted = [
        (line, step, Claim(name, line.state.person_id, step.event.version))
        for line, step in planned
        for name in sorted(step.needs)
    ]
    if not wanted:
        return list(planned)
    beaten: dict[str, tuple[Line, Command, Rejection]] = {}
    lost = await store.claim([claim for _, _, claim in wanted])
    for position, (line, step, claim) in enumerate(wanted):
        if position in lost:
            beaten.setdefault(step.command.command_id, (line, step.command, taken(claim.name)))
        else:
            line.claimed.add(claim.name)
    await _refuse(list(beaten.values()), store, stamps, settled)
    return [(line, step) for line, step in planned if step.command.command_id not in beaten]
