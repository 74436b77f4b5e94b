"""The verb that compares the feed with the log: status 0 equal, 1 differences, 2 they could not be read."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from aio_pika.abc import AbstractConnection
from aiormq.channel import Channel

from events.errors import BrokerUnavailable, Unavailable
from events.times import to_milliseconds
from operations.addresses import server_settings
from operations.errors import SetupError
from operations.terminal import print_progress, print_result, user_name
from service_kit.broker.connection import broker_errors, connected
from service_kit.broker.feed_comparison import Difference, EventReference, compare, reach
from service_kit.broker.stream import OPEN_SECONDS, newest_if_any
from service_kit.broker.topology import WORKERS
from service_kit.mongo import connection as mongo
from workers.announcing.announcer import Announcer
from workers.announcing.feed_store import FeedStore
from workers.announcing.mark_search import beginning

EQUAL, DIFFERENT, CANNOT = 0, 1, 2
_UNDER_WAY: Final = timedelta(seconds=10)
"""An event so young may be on its way."""
_AGAIN_SECONDS: Final = 5.0
_AT_ONCE: Final = 500
_ROUNDS: Final = 1_000
_ASKED_TIMES: Final = 240


def add_feed(parser: argparse.ArgumentParser) -> None:
    """Sub-verbs of `feed` and their options."""
    words = parser.add_subparsers(dest="action", metavar="check|mend", required=True)
    checking = words.add_parser("check", help="name what the feed or the log lacks of the other")
    mending = words.add_parser("mend", help="announce what the feed lacks, each person's in order")
    checking.add_argument(
        "--accept-loss",
        action="store_true",
        help="put on record that what the log lacks is lost, so that workers go on with these people",
    )
    for one in (checking, mending):
        one.add_argument("--json", action="store_true", help="differences as JSON, one a line")


def feed(options: argparse.Namespace) -> int:
    """Compare the feed with the log, as far back as the feed reaches."""
    try:
        return asyncio.run(_run(options))
    except (SetupError, Unavailable) as exc:
        print_progress(str(exc))
        return CANNOT


def forgotten() -> list[EventReference] | None:
    """Return what the feed has and the log lacks, unless somebody has accepted that; None without a broker.

    Looked at is what came after the newest marks in the log's own database: what a restored copy lacks.

    Raises:
        Unavailable: RabbitMQ or MongoDB does not answer.
    """
    if not os.environ.get("ROLLCALL_AMQP_URL"):
        return None

    async def compared() -> list[EventReference]:
        async with _opened() as both:
            return await both.forgotten()

    return asyncio.run(compared())


async def _run(options: argparse.Namespace) -> int:
    async with _opened() as both:
        return await (_mend if options.action == "mend" else _check)(both, options)


@asynccontextmanager
async def _opened() -> AsyncIterator[_Both]:
    settings = server_settings()
    client = mongo.connect(settings, "rollcall feed")
    try:
        async with connected(settings.amqp_url.get_secret_value(), "rollcall feed") as connection:
            yield _Both(connection, FeedStore(client, settings.mongo_db), settings.partitions)
    finally:
        await mongo.close(client)


async def _check(both: _Both, options: argparse.Namespace) -> int:
    difference, lost = await both.compare()
    missing = [place for place in difference.missing if not place.in_feed]
    _tell("the feed lacks it", missing, options)
    _tell("the log lacks it", lost, options)
    now = to_milliseconds(datetime.now(UTC))
    await both.store.record_gaps(lost, now)
    open_ = await both.store.close_gaps(now)
    if options.accept_loss:
        print_progress(f"Put on record that {await both.store.accept(user_name(), now):,} events are lost.")
        open_ = []
    print_progress(
        f"{difference.events:,} events of the log and {difference.entries:,} of the feed: "
        + (f"the feed lacks {len(missing):,}, " if missing else "the feed lacks none, ")
        + (f"the log lacks {len(open_):,}." if open_ else "the log lacks none.")
    )
    return DIFFERENT if missing or open_ else EQUAL


async def _mend(both: _Both, options: argparse.Namespace) -> int:
    announced: dict[str, EventReference] = {}
    for _ in range(_ROUNDS):
        difference, _ = await both.compare()
        ready = await both.projected(difference.missing)
        new = {place.event_id: place for place in ready if place.event_id not in announced}
        if not new:
            break
        if await both.workers():
            # Only the worker of a person's partition can announce this in order with the person's new events.
            await both.ask(ready)
        else:
            await both.announce(ready)
        _tell("announced again", list(new.values()), options)
        announced |= new
    left = len(difference.missing)
    print_progress(
        f"Announced {len(announced):,} events again."
        + (
            f" {left:,} are not in the read model yet, and left alone: run `rollcall rebuild`."
            if left
            else ""
        )
    )
    return DIFFERENT if left else EQUAL


@dataclass(frozen=True)
class _Both:
    connection: AbstractConnection
    store: FeedStore
    partitions: int

    async def forgotten(self) -> list[EventReference]:
        """Return what the log lacks of what the feed has since the newest marks."""
        now = to_milliseconds(datetime.now(UTC))
        end = await newest_if_any(self.connection)
        marks = await self.store.marks()
        start, floor = await beginning(self.connection, list(marks.values()) or [[]], end, now)
        return await self._lost(await compare(self.connection, start, end, self.store.logged, floor, {0}, 1))

    async def compare(self) -> tuple[Difference, list[EventReference]]:
        """Return what the feed has lacked for some seconds at least, and what the log lacks."""
        difference = await self._once()
        if difference.missing:
            await asyncio.sleep(_AGAIN_SECONDS)
            again = await self._once()
            ids = {place.event_id for place in difference.missing}
            again.missing = [place for place in again.missing if place.event_id in ids]
            difference = again
        return difference, await self._lost(difference)

    async def _lost(self, difference: Difference) -> list[EventReference]:
        lost = await self.store.lacking(difference.unknown)
        accepted = await self.store.accepted([place.event_id for place in lost])
        return [place for place in lost if place.event_id not in accepted]

    async def _once(self) -> Difference:
        now = to_milliseconds(datetime.now(UTC))
        end = await newest_if_any(self.connection)
        floor = await reach(self.connection, now)

        async def logged(after: tuple[datetime, str]) -> list[EventReference]:
            return await self.store.logged(after, now - _UNDER_WAY)

        return await compare(self.connection, "first", end, logged, floor, {0}, 1)

    async def projected(self, places: Sequence[EventReference]) -> list[EventReference]:
        """Return those of some events that the read model shows: only these may be announced."""
        ready: list[EventReference] = []
        for begin in range(0, len(places), _AT_ONCE):
            some = places[begin : begin + _AT_ONCE]
            versions = await self.store.projected({place.person_id for place in some})
            ready += [place for place in some if place.version <= versions.get(place.person_id, 0)]
        return ready

    async def workers(self) -> bool:
        """Return whether any worker is connected."""
        with broker_errors("looking for workers"):
            async with asyncio.timeout(OPEN_SECONDS), self.connection.channel() as channel:
                queue = await channel.declare_queue(WORKERS, passive=True)
        return bool(queue.declaration_result.consumer_count)

    async def ask(self, places: Sequence[EventReference]) -> None:
        """Let the workers announce events; returns when they have.

        Raises:
            BrokerUnavailable: They have not, although there was time.
        """
        since = min(place.applied_at for place in places if place.applied_at)
        await self.store.ask(since, self.partitions)
        for _ in range(_ASKED_TIMES):
            if not await self.store.asked(range(self.partitions)):
                return
            await asyncio.sleep(_AGAIN_SECONDS)
        raise BrokerUnavailable(
            "the workers have not held the feed against the log yet: their /readyz says why"
        )

    async def announce(self, places: Sequence[EventReference]) -> None:
        """Announce events as workers do."""
        await self.store.lower(min(place.applied_at for place in places if place.applied_at))
        with broker_errors("opening a channel"):
            owner = await self.connection.channel(publisher_confirms=True)
            announcer = Announcer(cast(Channel, await owner.get_underlay_channel()))
        for begin in range(0, len(places), _AT_ONCE):
            events = await self.store.events(places[begin : begin + _AT_ONCE])
            await announcer.announce([announcer.encode_announcement(event) for event in events])


def _tell(what: str, places: Sequence[EventReference], options: argparse.Namespace) -> None:
    for place in places:
        if options.json:
            words = {"event_id": place.event_id, "person_id": place.person_id, "version": place.version}
            print_result(json.dumps({**words, "finding": what}))
        else:
            print_result(
                f"person {place.person_id}, version {place.version}: {what} (event {place.event_id})"
            )
