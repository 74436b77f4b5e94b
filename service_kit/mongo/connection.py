"""Connects to MongoDB: which driver, safe writes and reads, its failures' names."""

import asyncio
import sys
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from inspect import isawaitable
from typing import Any, Final, Protocol, TypeAlias, TypeVar, cast

from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, lock
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.command_cursor import AsyncCommandCursor
from pymongo.asynchronous.cursor import AsyncRawBatchCursor
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    ExecutionTimeout,
    NetworkTimeout,
    PyMongoError,
    WriteError,
    WTimeoutError,
)
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import Nearest, Primary, PrimaryPreferred, SecondaryPreferred, _ServerMode
from pymongo.write_concern import WriteConcern

from events.errors import StoreUnavailable
from service_kit.mongo.lags import seat_tag
from service_kit.settings import Settings

Document: TypeAlias = dict[str, Any]
Client: TypeAlias = AsyncMongoClient[Document]
Database: TypeAlias = AsyncDatabase[Document]
DocumentCollection: TypeAlias = AsyncCollection[Document]
RawCursor: TypeAlias = AsyncRawBatchCursor[Document]
MemberAddress: TypeAlias = tuple[str, int | None]
"""Host and port."""

SELECTION_MS: Final = 3000
"""How long an operation looks for a member; with the deadline below, an answer comes within 5 s."""
OPERATION_MS: Final = 4000
SILENCE_MS: Final = 30_000
MAX_STALENESS_SECONDS: Final = 90

_MAJORITY: Final = ReadConcern("majority")
_CODEC: Final[CodecOptions[Document]] = CodecOptions(tz_aware=True, tzinfo=UTC)
_DUPLICATE_KEY: Final = 11000
_UNAUTHORISED: Final = 13
_TOO_LARGE: Final = 10334
# Interrupted, not primary, stepping down, shutting down, time limits, write concern not met; from a router
# also: no such host or primary (6, 7, 133), its connection lost or slow (145, 202), a chunk on the move (46,
# 63, 112, 13388), no progress since (82); a cursor that was too long idle, or killed (43, 175, 237).
_TRANSIENT_CODES: Final = frozenset(
    {6, 7, 43, 46, 50, 63, 64, 82, 89, 91, 112, 133, 145, 175, 189, 202, 237, 262}
    | {9001, 10107, 11600, 11602, 13388, 13435, 13436}
)
"""https://github.com/mongodb/specifications/blob/master/source/retryable-writes/retryable-writes.md and
https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml"""


def connect(settings: Settings, app: str, *, lasting: bool = False) -> Client:
    """Return a client of the driver that the settings name; it connects when first used.

    PyMongo's asynchronous client and Motor's have the same methods here, so one type stands for both; where
    they differ, `close` and `aggregate` below know how.

    Args:
        settings: Address and driver.
        app: Shown in the server's log.
        lasting: For cursors that are read for as long as it takes. The deadline of an operation would
            end them: the server counts it over all of a cursor's batches. A member that says nothing
            for `SILENCE_MS` is given up all the same.

    Raises:
        ValueError: The settings have no address.
    """
    if settings.mongo_uri is None:
        raise ValueError("there is no address of MongoDB in the settings")
    options: dict[str, Any] = {
        "appname": app,
        "retryWrites": True,
        "retryReads": True,
        "serverSelectionTimeoutMS": SELECTION_MS,
        "connectTimeoutMS": 2000,
        "timeoutMS": OPERATION_MS,
        "maxPoolSize": 64,
    }
    if lasting:
        del options["timeoutMS"]
        options |= {"socketTimeoutMS": SILENCE_MS, "waitQueueTimeoutMS": SELECTION_MS, "maxPoolSize": 16}
    uri = settings.mongo_uri.get_secret_value()
    if settings.mongo_driver == "motor":
        from motor.motor_asyncio import AsyncIOMotorClient

        return cast(Client, AsyncIOMotorClient(uri, **options))
    if sys.version_info < (3, 12):
        lock.wait_for = _wait_for  # type: ignore[assignment, attr-defined]
    return AsyncMongoClient(uri, **options)


async def _wait_for(awaitable: Awaitable[bool], timeout: float | None) -> bool:  # noqa: ASYNC109
    """Wait for a condition of the driver's, as `asyncio.wait_for` does from Python 3.12 on.

    Up to Python 3.11 that runs the wait in a task of its own. Two cancellations in a row end the caller
    before that task, which then takes the lock of the condition for nobody: all later operations wait for
    it for ever, deadlines notwithstanding. PyMongo waits so for a connection and for a member.

    Args:
        awaitable: What to wait for.
        timeout: Seconds.

    Returns:
        What the awaitable returns.

    Raises:
        TimeoutError: It took longer.
    """
    async with asyncio.timeout(timeout):
        return await awaitable


