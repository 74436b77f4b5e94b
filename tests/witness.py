"""Watches a sharded cluster's members themselves: which of them carried out what, for whom."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo import MongoClient

from tests.system import System

_VERBS = ("find", "aggregate", "getMore", "insert", "update", "delete", "count")


@dataclass(frozen=True)
class Seen:
    """One operation on one member."""

    shard: str
    role: str
    collection: str
    verb: str


class Witness:
    """Direct connections to every member that holds people."""

    def __init__(self, system: System, database: str = "rollcall") -> None:
        self._database = database
        self._stack = ExitStack()
        self.members: dict[tuple[str, int], MongoClient[dict[str, Any]]] = {}
        for each in system.sets:
            for index, port in enumerate(each.ports):
                client: MongoClient[dict[str, Any]] = MongoClient(
                    "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=5000
                )
                self.members[each.name, index] = self._stack.enter_context(client)

    def close(self) -> None:
        """Close the connections."""
        self._stack.close()

    def role(self, member: tuple[str, int]) -> str:
        """Return `primary` or `secondary`."""
        hello = self.members[member].admin.command("hello")
        return "primary" if hello["isWritablePrimary"] else "secondary"

    @contextmanager
    def watching(self) -> Iterator[list[Seen]]:
        """Profile every member; the list holds what it carried out once the block has ended.

        What a member routes for others (`clusterFind` …) is not among it: that touches no data.
        """
        seen: list[Seen] = []
        for client in self.members.values():
            client[self._database].command({"profile": 2})
        began = datetime.now(UTC)
        try:
            yield seen
        finally:
            for member, client in self.members.items():
                database = client[self._database]
                database.command({"profile": 0})
                # A secondary cannot drop what it has profiled before.
                entries = list(database["system.profile"].find({"ts": {"$gte": began}}))
                role = self.role(member)
                seen += [Seen(member[0], role, *what) for entry in entries if (what := _what(entry))]

    def reads(self, collection: str) -> dict[tuple[str, int], int]:
        """Return how many queries each member has answered on a collection since it was started."""
        name = f"{self._database}.{collection}"
        return {
            member: client.admin.command("top")["totals"].get(name, {}).get("queries", {}).get("count", 0)
            for member, client in self.members.items()
        }


def _what(entry: dict[str, Any]) -> tuple[str, str] | None:
    """Return the collection and the verb of a profiled operation, if a router sent it."""
    command = entry.get("command", {})
    collection = entry["ns"].partition(".")[2]
    # What query APIs ask all the time, and what workers note of the feed now and then.
    if collection in ("system.profile", "lags", "rounds", "feed_marks", "feed_gaps"):
        return None
    if "afterClusterTime" in command.get("readConcern", {}):  # a worker that asks whether a member lags
        return None
    if entry["op"] in ("update", "remove"):  # single statements of a bulk, without their command
        return collection, {"remove": "delete"}.get(entry["op"], entry["op"])
    verb = next(iter(command), "")
    return (collection, verb) if verb in _VERBS else None
