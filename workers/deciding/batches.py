"""Decides and appends one batch, round by round, until each command has its outcome."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from events.person.commands import Command
from events.person.decider import PersonState
from service_kit.mongo.connection import Document
from service_kit.mongo.keys import PersonKeys
from service_kit.read_model import is_current, state_of
from service_kit.seals.opening import ERASED
from workers.announcing.feed_store import KnownGaps
from workers.deciding.apart import decide_apart
from workers.deciding.claiming import Planned, PlannedEventless, win_claims
from workers.deciding.eventless import (
    eventless_document,
    first_commands,
    outcome_on_record,
    versions_on_record,
)
from workers.deciding.person_batch import DecisionInputs, PersonBatch
from workers.erasing.going_ahead import ErasuresAhead, going_ahead, what_follows
from workers.outcomes import (
    BEHIND,
    LOG_BEHIND,
    CommandOutcome,
    Outcomes,
    ParkedCommand,
    Reason,
)
from workers.parking.parked import WaitingCommands
from workers.store import Store
from workers.streams import Streams


class BatchDecider:
    """Decides batches; repeated after any failure, it comes to the same outcomes, found in the log.

    Args:
        store: The collections.
        streams: The log by people.
        keys: The people's keys.
        waiting: The commands that wait.
        gaps: The people to whose streams nothing may be appended.
        inputs: Clock, ids and person schema.
    """

    def __init__(
        self,
        store: Store,
        streams: Streams,
        keys: PersonKeys,
        waiting: WaitingCommands,
        gaps: KnownGaps,
        inputs: DecisionInputs,
    ) -> None:
        self._store = store
        self._streams = streams
        self._keys = keys
        self._waiting = waiting
        self._gaps = gaps
        self._inputs = inputs
        self._erasures = ErasuresAhead(streams, waiting, inputs.schema)

    async def decide_batch(
        self,
        commands: Sequence[Command],
        unprojected: Mapping[str, PersonState],
        retried: Collection[str] = (),
    ) -> Outcomes:
        """Decide a batch as `decide_together` does; if that fails, find out for whom, and park them alone.

        What fails for many is done again for fewer people, then for one command at a time. That is
        harmless: what got into the log before is found there.

        Raises:
            StoreUnavailable: MongoDB is away.
        """
        by_person: dict[str, list[Command]] = {}
        for command in commands:
            by_person.setdefault(command.person_id, []).append(command)
        return await decide_apart(self.decide_together, list(by_person.values()), unprojected, retried)

    async def decide_together(
        self,
        commands: Sequence[Command],
        unprojected: Mapping[str, PersonState],
        retried: Collection[str] = (),
    ) -> Outcomes:
        """Decide a batch and append its events; commands of parked people are left to wait.

        Args:
            commands: In the order in which each person's must be applied; ids may repeat.
            unprojected: People whose last events are in the log but perhaps not yet in the read model.
            retried: Parked people whose own commands these are.

        Returns:
            The outcome of each command: in the log, on record as rejected, or to be parked.

        Raises:
            StoreUnavailable: MongoDB is away; some events may be in.
        """
        await self._inputs.load_claims()
        people, outcomes = await self._load(commands, unprojected, retried)
        await self._decide_all(people, outcomes)
        followed = [one for one in people if one.following]
        for one in followed:
            behind = {command.command_id: ParkedCommand(command, BEHIND) for command in what_follows(one)}
            outcomes.update(behind)
        await self._decide_all(followed, outcomes)
        await self._store.release([claim for one in people for claim in one.claims_to_free(self._inputs)])
        for one in people:
            outcomes.update((outcome.command.command_id, outcome) for outcome in one.outcomes())
        return outcomes

    async def _decide_all(self, people: Sequence[PersonBatch], outcomes: dict[str, CommandOutcome]) -> None:
        """Decide all that is undecided; what makes no event is put into the outcomes."""
        busy = [one for one in people if one.undecided]
        while busy:
            # By turns: one event of each person, of whom most have no more; then the rest of those who do.
            outcomes |= await self._append_firsts(busy)
            busy = [one for one in busy if one.undecided]
            if busy:
                outcomes |= await self._append_chains(busy)
                busy = [one for one in busy if one.undecided]

    async def _load(
        self, commands: Sequence[Command], unprojected: Mapping[str, PersonState], retried: Collection[str]
    ) -> tuple[list[PersonBatch], dict[str, CommandOutcome]]:
        """Return each person with the commands to decide, and the outcomes that are certain already."""
        person_ids = list({command.person_id: None for command in commands})
        command_ids = [command.command_id for command in commands]
        keys = [command.idempotency_id for command in commands if command.idempotency_id is not None]
        applied, eventless, heads, parked, person_keys = await asyncio.gather(
            self._store.applied(person_ids, command_ids, keys),
            self._store.eventless(person_ids, command_ids, keys),
            self._store.heads([person_id for person_id in person_ids if person_id not in unprojected]),
            self._waiting.positions(person_ids),
            self._keys.find(person_ids),
        )
        people: dict[str, PersonBatch] = {}
        schema = self._inputs.schema
        reasons: dict[str, Reason] = {}
        erased = {one for one, state in unprojected.items() if state.status == "erased"}
        bare = going_ahead(commands, {*parked} - {*retried} - erased, applied, eventless)
        for person_id in person_ids:
            if person_id in bare:
                continue
            if person_id in parked and person_id not in retried and person_id not in erased:
                continue  # its head may be what cannot be read
            if person_id in self._gaps.people:
                reasons[person_id] = LOG_BEHIND
                continue
            head = heads.get(person_id)
            # One in another form, while a projection is rolled out, says nothing: the log is folded.
            known = state_of(head, schema) if head and is_current(head, schema) else PersonState(person_id)
            state = unprojected.get(person_id) or known
            people[person_id] = PersonBatch(state, before=state, key=person_keys.get(person_id))
        firsts = first_commands((*applied.values(), *eventless.values())) if keys else {}
        outcomes: dict[str, CommandOutcome] = {}
        unique: dict[str, Command] = {}
        again: list[tuple[Command, Document]] = []
        for command in commands:
            unique.setdefault(command.command_id, command)
        for person_id, its in bare.items():
            people[person_id] = await self._erasures.batch_of(person_id, its, person_keys.get(person_id))
        for command in unique.values():
            if command.person_id in bare and command in bare[command.person_id]:
                continue
            # Should both be on record, as when a sweep rejected what was under way, the log is right.
            if command.command_id in eventless and command.command_id not in applied:
                again.append((command, eventless[command.command_id]))
            elif command.person_id in people:
                people[command.person_id].add_command(command, firsts)
            else:
                reason = reasons.pop(command.person_id, BEHIND)
                outcomes[command.command_id] = ParkedCommand(command, reason)
        unknown = {unique[one].person_id for one in applied if one in unique} & people.keys()
        unknown |= {person_id for person_id, one in people.items() if one.needs_log}
        await self._read_log([people[person_id] for person_id in unknown])
        newest = {person_id: head["version"] for person_id, head in heads.items()}
        newest |= {person_id: one.state.version for person_id, one in people.items()}
        outcomes |= await self._from_record(again, newest)
        return list(people.values()), outcomes

    async def _from_record(
        self, again: Collection[tuple[Command, Document]], newest: Mapping[str, int]
    ) -> Outcomes:
        """Return the outcomes of commands that got theirs before, without an event."""
        steps = await self._streams.steps_at(versions_on_record(again))
        outcomes = [
            outcome_on_record(
                one,
                document,
                steps.get(one.person_id, {}),
                newest.get(one.person_id),
                self._inputs.schema,
            )
            for one, document in again
        ]
        return {outcome.command.command_id: outcome for outcome in outcomes}

    async def _read_log(self, people: Collection[PersonBatch]) -> None:
        folded = [one for one in people if not one.is_bare]
        for one in people:
            if one.is_bare:
                await self._erasures.read_again(one)
        readings = await self._streams.read({one.state.person_id: one.undecided for one in folded})
        for one in folded:
            one.take_from_log(readings[one.state.person_id], self._inputs)

    async def _read_past(self, people: Collection[PersonBatch]) -> None:
        """Read what people were, for those of them that are to be so again."""
        missing = {one.state.person_id: missing for one in people if (missing := one.missing_versions())}
        steps = await self._streams.steps_at(missing)
        for one in people:
            one.recall_versions(steps.get(one.state.person_id, {}))

    async def _append_firsts(self, busy: Sequence[PersonBatch]) -> Outcomes:
        """Append the next event of each person, all at once; return the outcomes that are no event."""
        await self._read_past(busy)
        planned, eventless = await self._plan(busy, chained=False)
        (planned, beaten), known = await asyncio.gather(
            self._win_claims(planned), self._keep_new_keys(planned)
        )
        if known:
            planned = [(one, decision) for one, decision in planned if one.state.person_id not in known]
        if planned:
            lost = await self._store.append_each([decision.event for _, decision in planned])
            for position, (one, decision) in enumerate(planned):
                if position not in lost:
                    one.note_appended(decision)
            if lost:
                # Another worker was faster, or the command was applied before: the log tells which.
                await self._read_log([planned[position][0] for position in lost])
        return {**eventless, **beaten}

    async def _keep_new_keys(self, planned: Planned) -> set[str]:
        """Put the keys of new people on record, and return those whose key was there before.

        With that one, what was decided is decided again; if it was destroyed, the log tells why.
        """
        new = {one.state.person_id: one for one, _ in planned if one.has_new_key}
        if not new:
            return set()
        known = await self._keys.insert(
            {person_id: key for person_id, one in new.items() if (key := one.key)}
        )
        for person_id, one in new.items():
            one.take_key(known.get(person_id) if person_id in known else one.key)
        await self._read_log([new[person_id] for person_id, key in known.items() if key is ERASED])
        return set(known)

    async def _append_chains(self, busy: Sequence[PersonBatch]) -> Outcomes:
        """Append the following events of each person that need no claim, in one ordered insert.

        An ordered insert stops at the first lost race, so it may hold several events of one person.
        """
        planned, eventless = await self._plan(busy, chained=True)
        if planned:
            count = await self._store.append_chain([decision.event for _, decision in planned])
            for one, decision in planned[:count]:
                one.note_appended(decision)
            if count < len(planned):
                await self._read_log([planned[count][0]])
        return eventless

    async def _plan(self, busy: Sequence[PersonBatch], *, chained: bool) -> tuple[Planned, Outcomes]:
        """Decide what comes next for each person; what makes no event is on record when this returns."""
        planned: Planned = []
        eventless: list[PlannedEventless] = []
        for one in busy:
            decisions, outcomes = one.decide_next(self._inputs, chained=chained)
            planned += [(one, decision) for decision in decisions]
            eventless += [(one, outcome) for outcome in outcomes]
        return planned, await self._record_eventless(eventless)

    async def _record_eventless(self, eventless: Collection[PlannedEventless]) -> Outcomes:
        """Record outcomes, after freeing what was won for them, and before their person's next event.

        A crash in between then leads to another decision, never to a value that is held for nobody; and such
        a command that comes again after its successor was applied has still the same outcome.
        """
        if not eventless:
            return {}
        freed = [claim for one, _ in eventless for claim in one.claims_to_free(self._inputs)]
        await self._store.release(freed)
        now = self._inputs.clock()
        await self._store.record_eventless([eventless_document(outcome, now) for _, outcome in eventless])
        for one, outcome in eventless:
            one.note_eventless(outcome.command)
        return {outcome.command.command_id: outcome for _, outcome in eventless}

    async def _win_claims(self, planned: Planned) -> tuple[Planned, Outcomes]:
        """Reserve what the decisions need; reject those whose value belongs to somebody else."""
        beaten = await win_claims(planned, self._store, self._inputs)
        outcomes = await self._record_eventless(beaten.values())
        return [(one, d) for one, d in planned if d.command.command_id not in beaten], outcomes
