"""Queries on parked people: who is parked and why, which commands wait, how many people there are."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from prometheus_client import Gauge
from pydantic import Field

from events.errors import NotFound, StoreUnavailable
from events.times import rfc3339
from query_api.people.queries import Answer, Page, Reads
from query_api.reading.cursors import MAX_CURSOR, Cursor, fingerprint, invalid_cursor
from query_api.reading.forms import MAX_PAGE, ReadQuery
from service_kit.mongo.transport_keys import TransportKeys

COUNT_SECONDS: Final = 2.0
PEOPLE: Final = Gauge("rollcall_parked_people", "People whose commands wait; NaN if MongoDB did not tell")
COMMANDS: Final = Gauge("rollcall_parked_commands", "Commands that wait; NaN if MongoDB did not tell")
_ORDER: Final = {"person_id": 1, "position": 1}
_HEAD: Final = ("command_id", "reason", "detail", "attempts", "tried_at")


class ParkedQuery(ReadQuery):
    """Parameters of the lists of parked people and of what waits of one."""

    limit: int = Field(default=50, ge=1, le=MAX_PAGE, description="Items a page")
    cursor: str | None = Field(default=None, max_length=MAX_CURSOR, description="`next` of the page before")


class ParkedReads:
    """The queries, each from a secondary unless a strong one is asked for.

    Every method raises `StoreUnavailable` when MongoDB does not answer in time.

    Args:
        reads: Finds documents.
        keys: What the messages are sealed with.
    """

    def __init__(self, reads: Reads, keys: TransportKeys) -> None:
        self._reads = reads
        self._keys = keys

    async def people(self, query: ParkedQuery) -> Page:
        """Return a page of parked people, by id, each with the command at the head of its line."""
        mark = fingerprint({"of": "people"})
        after = (
            {}
            if query.cursor is None
            else {"$gt": Cursor.decode(query.cursor, "parked", mark, self._reads.cursors).key}
        )
        pipeline: list[dict[str, Any]] = [
            {"$match": {"person_id": after} if after else {}},
            {"$sort": _ORDER},
            {
                "$group": {
                    "_id": "$person_id",
                    "waiting": {"$sum": 1},
                    "since": {"$min": "$parked_at"},
                    **{name: {"$first": f"${name}"} for name in _HEAD},
                }
            },
            {"$sort": {"_id": 1}},
            {"$limit": query.limit + 1},
        ]
        answer = await self._reads.aggregate("parked", pipeline, strong=query.strong)
        following = None
        if len(answer.documents) > query.limit:
            answer.documents.pop()
            following = Cursor("parked", mark, answer.documents[-1]["_id"], "").encode(self._reads.cursors)
        return Page(Answer([_person(one) for one in answer.documents], answer.member), following, None)

    async def line(self, person_id: str, query: ParkedQuery, *, opened: bool) -> Page:
        """Return a page of what waits of a person, in order.

        Args:
            person_id: The person.
            query: Which page.
            opened: With the messages.

        Raises:
            NotFound: Nothing does.
        """
        mark = fingerprint({"of": person_id})
        wanted: dict[str, Any] = {"person_id": person_id}
        if query.cursor is not None:
            key = Cursor.decode(query.cursor, "position", mark, self._reads.cursors).key
            if not (key.isascii() and key.isdigit() and len(key) < 10):
                raise invalid_cursor("is no cursor of this API")
            wanted["position"] = {"$gt": int(key)}
        answer = await self._in_order(wanted, query.limit + 1, strong=query.strong)
        if not (answer.documents or query.cursor or query.strong):
            answer = await self._in_order(wanted, query.limit + 1, strong=True)
        if not answer.documents and query.cursor is None:
            raise NotFound(f"nothing waits of a person {person_id}")
        following = None
        if len(answer.documents) > query.limit:
            answer.documents.pop()
            following = Cursor("position", mark, str(answer.documents[-1]["position"]), "").encode(
                self._reads.cursors
            )
        messages = await self._messages(answer.documents) if opened else [None] * len(answer.documents)
        items = [_command(*pair) for pair in zip(answer.documents, messages, strict=True)]
        return Page(Answer(items, answer.member), following, None)

    async def _messages(self, documents: Sequence[Mapping[str, Any]]) -> list[str | None]:
        found = await self._keys.open_all([bytes(one["body"]) for one in documents])
        return [one.decode(errors="replace") if isinstance(one, bytes) else None for one in found]

    async def summary(self, person_id: str, limit: int) -> tuple[list[dict[str, Any]], bool]:
        """Return the first commands that wait of a person, without messages, and whether there are more."""
        answer = await self._in_order({"person_id": person_id}, limit + 1, strong=True)
        times = ("accepted_at", "parked_at")
        commands = [
            {
                **{name: one[name] for name in ("command_id", "type", "actor", "reason")},
                **{name: rfc3339(one[name]) for name in times},
            }
            for one in answer.documents[:limit]
        ]
        return commands, len(answer.documents) > limit

    async def _in_order(self, wanted: Mapping[str, Any], limit: int, *, strong: bool) -> Answer:
        order = list(_ORDER.items())
        return await self._reads.find("parked", wanted, {}, strong=strong, sort=order, limit=limit)

    async def command(self, person_id: str, command_id: str, *, strong: bool) -> Answer:
        """Return why a command waits, if it does."""
        wanted = {"person_id": person_id, "command_id": command_id}
        return await self._reads.find("parked", wanted, {"reason": 1, "detail": 1}, strong=strong)

    async def count(self) -> None:
        """Bring the gauges up to date, within `COUNT_SECONDS`."""
        pipeline: list[dict[str, Any]] = [
            {"$group": {"_id": "$person_id", "commands": {"$sum": 1}}},
            {"$group": {"_id": None, "people": {"$sum": 1}, "commands": {"$sum": "$commands"}}},
        ]
        counted: Mapping[str, float] = {"people": 0, "commands": 0}
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                answer = await self._reads.aggregate("parked", pipeline, strong=False)
            if answer.documents:
                counted = answer.documents[0]
        except (StoreUnavailable, TimeoutError):
            counted = {"people": float("nan"), "commands": float("nan")}
        PEOPLE.set(counted["people"])
        COMMANDS.set(counted["commands"])


def _person(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "person_id": document["_id"],
        "waiting": document["waiting"],
        "since": rfc3339(document["since"]),
        **_why(document),
    }


def _command(document: Mapping[str, Any], message: str | None) -> dict[str, Any]:
    return {
        "type": document["type"],
        "actor": document["actor"],
        "accepted_at": rfc3339(document["accepted_at"]),
        "parked_at": rfc3339(document["parked_at"]),
        **_why(document),
        "message": message,
    }


def _why(document: Mapping[str, Any]) -> dict[str, Any]:
    tried = document.get("tried_at")
    return {
        **{name: document[name] for name in _HEAD if name != "tried_at"},
        "tried_at": rfc3339(tried) if tried else None,
    }
