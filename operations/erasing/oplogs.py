"""Finds out how far back each member's oplog goes: what was written before that is not in it any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from bson.timestamp import Timestamp
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from operations.addresses import DatabaseAddress

_LOOK_MS: Final = 3000
_MEMBER_OPTIONS: Final = ("authSource", "authMechanism", "tls", "tlsCAFile", "tlsCertificateKeyFile")
Oplogs = Mapping[str, datetime | None]
"""By member: the time of the oldest entry; None where it could not be looked at."""


def oldest_entries(address: DatabaseAddress) -> Oplogs:
    """Return the time of the oldest oplog entry of every member that has people, perhaps of all shards.

    Args:
        address: A replica set, or routers.
    """
    try:
        with MongoClient[dict[str, Any]](address.uri, serverSelectionTimeoutMS=_LOOK_MS) as client:
            members = list(_members(client))
    except PyMongoError:
        return {"every member": None}
    return {member: _oldest(member, address) for member in members}


def _members(client: MongoClient[dict[str, Any]]) -> Iterator[str]:
    hello = client.admin.command("hello")
    if hello.get("msg") != "isdbgrid":
        yield from hello.get("hosts", ())
        return
    for shard in client["config"]["shards"].find():
        yield from shard["host"].rpartition("/")[2].split(",")


def _oldest(member: str, address: DatabaseAddress) -> datetime | None:
    given = parse_uri(address.uri)
    options = {name: given["options"][name] for name in _MEMBER_OPTIONS if name in given["options"]}
    if given["username"] is not None:
        options |= {"username": given["username"], "password": given["password"]}
        options.setdefault("authSource", given["database"] or "admin")
    try:
        with MongoClient[dict[str, Any]](
            member,
            directConnection=True,
            serverSelectionTimeoutMS=_LOOK_MS,
            socketTimeoutMS=_LOOK_MS,
            **options,
        ) as client:
            entries = client["local"]["oplog.rs"].find({}, {"ts": 1}, sort=[("$natural", 1)], limit=1)
            stamp: Timestamp = next(entries)["ts"]
    except (PyMongoError, StopIteration):
        # A user of a service may not read it: whoever wants to know asks as somebody who may.
        return None
    return datetime.fromtimestamp(stamp.time, UTC)
