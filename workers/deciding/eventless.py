"""What is on record of commands: of those whose outcome is no event, and of idempotency keys. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, assert_never

from events.log.stored import BESIDE
from events.person.commands import Command
from events.person.outcomes import UNCHANGED
from events.person.rejections import IdempotencyKeyReused, rejection_of
from events.person.schema.declarations import PersonSchema
from service_kit.milestones import Step
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


def versions_on_record(again: Iterable[tuple[Command, Mapping[str, Any]]]) -> dict[str, set[int]]:
    """Return the versions, by person id, at which commands changed nothing.

    Args:
        again: Commands that are asked again, each with what is on record of it.
    """
    versions: dict[str, set[int]] = defaultdict(set)
    for command, document in again:
        if document["code"] == UNCHANGED:
            versions[command.person_id].add(document["version"])
    return versions


def outcome_on_record(
    command: Command,
    document: Mapping[str, Any],
    steps: Mapping[int, Step],
    newest: int | None,
    schema: PersonSchema,
) -> EventlessCommand:
    """Return the outcome that a command got before.

    Args:
        command: What is asked again.
        document: What is on record of it.
        steps: Events of its person by version; for one that changed nothing, that of its version is there.
        newest: The person's version now; None if it is not known.
        schema: What a person is.
    """
    if document["code"] == UNCHANGED:
        version: int = document["version"]
        state = steps[version].after
        return UnchangedCommand(command, state, document["accepted_at"], former=newest != version)
    rejection = rejection_of(document["code"], document["detail"], document.get("version"), schema)
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
