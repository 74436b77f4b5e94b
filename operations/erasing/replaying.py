"""Does again what the journal of erasures says, after a restore: destroys keys, and hands the erasures in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from pathlib import Path

from events.person.commands import ErasePerson, Erasure
from service_kit.erasure_journal import JournalLine, journal_batches
from service_kit.mongo.keys import PersonKeys

_SOURCE = "/rollcall/journal"


async def replay_journal(
    journal: Path,
    keys: PersonKeys,
    hand_in: Callable[[Sequence[ErasePerson]], Awaitable[object]],
    progress: Callable[[int], None],
) -> int:
    """Destroy every key that the journal names, then ask for each erasure again, under its old id.

    Once more does no harm: a key is destroyed once, and a command is known by its id. A person may be in
    several lines.

    Args:
        journal: A file of it, or the folder of all.
        keys: The people's keys.
        hand_in: Takes commands to the broker.
        progress: Is given how many lines are done.

    Returns:
        How many lines there are.

    Raises:
        Unavailable: MongoDB or RabbitMQ is away; all of it may be done again.
        ValueError: A line is none of the journal's.
    """
    # All keys first: nothing is to open while the rest is still to be asked for.
    for lines in journal_batches(journal):
        for line in lines:
            await keys.destroy(line.person_id, datetime.fromisoformat(line.erased_at))
    count = 0
    for lines in journal_batches(journal):
        await hand_in([_command(line) for line in lines])
        count += len(lines)
        progress(count)
    return count


def _command(line: JournalLine) -> ErasePerson:
    return ErasePerson(
        command_id=line.command_id,
        person_id=line.person_id,
        source=_SOURCE,
        accepted_at=datetime.fromisoformat(line.erased_at),
        actor=line.actor,
        correlation_id=line.command_id,
        data=Erasure.model_validate({"reason": line.reason, "from_journal": True}),
    )
