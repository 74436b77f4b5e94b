"""Says what is decided of a parked person when an erase goes ahead of what waits. Pure.

What waits fails, perhaps for ever, and an erase is not to wait for that. It is decided on what needs no fold:
version, hash and holds. But holds were asked for to be heeded: those that wait count, and come first.
"""

from collections.abc import Sequence
from dataclasses import replace

from events.person.commands import Command, ErasePerson, HoldPerson, Protection
from events.person.decider import PersonState


def ahead_of_line(
    state: PersonState, waiting: Sequence[Protection], commands: Sequence[Command]
) -> tuple[PersonState, list[Command], list[Command]]:
    """Return the state to decide on, the commands to decide, and those for an erased person alone.

    Args:
        state: The person, without fields.
        waiting: What waits about holds, in order.
        commands: The person's commands that came now, in order; one of them, at least, is an erase.
    """
    erasures = [command for command in commands if isinstance(command, ErasePerson)]
    upto = commands[: commands.index(erasures[-1])]
    before = [*waiting, *(command for command in upto if isinstance(command, Protection))]
    left = dict(state.holds)
    for one in before:
        if isinstance(one, HoldPerson):
            left[one.data.reference] = one.data.reason
        else:
            left.pop(one.data.reference, None)
    rest = [command for command in commands if command not in erasures and command not in before]
    first = erasures[0]
    expected = first.expected_versions
    if (left and not first.data.from_journal) or (expected is not None and state.version not in expected):
        # Refused, then: nothing of the line is touched, and its holds are named.
        others = [command for command in before if command in commands]
        return replace(state, holds=left), list(erasures), [*others, *rest]
    if state.status == "absent":
        # Of somebody who never was there is nothing to hold.
        return state, list(erasures), [*(one for one in before if one in commands), *rest]
    # What comes before it makes versions that nobody could have expected.
    erasures[0] = first.model_copy(update={"expected_versions": None})
    return state, [*before, *erasures], rest
