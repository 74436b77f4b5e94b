"""Owns the collection `parked`: each person's waiting commands, in order; decides nothing.

A person with a command in it is parked. Of one person, only the consumer of the person's partition writes
here, so what is read stays true until it writes; one that lost its connection meanwhile adds nothing that is
not in the queue again.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from events.commands import Command
from events.errors import StoreUnavailable
from service_kit.mongo import store_errors
from workers.faults import Reason

_TRIES: Final = 5
_MESSAGE: Final = {"_id": 0, "command_id": 1, "body": 1}
_PLACES: Final = {"_id": 0, "person_id": 1, "command_id": 1, "position": 1}


@dataclass(frozen=True, slots=True)
class Waiting:
    """A command that is to wait.

    Attributes:
        command: The command.
        body: The message, as it was received.
        reason: Why it waits.
        failed: Whether it was tried, in vain.
    """

    command: Command
    body: bytes
    reason: Reason
    failed: bool


class ParkedLines:
    """The collection, as the worker uses it.

    Every method raises `StoreUnavailable` when MongoDB is away; the same call may then be repeated.

    Args:
        parked: The collection.
        insert: Inserts documents; returns the positions of those that a unique index kept out.
    """

    def __init__(self, parked: Any, insert: Callable[..., Awaitable[set[int]]]) -> None:
        self._parked = parked
        self._insert = insert

    async def lines(self, person_ids: Collection[str]) -> dict[str, dict[str, int]]:
        """Return the waiting commands of each person that is parked: their places, by command id."""
        found: dict[str, dict[str, int]] = {}
        with store_errors():
            waiting = self._parked.find({"person_id": {"$in": list(person_ids)}}, _PLACES)
            for document in await waiting.to_list(None):
                line = found.setdefault(document["person_id"], {})
                line[document["command_id"]] = document["position"]
        return found

    async def append(self, waiting: Sequence[Waiting], now: datetime) -> None:
        """Put commands at the end of their people's lines; one that is there already stays where it is.

        One after the other, so that none is there without the one before it.

        Args:
            waiting: In the order in which each person's are to be applied.
            now: The time, UTC.
        """
        for _ in range(_TRIES):
            lines = await self.lines({one.command.person_id for one in waiting})
            documents = []
            for one in waiting:
                line = lines.setdefault(one.command.person_id, {})
                if one.command.command_id not in line:
                    line[one.command.command_id] = max(line.values(), default=0) + 1
                    documents.append(_document(one, line[one.command.command_id], now))
            # Nothing was kept out, or somebody else has put a command there just now: look again.
            if not documents or not await self._insert(self._parked, documents, ordered=True):
                return
        raise StoreUnavailable("MongoDB: a line of parked commands keeps changing")

    async def first(self, person_id: str, limit: int) -> list[tuple[str, bytes]]:
        """Return the ids and messages of the commands at the head of a person's line."""
        with store_errors():
            found = self._parked.find({"person_id": person_id}, _MESSAGE, sort=[("position", 1)], limit=limit)
            return [(document["command_id"], document["body"]) for document in await found.to_list(None)]

    async def some(self, person_id: str, command_ids: Sequence[str]) -> list[tuple[str, bytes]]:
        """Return the ids and messages of some of a person's waiting commands, in order."""
        with store_errors():
            wanted = {"person_id": person_id, "command_id": {"$in": list(command_ids)}}
            found = self._parked.find(wanted, _MESSAGE, sort=[("position", 1)])
            return [(document["command_id"], document["body"]) for document in await found.to_list(None)]

    async def remove(self, person_id: str, command_ids: Collection[str]) -> None:
        """Take commands out of a line: their outcome is on record, and its effects are made."""
        with store_errors():
            await self._parked.delete_many({"person_id": person_id, "command_id": {"$in": list(command_ids)}})

    async def failed_again(self, person_id: str, command_id: str, reason: Reason, now: datetime) -> None:
        """Note that a waiting command was tried, in vain.

        Repeated after a lost answer, it may count one try twice.
        """
        tried = {"reason": reason.kind, "detail": reason.detail, "tried_at": now}
        with store_errors():
            await self._parked.update_one(
                {"person_id": person_id, "command_id": command_id},
                {"$set": tried, "$inc": {"attempts": 1}},
            )


def _document(waiting: Waiting, position: int, now: datetime) -> dict[str, Any]:
    command = waiting.command
    document = {
        "person_id": command.person_id,
        "command_id": command.command_id,
        "position": position,
        "type": command.type,
        "actor": command.actor,
        "accepted_at": command.accepted_at,
        "parked_at": now,
        "body": waiting.body,
        "reason": waiting.reason.kind,
        "detail": waiting.reason.detail,
        "attempts": int(waiting.failed),
    }
    return {**document, "tried_at": now} if waiting.failed else document
