"""The collection `parked`: each person's waiting commands, in order.

A person with a command in it is parked. Of one person, only the consumer of the person's partition writes
here, so what is read stays true until it writes; one that lost its connection meanwhile adds nothing that is
not in the queue again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from events.errors import StoreUnavailable
from service_kit.mongo.connection import DocumentCollection, store_errors
from service_kit.mongo.transport_keys import Opened, TransportKeys
from service_kit.seals.messages import read_sealed
from workers.outcomes import ParkedCommand, Reason
from workers.store import insert_new

_TRIES: Final = 5
_MESSAGE: Final = {"_id": 0, "command_id": 1, "body": 1}
_POSITIONS: Final = {"_id": 0, "person_id": 1, "command_id": 1, "position": 1}


@dataclass(frozen=True, slots=True)
class WaitingMessage:
    """A command that is to wait, and the body of its message, as it was received: sealed."""

    outcome: ParkedCommand
    body: bytes


class WaitingCommands:
    """The collection, as the worker uses it.

    Every method raises `StoreUnavailable` when MongoDB is away; the same call may then be repeated.

    Args:
        parked: The collection.
        keys: What the messages are sealed with.
    """

    def __init__(self, parked: DocumentCollection, keys: TransportKeys) -> None:
        self._parked = parked
        self._keys = keys

    async def positions(self, person_ids: Collection[str]) -> dict[str, dict[str, int]]:
        """Return the waiting commands of each person that is parked: their positions, by command id."""
        found: dict[str, dict[str, int]] = {}
        with store_errors():
            waiting = self._parked.find({"person_id": {"$in": list(person_ids)}}, _POSITIONS)
            for document in await waiting.to_list(None):
                its = found.setdefault(document["person_id"], {})
                its[document["command_id"]] = document["position"]
        return found

    async def park(self, waiting: Sequence[WaitingMessage], now: datetime) -> None:
        """Put commands behind those of their people that wait; one that is there already stays where it is.

        One after the other, so that none is there without the one before it.

        Args:
            waiting: In the order in which each person's are to be applied.
            now: The time, UTC.
        """
        for _ in range(_TRIES):
            by_person = await self.positions({one.outcome.command.person_id for one in waiting})
            documents = []
            for one in waiting:
                command = one.outcome.command
                its = by_person.setdefault(command.person_id, {})
                if command.command_id not in its:
                    its[command.command_id] = max(its.values(), default=0) + 1
                    documents.append(_parked_document(one, its[command.command_id], now))
            # Nothing was kept out, or somebody else has put a command there just now: look again.
            if not documents or not await insert_new(self._parked, documents, ordered=True):
                return
        raise StoreUnavailable("MongoDB: the waiting commands of a person keep changing")

    async def oldest(self, person_id: str, limit: int) -> list[tuple[str, Opened]]:
        """Return the commands of a person that wait longest: their ids, and what is in the messages."""
        return await self._opened({"person_id": person_id}, limit)

    async def of_types(self, person_id: str, types: Collection[str]) -> list[Opened]:
        """Return what is in the messages of a person's waiting commands of some types, in order."""
        found = await self._opened({"person_id": person_id, "type": {"$in": list(types)}})
        return [message for _, message in found]

    async def messages(self, person_id: str, command_ids: Sequence[str]) -> list[tuple[str, Opened]]:
        """Return some of a person's waiting commands, in order, as `oldest` does."""
        return await self._opened({"person_id": person_id, "command_id": {"$in": list(command_ids)}})

    async def _opened(self, wanted: dict[str, Any], limit: int = 0) -> list[tuple[str, Opened]]:
        with store_errors():
            cursor = self._parked.find(wanted, _MESSAGE, sort=[("position", 1)], limit=limit)
            found = await cursor.to_list(None)
        opened = await self._keys.open_all([bytes(document["body"]) for document in found])
        return [(document["command_id"], one) for document, one in zip(found, opened, strict=True)]

    async def remove(self, person_id: str, command_ids: Collection[str]) -> None:
        """Wait for commands no more: their outcome is on record, and all that follows is done."""
        with store_errors():
            await self._parked.delete_many({"person_id": person_id, "command_id": {"$in": list(command_ids)}})

    async def note_failure(self, person_id: str, command_id: str, reason: Reason, now: datetime) -> None:
        """Note that a waiting command was tried, in vain.

        Repeated after a lost answer, it may count one try twice.
        """
        tried = {"reason": reason.kind, "detail": reason.detail, "tried_at": now}
        with store_errors():
            await self._parked.update_one(
                {"person_id": person_id, "command_id": command_id},
                {"$set": tried, "$inc": {"attempts": 1}},
            )


def _parked_document(waiting: WaitingMessage, position: int, now: datetime) -> dict[str, Any]:
    command, reason = waiting.outcome.command, waiting.outcome.reason
    sealed = read_sealed(waiting.body)
    document = {
        "person_id": command.person_id,
        "command_id": command.command_id,
        "position": position,
        "type": command.type,
        "actor": command.actor,
        "accepted_at": command.accepted_at,
        "parked_at": now,
        "body": waiting.body,
        "transport_key": sealed.key_id if sealed else None,
        "reason": reason.kind,
        "detail": reason.detail,
        "attempts": int(waiting.outcome.failed),
    }
    return {**document, "tried_at": now} if waiting.outcome.failed else document
