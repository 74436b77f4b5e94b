"""Reads and adds to the record of the person schema: each that was prepared or put in force, in order."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError, OperationFailure

from events.errors import StoreUnavailable
from events.log.applied_schema import SCHEMA_STREAM, AppliedSchema, SchemaLog, schema_log
from events.log.event import RecordedEvent
from events.log.stored import SCHEMA_EVENTS, event_document
from service_kit.mongo.connection import Document, reading, store_errors, writing

WAIT_MS: Final = 2_000
"""How long a start waits for the record."""
_STREAM: Final = {"person_id": SCHEMA_STREAM}
_UNAUTHORISED: Final = 13
_NOT_AUTHENTICATED: Final = 18


class SchemaRecord:
    """The record, on the primary.

    Every method raises `StoreUnavailable` while MongoDB is away, or refuses.

    Args:
        client: Of the driver that waits.
        database: Database name.
    """

    def __init__(self, client: MongoClient[Document], database: str) -> None:
        self._events = reading(client, database, strong=True)[SCHEMA_EVENTS]
        self._written = writing(client, database)[SCHEMA_EVENTS]

    def all(self) -> list[AppliedSchema]:
        """Return what was put in force, the oldest first.

        Raises:
            WrongFile: This code is older than what put one on record.
        """
        return self.read().applied

    def read(self) -> SchemaLog:
        """Return all that is on record.

        Raises:
            WrongFile: This code is older than what put one on record.
        """
        with _errors():
            return schema_log(self._events.find(_STREAM, sort=[("version", 1)]))

    def add(self, event: RecordedEvent) -> bool:
        """Append an event; return whether it is there: another one may have its place."""
        with _errors():
            try:
                self._written.insert_one(event_document(event))
            except DuplicateKeyError:
                return False
        return True


@contextmanager
def open_record(uri: str, database: str) -> Iterator[SchemaRecord]:
    """Keep the record open, with little patience, for as long as the block runs.

    Args:
        uri: MongoDB's connection string.
        database: Database name.
    """
    with MongoClient[Document](
        uri,
        appname="rollcall schema",
        serverSelectionTimeoutMS=WAIT_MS,
        connectTimeoutMS=WAIT_MS,
        timeoutMS=WAIT_MS,
    ) as client:
        yield SchemaRecord(client, database)


@contextmanager
def _errors() -> Iterator[None]:
    try:
        with store_errors():
            yield
    except OperationFailure as exc:
        if exc.code == _UNAUTHORISED:
            text = "MongoDB: the record of the person schema is closed: run mongo-cluster/initialise.py"
            raise StoreUnavailable(text) from exc
        if exc.code == _NOT_AUTHENTICATED:
            raise StoreUnavailable("MongoDB: it refuses the user or password in ROLLCALL_MONGO_URI") from exc
        raise
