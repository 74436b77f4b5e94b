"""Adds shards; creates, shards and indexes the collections that `collections.json` lists."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from deployment import Access, Client, ReplicaSet
from pymongo import IndexModel
from pymongo.errors import OperationFailure

from events.person.schema.declarations import PersonSchema
from service_kit.mongo.collections import PEOPLE, Collection, Index, collections_of, keys_database

_LATER: Final = frozenset({6, 7, 46, 70, 117, 133, 189, 91, 10107, 13436})
"""Host unreachable or not found, lock busy, shard not found yet, conflicting operation, no primary yet."""


def ensure_shards(client: Client, shards: Sequence[ReplicaSet], access: Access) -> list[str]:
    """Add the shards that the cluster lacks; return a line for each.

    Raises:
        NotReady: The cluster does not take one before time is over.
    """
    if not shards:
        return []
    changes = []
    known = {shard["_id"] for shard in client.admin.command("listShards")["shards"]}
    for shard in shards:
        if shard.name not in known:
            _steadily(access, client, {"addShard": shard.seed, "name": shard.name})
            changes.append(f"added shard {shard.name}")
    return changes


def ensure_collections(
    client: Client, database: str, schema: PersonSchema, access: Access, *, drop_unused: bool
) -> list[str]:
    """Create, index and shard the collections; return a line for each change.

    Indexes come before sharding, while a collection is empty: the server then refuses a unique index
    that no shard could keep, and puts chunks on every shard at once.

    Args:
        client: Of the deployment.
        database: The services' database.
        schema: The person schema: says by what people are found and sorted.
        access: How long to wait.
        drop_unused: Whether indexes of people that the schema does not want are dropped, or only named.

    Raises:
        NotReady: The deployment does not do it before time is over.
    """
    changes = []
    routed = _is_routed(client)
    there = {
        (home, name)
        for home in (database, keys_database(database))
        for name in client[home].list_collection_names()
    }
    for collection in collections_of(schema):
        home = collection.home(database)
        name = f"{home}.{collection.name}"
        if (home, collection.name) not in there:
            client[home].create_collection(collection.name)
            changes.append(f"created collection {collection.name}")
        changes += _ensure_indexes(client, home, collection)
        if routed and not _is_sharded(client, name):
            _steadily(access, client, {"shardCollection": name, "key": dict(collection.shard_key)})
            shards = len(client.admin.command("listShards")["shards"])
            changes.append(f"sharded {collection.name} over {shards} shards")
        if collection.name == PEOPLE:
            changes += _unused_indexes(client, database, collection, drop=drop_unused)
    return changes


def _unused_indexes(client: Client, database: str, collection: Collection, *, drop: bool) -> list[str]:
    wanted = {index.name for index in collection.indexes} | {"_id_", "_id_hashed"}
    unused = sorted(set(client[database][collection.name].index_information()) - wanted)
    if not drop:
        return [f"index {name} on {collection.name} is of no use: --drop-unused drops it" for name in unused]
    for name in unused:
        client[database][collection.name].drop_index(name)
    return [f"dropped index {name} on {collection.name}" for name in unused]


def _ensure_indexes(client: Client, database: str, collection: Collection) -> list[str]:
    there = client[database][collection.name].index_information()
    missing = []
    for index in collection.indexes:
        found = there.get(index.name)
        if found is None:
            missing.append(index)
        elif _kind(found) != (index.unique, index.keys, index.expires, _partial(index)):
            raise OperationFailure(_otherwise(collection, index))
    if missing:
        client[database][collection.name].create_indexes(list(map(_model, missing)))
    return [f"created index {index.name} on {collection.name}" for index in missing]


def _kind(found: Mapping[str, Any]) -> tuple[bool, tuple[Any, ...], bool, Any]:
    partial = found.get("partialFilterExpression")
    return bool(found.get("unique")), tuple(found["key"]), "expireAfterSeconds" in found, partial


def _partial(index: Index) -> dict[str, Any] | None:
    return None if index.where is None else {index.where: {"$exists": True}}


def _model(index: Index) -> IndexModel:
    # What the field holds is when a document ends: no seconds after that.
    more: dict[str, Any] = {"expireAfterSeconds": 0} if index.expires else {}
    if partial := _partial(index):
        more["partialFilterExpression"] = partial
    return IndexModel(list(index.keys), unique=index.unique, **more)


def _otherwise(collection: Collection, index: Index) -> str:
    return f"index {index.name} on {collection.name} is there, but not as described: drop it by hand first"


def _is_routed(client: Client) -> bool:
    return client.admin.command("hello").get("msg") == "isdbgrid"


def _is_sharded(client: Client, name: str) -> bool:
    found = client.config.collections.find_one({"_id": name})
    return found is not None and "key" in found


def _steadily(access: Access, client: Client, command: dict[str, Any]) -> None:
    """Run a command of the cluster, again while it says that it cannot just now."""
    while True:
        try:
            client.admin.command(command)
        except OperationFailure as exc:
            if exc.code not in _LATER or time.monotonic() > access.deadline:
                raise
            time.sleep(0.2)
        else:
            return
