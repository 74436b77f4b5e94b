"""Finds out for which of its people a batch fails, by deciding it for fewer and fewer of them."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

from events.person.commands import Command
from events.person.decider import PersonState
from workers.outcomes import (
    BEHIND,
    CommandOutcome,
    Outcomes,
    ParkedCommand,
    changes_of_people,
    concerns_one,
    reason_of,
)

Decide = Callable[[Sequence[Command], Mapping[str, PersonState], Collection[str]], Awaitable[Outcomes]]
"""Decides some commands; arguments as of `workers.deciding.batches.BatchDecider.decide_together`."""


async def decide_apart(
    decide: Decide,
    people: Sequence[Sequence[Command]],
    unprojected: Mapping[str, PersonState],
    retried: Collection[str],
) -> Outcomes:
    """Decide together; if that fails, the halves apart, and in the end one command at a time.

    Args:
        decide: Decides some commands.
        people: The commands of each person, in order.
        unprojected: As of `decide`.
        retried: As of `decide`.

    Raises:
        StoreUnavailable: MongoDB is away.
    """
    try:
        return await decide([one for its in people for one in its], unprojected, retried)
    except Exception as exc:
        if not concerns_one(exc):
            raise
    if len(people) == 1:
        return await _decide_one_by_one(decide, people[0], unprojected, retried)
    middle = len(people) // 2
    first = await decide_apart(decide, people[:middle], unprojected, retried)
    return {**first, **await decide_apart(decide, people[middle:], unprojected, retried)}


async def _decide_one_by_one(
    decide: Decide,
    commands: Sequence[Command],
    unprojected: Mapping[str, PersonState],
    retried: Collection[str],
) -> Outcomes:
    """Decide one person's commands up to the one that fails; the rest waits behind it."""
    outcomes: dict[str, CommandOutcome] = {}
    for number, command in enumerate(commands):
        states = {one: change.after for one, change in changes_of_people(outcomes).items()}
        try:
            outcomes |= await decide([command], {**unprojected, **states}, retried)
        except Exception as exc:
            if not concerns_one(exc):
                raise
            outcomes |= {later.command_id: ParkedCommand(later, BEHIND) for later in commands[number:]}
            outcomes[command.command_id] = ParkedCommand(command, reason_of(exc))
            break
    return outcomes
