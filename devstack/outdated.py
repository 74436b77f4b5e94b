"""Tells whether the read model must be rebuilt before the query API can serve it; writes nothing."""

from __future__ import annotations

from typing import Any

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from events.errors import StoreUnavailable
from events.person.schema.lifting import in_force
from operations.errors import SetupError
from service_kit.mongo.schema_record import SchemaRecord
from service_kit.read_model import PROJECTION, projection_of

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
            schemas = [one.schema for one in SchemaRecord(client, database).all()]
            needed = projection_of(in_force(schemas)) if schemas else PROJECTION
            older = {"projection": {"$not": {"$gte": needed}}}
            return client[database]["people"].find_one(older, {"_id": 1}) is not None
    except StoreUnavailable as exc:
        raise SetupError(f"{exc.detail}.") from exc
    except PyMongoError as exc:
        raise SetupError(f"MongoDB does not answer ({type(exc).__name__}).") from exc
