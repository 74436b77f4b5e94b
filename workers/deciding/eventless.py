"""What is on record of commands: of those whose outcome is no event, and of idempotency keys. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, assert_never

from events.log.event import RecordedEvent
from events.log.stored import BESIDE
from events.person.commands import Command
from events.person.decider import fold
from events.person.outcomes import UNCHANGED
from events.person.rejections import REJECTIONS, IdempotencyKeyReused
from service_kit.read_model import rejection_document, unchanged_document
from workers.outcomes import EventlessCommand, RejectedCommand, UnchangedCommand


def eventless_document(outcome: EventlessCommand, time: datetime) -> dict[str, Any]:
    """Return what is to be on record of an outcome.

    Args:
        outcome: What became of a command.
        time: When that was decided, UTC.
    """
    match outcome:
        case RejectedCommand(command=command, rejection=rejection):
            return rejection_document(command, rejection, time)
        case UnchangedCommand(command=command, state=state):
            return unchanged_document(command, state.version, time)
        case _:
            assert_never(outcome)


def outcome_on_record(
    command: Command, document: Mapping[str, Any], stream: Sequence[RecordedEvent]
) -> EventlessCommand:
    """Return the outcome that a command got before.

    Args:
        command: What is asked again.
        document: What is on record of it.
        stream: All events of its person; only needed for one that changed nothing.
    """
    if document["code"] == UNCHANGED:
        version: int = document["version"]
        state = fold(command.person_id, stream[:version])
        return UnchangedCommand(command, state, document["accepted_at"], former=len(stream) > version)
    rejection = REJECTIONS[document["code"]](document["detail"], document.get("version"))
    return RejectedCommand(command, rejection, document["accepted_at"])


def first_commands(documents: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the command that had each idempotency id first, by that; of a command of before it is the same.

    Args:
        documents: What is on record of commands.
    """
    return {one.get(BESIDE, one["command_id"]): one["command_id"] for one in documents}


def repeats(command: Command, first_commands: Mapping[str, str]) -> bool:
    """Return whether a command is a repeat of one of before, when a command's id was that of its key.

    Args:
        command: The command.
        first_commands: The command that had each idempotency id first.

    Raises:
        IdempotencyKeyReused: Its key came before, with another command.
    """
    if command.idempotency_id is None:
        return False
    first = first_commands.get(command.idempotency_id, command.command_id)
    if first not in (command.command_id, command.idempotency_id):
        raise IdempotencyKeyReused(
            "the same Idempotency-Key came before, with other content or another If-Match"
        )
    return first == command.idempotency_id
