"""Reads the log in MongoDB for operators: the events of people, accounts and the schema, in one order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from heapq import merge
from itertools import chain
from operator import itemgetter
from typing import Any, Final

from bson.codec_options import CodecOptions, DatetimeConversion
from bson.min_key import MinKey
from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.errors import PyMongoError

from events.access.batch import ACCESSES
from events.log.event import GONE
from events.log.stored import ACCOUNT_EVENTS, EVENTS
from operations.access_links import link_of_batch
from operations.addresses import DatabaseAddress
from operations.errors import SetupError
from operations.log_links import NOT_HASHED, link_of_document
from operations.log_opening import Keyed, Opening
from operations.log_places import BESIDE_PEOPLE, STRAY_PLACES, is_of
from operations.side_by_side import beside
from service_kit.mongo.connection import reading, store_errors
from verifier import Finding, Link

_SELECTION_MS: Final = 10_000
_SOCKET_MS: Final = 60_000
_BATCH: Final = 2_000
_COUNT_MS: Final = 3_000
_ORDER: Final = [("person_id", 1), ("version", 1)]
_SAMPLED: Final = 20
"""People looked at for each range: so many that ranges differ little in size."""
# Times without a zone are cheaper, and all are UTC. What no event of ours holds is to become a finding and no
# error: times beyond the year 9999 stay numbers, and bytes that are no UTF-8 are replaced.
_CODEC: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    tz_aware=False,
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    unicode_decode_error_handler="replace",
)
_RARER: Final = 4
"""Ranges of people for each one of accounts."""


def connect(address: DatabaseAddress) -> MongoClient[dict[str, Any]]:
    """Return a client for a walk: no deadline on a whole cursor, but one on silence.

    Raises:
        SetupError: The address is none.
    """
    with refusals():
        return MongoClient(
            address.uri,
            appname="rollcall cli",
            serverSelectionTimeoutMS=_SELECTION_MS,
            connectTimeoutMS=_SELECTION_MS,
            socketTimeoutMS=_SOCKET_MS,
        )


class LogReader:
    """A connection to the log: the events of people, those of accounts, and those of the schema.

    Every method raises `StoreUnavailable` when MongoDB is away, and `SetupError` when it refuses.

    Args:
        address: Where the log is.
        opening: Opens sealed values, or proves them, where that is asked for.
    """

    def __init__(self, address: DatabaseAddress, opening: Opening | None = None) -> None:
        self._client = connect(address)
        self._opening = opening
        near, strong = (
            reading(self._client, address.database, strong=strong).with_options(codec_options=_CODEC)
            for strong in (False, True)
        )
        self._people = near[EVENTS], strong[EVENTS]
        self._accesses = near[ACCESSES], strong[ACCESSES]
        self._beside = {name: (near[name], strong[name]) for name in BESIDE_PEOPLE}

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def borders(self, ranges: int, *, accounts: bool = False) -> list[str]:
        """Return ids that split the people into about so many ranges of about the same number of events.

        Args:
            ranges: How many.
            accounts: Whether the streams of accounts are split, too: into some more.
        """
        ids = _borders(self._people[0], ranges)
        return (
            sorted({*ids, *_borders(self._beside[ACCOUNT_EVENTS][0], ranges // _RARER)}) if accounts else ids
        )

    def links(self, after: str | None, to: str | None) -> Iterator[Link]:
        """Yield the events of all streams after one id, up to another, from a secondary if there is one."""
        return self._links({"person_id": between(after, to)}, strong=False)

    def links_of(self, stream: str) -> Iterator[Link]:
        """Yield one stream's events, from the primary."""
        return self._links({"person_id": stream}, strong=True)

    def _links(self, query: Mapping[str, Any], *, strong: bool) -> Iterator[Link]:
        if self._opening is None:
            read = self._read(query, _ORDER, _place, strong=strong, without=NOT_HASHED)
            events: Iterator[Link] = map(link_of_document, read)
        else:
            events = self._opening.links(self._client, self._read(query, _ORDER, _place, strong=strong))
        batches = map(link_of_batch, read_all(self._accesses[strong], query, _ORDER))
        first = next(batches, None)
        if first is None:
            return events
        return merge(events, chain((first,), batches), key=itemgetter(0, 1))

    def _read(
        self,
        query: Mapping[str, Any],
        order: Sequence[tuple[str, int]],
        place: Callable[[Mapping[str, Any]], tuple[Any, ...]],
        *,
        strong: bool,
        without: Sequence[str] = (),
    ) -> Iterator[dict[str, Any]]:
        """Yield the events that a query finds in all the log, in one order."""
        events = read_all(self._people[strong], query, order, without)
        for name, places in self._beside.items():
            few = filter(is_of(name), read_all(places[strong], query, order, without))
            events = beside(events, few, place)
        return events

    def documents(self, after: str | None, to: str | None, *, strong: bool) -> Iterator[Keyed]:
        """Yield the events of the people after one id, up to another, as they are stored, with the keys.

        Args:
            after: The id before the first.
            to: The last id.
            strong: Ask the primary; else a secondary, if there is one.
        """
        return self._keyed({"person_id": between(after, to)}, strong=strong)

    def documents_of(self, person_ids: Sequence[str]) -> Iterator[Keyed]:
        """Yield the events of some people as they are stored, in order, from the primary, with the keys."""
        return self._keyed({"person_id": {"$in": list(person_ids)}}, strong=True)

    def _keyed(self, query: Mapping[str, Any], *, strong: bool) -> Iterator[Keyed]:
        if self._opening is None:
            raise ValueError("this reader was made for what needs no keys")
        return self._opening.beside(self._client, read_all(self._people[strong], query, _ORDER))

    def deleted_of(self, person_ids: Sequence[str]) -> set[str]:
        """Return which people are deleted, as the primary has them."""
        with refusals():
            wanted = {"person_id": {"$in": list(person_ids)}, "type": {"$in": sorted(GONE)}}
            return {one["person_id"] for one in self._people[True].find(wanted, {"person_id": 1})}

    def applied(self, conditions: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Yield events as they are stored, in order of applied time and id, from a secondary if possible."""
        return self._read(conditions, [("applied_at", 1), ("_id", 1)], _moment, strong=False)

    def applied_at(self, event_id: str) -> datetime | None:
        """Return when an event was applied, UTC; None if there is no such event."""
        with refusals():
            for _, strong in (self._people, *self._beside.values()):
                event = strong.find_one({"_id": event_id}, {"applied_at": 1})
                if event is not None:
                    return event["applied_at"].replace(tzinfo=UTC)  # type: ignore[no-any-return]
        return None

    def count(self, conditions: Mapping[str, Any]) -> int | None:
        """Return how many events there are; None if that is not known soon."""
        try:
            return sum(
                int(near.count_documents(conditions, maxTimeMS=_COUNT_MS))
                for near, _ in (self._people, *self._beside.values())
            )
        except PyMongoError:
            return None

    def strays(self) -> Iterator[Finding]:
        """Yield a finding for each event that belongs to nobody, or is kept where it does not belong.

        The ranges pass over the first. The second are what somebody could write who may add to a log that
        is not people's.
        """
        logs = {EVENTS: self._people, **self._beside}
        for name, places, text in STRAY_PLACES:
            near, _ = logs[name]
            with refusals():
                for first, end in places:
                    strays = near.find({}, {"_id": 1}, hint=_ORDER)
                    for document in strays.min(_border(first)).max(_border(end)):
                        yield Finding("altered", text, event_id=str(document["_id"]))


def _borders(collection: Collection[dict[str, Any]], ranges: int) -> list[str]:
    pipeline = [{"$sample": {"size": ranges * _SAMPLED}}, {"$project": {"_id": 0, "person_id": 1}}]
    with refusals():
        sample = sorted(
            document["person_id"]
            for document in collection.aggregate(pipeline)
            if isinstance(document.get("person_id"), str)
        )
    return sorted(set(sample[_SAMPLED::_SAMPLED]))


def _place(document: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return an event's place in the order of streams; of a version that is no number, some place."""
    version = document.get("version")
    return document["person_id"], version if isinstance(version, int | float) else 0


def _moment(document: Mapping[str, Any]) -> tuple[Any, ...]:
    return document["applied_at"], document["_id"]


def _border(person_id: Any) -> list[tuple[str, Any]]:
    """Return a place in the index, before all versions."""
    return [("person_id", person_id), ("version", MinKey())]


def between(after: str | None, to: str | None) -> dict[str, str]:
    """Return the condition of an id after one, up to another; None for no bound."""
    bounds = {"$gte": ""} if after is None else {"$gt": after}
    return bounds if to is None else {**bounds, "$lte": to}


def read_all(
    collection: Collection[dict[str, Any]],
    query: Mapping[str, Any],
    order: Sequence[tuple[str, int]],
    without: Sequence[str] = (),
) -> Iterator[dict[str, Any]]:
    """Yield every document that a query finds, in order, without some fields, however long that takes.

    Raises:
        StoreUnavailable: MongoDB is away.
        SetupError: It refuses.
    """
    with refusals():
        cursor = collection.find(query, dict.fromkeys(without, 0) or None, sort=order, batch_size=_BATCH)
        while batch := cursor.to_list(_BATCH):
            yield from batch


@contextmanager
def refusals() -> Iterator[None]:
    """Turn the driver's failures into ours.

    Raises:
        StoreUnavailable: MongoDB is away.
        SetupError: It refuses.
    """
    try:
        with store_errors():
            yield
    except PyMongoError as exc:
        code = getattr(exc, "code", None)
        what = type(exc).__name__ if code is None else f"{type(exc).__name__}, code {code}"
        raise SetupError(f"MongoDB refuses: {what}.") from exc
