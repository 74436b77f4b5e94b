"""What the router knows of its cluster: the config servers, each shard's set, and who is primary."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

Address = tuple[str, int]
Command = Mapping[str, Any]
Document = dict[str, Any]

MAJORITY: Final = {"w": "majority", "wtimeout": 30_000}
_LOOK_SECONDS: Final = 0.5
_SERVER_MS: Final = 5000
# Fields that a driver adds to a command for the router alone.
_OF_THE_WIRE: Final = {"$db", "$clusterTime", "$readPreference", "lsid", "apiVersion", "maxTimeMS"}


class Members:
    """The cluster's members: the config servers, and each shard's set, watched by a client each.

    Args:
        configdb: The config servers: `name/host:port,host:port`.
    """

    def __init__(self, configdb: str) -> None:
        self.config = _client_of(configdb)
        self.shards: dict[str, AsyncMongoClient[Document]] = {}
        self.wire_version = 0
        self._watching: asyncio.Task[None] | None = None
        self._routing: Address | None = None

    async def __aenter__(self) -> Self:
        """Connect to the config servers, and watch for shards."""
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every client."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        for client in (self.config, *self.shards.values()):
            await client.close()

    async def _watch(self) -> None:
        while True:
            with contextlib.suppress(PyMongoError):
                await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Learn which shards there are."""
        if not self.wire_version:
            self.wire_version = (await self.config.admin.command("hello"))["maxWireVersion"]
        for shard in await self.config.config.shards.find().to_list(None):
            if shard["_id"] not in self.shards:
                client = _client_of(shard["host"])
                await client.aconnect()
                self.shards[shard["_id"]] = client

    def primaries(self) -> list[Address]:
        """Return the shards' primaries, the one that routes at present first: cursors live there."""
        addresses = [address for client in self.shards.values() if (address := _primary_of(client))]
        addresses.sort(key=lambda address: address != self._routing)
        self._routing = addresses[0] if addresses else None
        return addresses

    def is_primary(self, address: Address) -> bool:
        """Return whether a member is the one that routes, and may: it is a primary still."""
        return address in self.primaries()[:1]

    async def on_config(self, command: Document) -> Document:
        """Run a command on the config servers' primary."""
        return dict(await self.config.admin.command({**command, "writeConcern": MAJORITY}))

    async def database(self, name: str) -> Document:
        """Return the cluster's entry of a database, made if there is none."""
        entry = await self.config.config.databases.find_one({"_id": name})
        if entry is None:
            await self.on_config({"_configsvrCreateDatabase": name})
            entry = await self.config.config.databases.find_one({"_id": name})
        return entry or {}

    async def shard(self, name: str) -> AsyncMongoClient[Document]:
        """Return the client of a shard, which may have been added a moment ago."""
        if name not in self.shards:
            await self.look()
        return self.shards[name]

    async def on_primary_shard(self, command: Command) -> Document:
        """Run a command on the shard that owns the database."""
        name = command["$db"]
        client = await self.shard((await self.database(name))["primary"])
        return dict(await client[name].command(_bare(command)))

    async def on_all_shards_of(self, command: Command, collection: str) -> Document:
        """Run a command on every shard that holds a part of a collection."""
        name = command["$db"]
        entry = await self.config.config.collections.find_one({"_id": f"{name}.{collection}"})
        if entry is None:
            return await self.on_primary_shard(command)
        shards = await self.config.config.chunks.distinct("shard", {"uuid": entry["uuid"]})
        clients = [await self.shard(shard) for shard in shards]
        answers = await asyncio.gather(*(client[name].command(_bare(command)) for client in clients))
        return dict(answers[0])


def _client_of(seed: str) -> AsyncMongoClient[Document]:
    name, _, hosts = seed.partition("/")
    return AsyncMongoClient(
        hosts.split(","),
        replicaSet=name,
        heartbeatFrequencyMS=500,
        serverSelectionTimeoutMS=_SERVER_MS,
        tz_aware=True,
    )


def _primary_of(client: AsyncMongoClient[Document]) -> Address | None:
    for member in client.topology_description.server_descriptions().values():
        if member.server_type_name == "RSPrimary":
            host, port = member.address
            return host, port or 27017
    return None


def _bare(command: Command) -> Document:
    return {key: value for key, value in command.items() if key not in _OF_THE_WIRE}
