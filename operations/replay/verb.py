"""The verb that replays the log: as lines for an audit, or into a subscriber's queue.

Exit status 0: all was delivered; 1: it stopped before, and says where to go on.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from events.accounts.event import ACCOUNT_EVENT_TYPES
from events.errors import BrokerUnavailable, StoreUnavailable
from events.log.applied_schema import SCHEMA_EVENT_TYPES
from events.log.event import EVENT_TYPES
from events.times import rfc3339
from operations.addresses import broker_address, database_address
from operations.errors import SetupError
from operations.log_reader import LogReader
from operations.progress_bar import ProgressBar
from operations.proof.proof import end_politely
from operations.replay.log import Event, ReplayProgress, ReplayRange, begin_at, replayed, time_of
from operations.replay.queue import QueueSink
from operations.terminal import print_progress, short_path
from query_api.exports.event_lines import ndjson
from service_kit.files import OWNER_ONLY, sync_folder

FINE, STOPPED, INTERRUPTED = 0, 1, 130


def add_replay(parser: argparse.ArgumentParser) -> None:
    """Options of `replay`."""
    parser.add_argument("--to", choices=("ndjson", "amqp"), required=True, help="lines, or a queue")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="with ndjson: a new file (default: standard output)"
    )
    parser.add_argument("--queue", metavar="NAME", help="with amqp: the queue, which is there")
    parser.add_argument(
        "--from", dest="begin", metavar="TIME|EVENT", help="applied then or later, or from that event on"
    )
    parser.add_argument("--until", metavar="TIME", help="applied before then")
    parser.add_argument(
        "--type",
        action="append",
        choices=(*EVENT_TYPES, *ACCOUNT_EVENT_TYPES, *SCHEMA_EVENT_TYPES),
        help="these events only; repeatable",
    )
    parser.add_argument("--person", metavar="ID", help="events of this person only")
    parser.add_argument("--actor", metavar="SUBJECT", help="what this actor did only")


def replay(options: argparse.Namespace) -> int:
    """Deliver events in order; say where a later replay goes on."""
    end_politely()
    if (options.to == "amqp") != bool(options.queue) or (options.out and options.to != "ndjson"):
        raise SetupError("--queue NAME belongs to --to amqp, --out FILE to --to ndjson.")
    if options.out and options.out.exists():
        raise SetupError(
            f"{short_path(options.out)} is there, and a replay adds to no file: name another with --out, "
            "or remove it."
        )
    types = tuple(options.type or ())
    if options.to == "amqp":
        # Subscribers get events of people alone: those of accounts are never announced.
        types = types or EVENT_TYPES
        if not set(types) <= set(EVENT_TYPES):
            raise SetupError("--to amqp takes events of people only: --type person.….")
    with closing(LogReader(database_address())) as log:
        replay_range = ReplayRange(
            begin_at(log, options.begin) if options.begin else None,
            time_of("--until", options.until) if options.until else None,
            types,
            options.person,
            options.actor,
        )
        return _Replay(log, replay_range).run(options)


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, OWNER_ONLY)


class _Replay:
    """One run: its place, and how it is told."""

    def __init__(self, log: LogReader, replay_range: ReplayRange) -> None:
        self._log, self._range = log, replay_range
        self._place = ReplayProgress(replay_range.begin)
        self._began = time.monotonic()

    def run(self, options: argparse.Namespace) -> int:
        """Deliver everything; return the exit status."""
        status = STOPPED
        try:
            with ProgressBar("events") as bar:
                if options.to == "amqp":
                    asyncio.run(self._publish(broker_address(), options.queue, bar))
                else:
                    self._write(options.out, bar)
            status = FINE
        except KeyboardInterrupt:
            status = INTERRUPTED
        except (BrokerUnavailable, StoreUnavailable, SetupError) as exc:
            print_progress(str(exc))
        self._tell(status)
        return status

    def _write(self, path: Path | None, bar: ProgressBar) -> None:
        try:
            if path is None:
                self._write_to(sys.stdout.buffer, bar)
            else:
                with open(path, "xb", opener=_for_the_owner) as file:
                    self._write_to(file, bar)
                    os.fsync(file.fileno())
                sync_folder(path.parent)
        except OSError as exc:
            raise SetupError(f"{short_path(path) if path else 'Standard output'}: {exc.strerror}.") from exc

    def _write_to(self, file: BinaryIO, bar: ProgressBar) -> None:
        for events, passed in self._batches(bar):
            try:
                file.write(ndjson(events))
            except (AttributeError, KeyError, TypeError) as exc:
                raise SetupError(
                    f"An event of the log is none ({type(exc).__name__}): run `rollcall verify`."
                ) from exc
            file.flush()
            passed()

    async def _publish(self, url: str, queue: str, bar: ProgressBar) -> None:
        sink = QueueSink(url, queue)
        try:
            batches = self._batches(bar)
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                events, passed = batch
                await sink.deliver(events)
                passed()
        finally:
            await sink.close()

    def _batches(self, bar: ProgressBar) -> Iterator[tuple[list[Event], Callable[[], None]]]:
        """Yield each batch, with what is to be called once it is delivered."""
        total = self._log.count(self._range.conditions(self._range.begin))
        for events in replayed(self._log, self._range):

            def passed(events: list[Event] = events) -> None:
                self._place.passed(events)
                done = self._place.events
                bar.show(min(1.0, done / total) if total else None, done)

            yield events, passed

    def _tell(self, status: int) -> None:
        seconds = max(time.monotonic() - self._began, 0.001)
        count, place = self._place.events, self._place.next
        rest = "from the beginning" if place is None else f"with --from {rfc3339(place)}"
        print_progress(
            f"{'All' if status == FINE else 'Stopped after'} {count:,} events in {seconds:.1f} s "
            f"({count / seconds:,.0f}/s). Go on {rest}."
        )
