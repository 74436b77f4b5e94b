"""Owns finding out whose failure it is: what fails for many is done for fewer, down to one command."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from events.commands import Command
from events.decider import PersonState
from workers.batches import Settled, settle
from workers.faults import BEHIND, Reason, concerns_one, reason_of
from workers.lines import Stamps
from workers.store import Store


async def settle_apart(
    commands: Sequence[Command],
    store: Store,
    stamps: Stamps,
    pending: Mapping[str, PersonState],
    retried: Collection[str] = (),
) -> Settled:
    """Settle a batch as `settle` does; a command that fails, and its person's after it, become `parked`.

    Everything is done again for fewer people, then for one command at a time, which is harmless: what got
    into the log is found there.

    Raises:
        StoreUnavailable: MongoDB is away.
    """
    people: dict[str, list[Command]] = {}
    for command in commands:
        people.setdefault(command.person_id, []).append(command)
    return await _Settling(store, stamps, pending, retried).people(list(people.values()))


@dataclass(frozen=True, slots=True)
class _Settling:
    store: Store
    stamps: Stamps
    pending: Mapping[str, PersonState]
    retried: Collection[str]

    async def people(self, lines: list[list[Command]]) -> Settled:
        """Settle some people's commands."""
        commands = [command for line in lines for command in line]
        try:
            return await settle(commands, self.store, self.stamps, self.pending, self.retried)
        except Exception as exc:
            if not concerns_one(exc):
                raise
        if len(lines) == 1:
            return await self.one_by_one(lines[0])
        middle = len(lines) // 2
        settled = Settled()
        settled.add(await self.people(lines[:middle]))
        settled.add(await self.people(lines[middle:]))
        return settled

    async def one_by_one(self, line: list[Command]) -> Settled:
        """Settle one person's commands up to the one that fails; the rest waits behind it."""
        settled = Settled()
        for number, command in enumerate(line):
            pending = {**self.pending, **settled.states}
            try:
                done = await settle([command], self.store, self.stamps, pending, self.retried)
            except Exception as exc:
                if not concerns_one(exc):
                    raise
                settled.parked |= {later.command_id: BEHIND for later in line[number:]}
                settled.parked[command.command_id] = reason_of(exc)
                break
            settled.add(done)
        return settled


async def project_apart(settled: Settled, store: Store) -> dict[str, Reason]:
    """Bring the read model to a settled batch; return why it failed, for the people of whom it did.

    Raises:
        StoreUnavailable: MongoDB is away.
    """
    return await _project(list(settled.states), settled, store)


async def _project(people: list[str], settled: Settled, store: Store) -> dict[str, Reason]:
    states = {person_id: settled.states[person_id] for person_id in people}
    try:
        await store.project(states, settled.fresh, settled.bases)
    except Exception as exc:
        if not concerns_one(exc):
            raise
        if len(people) == 1:
            return {people[0]: reason_of(exc)}
        middle = len(people) // 2
        first = await _project(people[:middle], settled, store)
        return first | await _project(people[middle:], settled, store)
    return {}
