"""Tells whether the read model must be rebuilt before the query API can serve it; writes nothing."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from operations.errors import SetupError
from service_kit.read_model import PROJECTION

_ANSWER_MS = 10_000


def is_outdated(uri: str, database: str) -> bool:
    """Return whether a document of the read model is in an older form than ours.

    Raises:
        SetupError: MongoDB does not answer.
    """
    client: MongoClient[dict[str, Any]] = MongoClient(
        uri, serverSelectionTimeoutMS=_ANSWER_MS, socketTimeoutMS=_ANSWER_MS
    )
    try:
        with client:
            older = {"projection": {"$not": {"$gte": PROJECTION}}}
            return client[database]["people"].find_one(older, {"_id": 1}) is not None
    except PyMongoError as exc:
        raise SetupError(f"MongoDB does not answer ({type(exc).__name__}).") from exc
