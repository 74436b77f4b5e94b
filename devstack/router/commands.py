"""The commands that the router carries out itself; every other one is routed or refused."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from pymongo.errors import OperationFailure, PyMongoError

from devstack.router.members import MAJORITY, Command, Document, Members

_COMMAND_NOT_SUPPORTED: Final = 115
_FAILED_TO_PARSE: Final = 9
_HOST_UNREACHABLE: Final = 6
_SECONDS: Final = 60.0
# Fields that a member adds to an answer for its own clients alone.
_OF_THE_MEMBER: Final = {"$clusterTime", "$configTime", "$topologyTime", "operationTime"}


def refusal(reason: str, code: int = _COMMAND_NOT_SUPPORTED) -> Document:
    """Return the answer to a command that failed or is not carried out here."""
    return {"ok": 0.0, "errmsg": reason, "code": code}


async def administer(members: Members, command: Command) -> Document:
    """Carry out a command that is not routed; return its answer, or why there is none."""
    name = next(iter(command), "")
    action = ADMINISTRATIVE.get(name)
    if action is None:
        return refusal(f"the development router has no {name}")
    try:
        async with asyncio.timeout(_SECONDS):
            answer = await action(members, command)
    except OperationFailure as exc:
        answer = dict(exc.details or refusal(str(exc), exc.code or _COMMAND_NOT_SUPPORTED))
    except (PyMongoError, TimeoutError) as exc:
        return refusal(f"{type(exc).__name__}: {exc}", _HOST_UNREACHABLE)
    except (KeyError, TypeError) as exc:
        return refusal(f"{name} lacks or does not know {exc}", _FAILED_TO_PARSE)
    return {key: value for key, value in answer.items() if key not in _OF_THE_MEMBER}


async def _hello(members: Members, _: Command) -> Document:
    if not members.wire_version:
        return refusal("the config servers do not answer yet", _HOST_UNREACHABLE)
    return {
        "helloOk": True,
        "ismaster": True,
        "isWritablePrimary": True,
        "msg": "isdbgrid",
        "maxBsonObjectSize": 16_777_216,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "localTime": datetime.now(UTC),
        "minWireVersion": 0,
        "maxWireVersion": members.wire_version,
        # No logicalSessionTimeoutMinutes: with sessions, drivers send what aborts a routing mongod.
        "readOnly": False,
        "ok": 1.0,
    }


async def _fine(_: Members, __: Command) -> Document:
    return {"ok": 1.0}


async def _build_info(members: Members, _: Command) -> Document:
    return dict(await members.config.admin.command("buildInfo"))


async def _list_shards(members: Members, _: Command) -> Document:
    return {"shards": await members.config.config.shards.find().to_list(None), "ok": 1.0}


async def _add_shard(members: Members, command: Command) -> Document:
    answer = await members.on_config({"_configsvrAddShard": command["addShard"]})
    await members.look()
    return answer


async def _shard_collection(members: Members, command: Command) -> Document:
    database, _, collection = str(command["shardCollection"]).partition(".")
    owner = await members.database(database)
    client = await members.shard(owner["primary"])
    create = {
        "_shardsvrCreateCollection": collection,
        "shardKey": command["key"],
        "unique": command.get("unique", False),
        "databaseVersion": owner["version"],
        "writeConcern": MAJORITY,
    }
    return dict(await client[database].command(create))


async def _move_range(members: Members, command: Command) -> Document:
    move = {"_configsvrMoveRange": command["moveRange"], "waitForDelete": False}
    bounds = {key: command[key] for key in ("toShard", "min", "max") if key in command}
    return await members.on_config({**move, **bounds})


async def _drop_database(members: Members, command: Command) -> Document:
    name = command["$db"]
    owner = await members.config.config.databases.find_one({"_id": name})
    if owner is None:
        return {"ok": 1.0}
    client = await members.shard(owner["primary"])
    drop = {"_shardsvrDropDatabase": 1, "databaseVersion": owner["version"], "writeConcern": MAJORITY}
    return dict(await client[name].command(drop))


async def _create_indexes(members: Members, command: Command) -> Document:
    return await members.on_all_shards_of(command, command["createIndexes"])


async def _list_indexes(members: Members, command: Command) -> Document:
    return await _whole(members, command, "listIndexes")


async def _list_collections(members: Members, command: Command) -> Document:
    return await _whole(members, command, "listCollections")


async def _whole(members: Members, command: Command, name: str) -> Document:
    """Ask the database's shard, in one batch: its cursor could not be continued through here."""
    if await members.config.config.databases.find_one({"_id": command["$db"]}) is None:
        cursor = {"id": 0, "ns": f"{command['$db']}.${name}", "firstBatch": []}
        return {"cursor": cursor, "ok": 1.0}
    return await members.on_primary_shard({**command, "cursor": {"batchSize": 100_000}})


ADMINISTRATIVE: Final[Mapping[str, Callable[[Members, Command], Awaitable[Document]]]] = {
    "hello": _hello,
    "ismaster": _hello,
    "isMaster": _hello,
    "ping": _fine,
    # A cursor that nobody continues is closed by the member ten minutes later.
    "killCursors": _fine,
    "endSessions": _fine,
    "buildInfo": _build_info,
    "buildinfo": _build_info,
    "listShards": _list_shards,
    "addShard": _add_shard,
    "shardCollection": _shard_collection,
    "moveRange": _move_range,
    "dropDatabase": _drop_database,
    "create": Members.on_primary_shard,
    "createIndexes": _create_indexes,
    "listIndexes": _list_indexes,
    "listCollections": _list_collections,
}
"""By the name that the driver sends."""
