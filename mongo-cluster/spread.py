"""Gives every shard an equal part of each collection; for a cluster that has got another shard.

The balancer of MongoDB evens out too, but only what differs by 384 MB, and in its own time. Run twice, this
moves nothing. Usage: python mongo-cluster/spread.py, with the same environment as initialise.py.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bson import MaxKey, MinKey
from bson.int64 import Int64
from deployment import Access, Client, Deployment
from order import Order
from pymongo.errors import PyMongoError

from service_kit.mongo.collections import load_collections

_LEAST, _END = -(2**63), 2**63
"""Hashes are signed numbers of 64 bits; the first chunk begins at MinKey and the last ends at MaxKey."""
TOLERANCE: Final = 2**64 // 100
"""A hundredth of all hashes: less is not worth a move."""


@dataclass(frozen=True)
class Range:
    """Hashes from `low` up to, not including, `high`, and the shard that holds them."""

    low: int
    high: int
    shard: str


def moves(ranges: Sequence[Range], shards: Sequence[str]) -> list[Range]:
    """Return what to move where so that each shard holds as many hashes as the others.

    Args:
        ranges: Who holds what now; all hashes, each once.
        shards: Every shard, also one that holds nothing.

    Returns:
        Ranges with the shard that is to hold them, each within one of the present ranges.
    """
    fair = 2**64 // len(shards)
    surplus = dict.fromkeys(shards, -fair)
    for one in ranges:
        surplus[one.shard] += one.high - one.low
    planned = []
    for one in sorted(ranges, key=lambda one: one.low):
        high = one.high
        for shard in shards:
            size = min(surplus[one.shard], -surplus[shard], high - one.low)
            if high - one.low - size < TOLERANCE:
                size = min(size + TOLERANCE, high - one.low)  # no sliver is left behind
            if size > TOLERANCE:
                planned.append(Range(high - size, high, shard))
                high -= size
                surplus[one.shard] -= size
                surplus[shard] += size
    return planned


def spread(client: Client, database: str) -> Iterable[str]:
    """Move what is to move; give a line for each move, once it is done.

    Raises:
        PyMongoError: The cluster refuses, or is not sharded.
    """
    shards = sorted(shard["_id"] for shard in client.admin.command("listShards")["shards"])
    for collection in load_collections():
        name = f"{collection.home(database)}.{collection.name}"
        ((key, _),) = collection.shard_key
        for one in moves(_ranges(client, name, key), shards):
            bounds = {"min": {key: _bound(one.low)}, "max": {key: _bound(one.high)}}
            client.admin.command({"moveRange": name, **bounds, "toShard": one.shard})
            share = (one.high - one.low) / 2**64
            yield f"moved {share:.0%} of {collection.name} to {one.shard}"


def _ranges(client: Client, name: str, key: str) -> list[Range]:
    known = client.config.collections.find_one({"_id": name})
    if known is None:
        raise ValueError(f"{name} is not sharded: run initialise.py first")
    chunks = client.config.chunks.find({"uuid": known["uuid"]})
    return [
        Range(_hash(chunk["min"][key], _LEAST), _hash(chunk["max"][key], _END), chunk["shard"])
        for chunk in chunks
    ]


def _hash(bound: Any, limit: int) -> int:
    return limit if isinstance(bound, MinKey | MaxKey) else int(bound)


def _bound(value: int) -> object:
    if value == _LEAST:
        return MinKey()
    return MaxKey() if value == _END else Int64(value)


def main() -> None:
    """Spread what the environment names, and say what moved."""
    moved = False
    try:
        order = Order.read(os.environ)
        access = Access.of(order.key_file, order.seconds)
        uri = order.uri or (Deployment.read(order.description).uri if order.description else "")
        with access.open(uri) as client:
            for line in spread(client, order.database):
                print(line, flush=True)
                moved = True
    except (PyMongoError, OSError, ValueError, KeyError) as exc:
        sys.exit(f"could not spread: {exc}")
    if not moved:
        print("nothing to move")


if __name__ == "__main__":
    main()