async def close(client: Client) -> None:
    """Close a client of either driver: PyMongo's close is awaited, Motor's not."""
    closing = client.close()
    if closing is not None:
        await closing


async def aggregate(
    collection: DocumentCollection, pipeline: Sequence[Mapping[str, Any]]
) -> AsyncCommandCursor[Document]:
    """Return a cursor over what a pipeline makes of a collection, with either driver."""
    cursor: Any = collection.aggregate(pipeline)
    if isawaitable(cursor):  # PyMongo's is, Motor's is a cursor already
        cursor = await cursor
    return cast(AsyncCommandCursor[Document], cursor)


DatabaseT_co = TypeVar("DatabaseT_co", covariant=True)


class OpensDatabases(Protocol[DatabaseT_co]):
    """Gives databases: a client, asynchronous or not."""

    def get_database(
        self,
        name: str,
        codec_options: CodecOptions[Document] | None,
        read_preference: _ServerMode | None,
        write_concern: WriteConcern | None,
        read_concern: ReadConcern | None,
    ) -> DatabaseT_co:
        """Return a database."""


def writing(client: OpensDatabases[DatabaseT_co], name: str) -> DatabaseT_co:
    """Return the database for the worker: primary, majority reads, majority (so journaled) writes."""
    return client.get_database(
        name,
        codec_options=_CODEC,
        read_preference=Primary(),
        write_concern=WriteConcern(w="majority"),
        read_concern=_MAJORITY,
    )


def reading(client: OpensDatabases[DatabaseT_co], name: str, *, strong: bool) -> DatabaseT_co:
    """Return the database for queries.

    Majority reads never show what a failover could take back.

    Args:
        client: A client.
        name: Database name.
        strong: True for the primary, else a secondary not staler than 90 s, if there is one.
    """
    preference = Primary() if strong else SecondaryPreferred(max_staleness=MAX_STALENESS_SECONDS)
    return client.get_database(
        name,
        codec_options=_CODEC,
        read_preference=preference,
        write_concern=None,
        read_concern=_MAJORITY,
    )


def newest(client: Client, name: str) -> Database:
    """Return the database for queries of the primary or, while there is none, of a secondary.

    Args:
        client: A client.
        name: Database name.
    """
    return reading(client, name, strong=True).with_options(read_preference=PrimaryPreferred())


def in_seat(number: int) -> Nearest:
    """Return the read preference for the member of each shard in a seat, primary or secondary."""
    return Nearest(tag_sets=[{seat_tag(number): "held"}])


def is_transient(exc: PyMongoError) -> bool:
    """Return whether the same operation may succeed later (network, election, time limit)."""
    if isinstance(exc, BulkWriteError):
        # Of several shards, one may have refused duplicates while another was away.
        details = exc.details or {}
        errors = [*details.get("writeErrors", []), *details.get("writeConcernErrors", [])]
        codes = {error.get("code") for error in errors} - {_DUPLICATE_KEY}
        return bool(codes) and codes <= _TRANSIENT_CODES
    if isinstance(exc, AutoReconnect | ConnectionFailure | ExecutionTimeout | NetworkTimeout):
        return True
    if isinstance(exc, WTimeoutError) or exc.timeout:
        return True
    return getattr(exc, "code", None) in _TRANSIENT_CODES or exc.has_error_label("RetryableWriteError")


def refuses_all(exc: Exception) -> bool:
    """Return whether MongoDB refuses the service, whatever the document: a right or a setting is missing.

    What it says of single documents comes as write errors; that a document cannot be encoded or is too
    large comes from `bson`, whose errors are no `PyMongoError`.
    """
    if isinstance(exc, BulkWriteError):
        details = exc.details or {}
        codes = {error.get("code") for error in details.get("writeErrors", [])}
        return bool(details.get("writeConcernErrors")) or _UNAUTHORISED in codes
    if getattr(exc, "code", None) == _TOO_LARGE:
        return False
    return isinstance(exc, PyMongoError) and not isinstance(exc, WriteError)


def kept_out(exc: BulkWriteError) -> set[int]:
    """Return the positions of the documents that a unique index kept out.

    Raises:
        BulkWriteError: Something else failed, too.
    """
    details = exc.details or {}
    errors = details.get("writeErrors", [])
    if details.get("writeConcernErrors") or any(error["code"] != _DUPLICATE_KEY for error in errors):
        raise exc
    return {error["index"] for error in errors}


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn the driver's transient failures into ours; others pass, being faults of the code.

    Raises:
        StoreUnavailable: MongoDB is away, electing, or too slow.
    """
    try:
        yield
    except PyMongoError as exc:
        if is_transient(exc):
            raise StoreUnavailable(f"MongoDB does not answer: {type(exc).__name__}") from exc
        raise
