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

from cli.log_reader import LogReader
from cli.meter import Meter
from cli.proof import end_politely, log_address
from cli.replay_log import Event, Place, Wanted, begin_at, replayed, time_of
from cli.replay_queue import QueueSink
from events.accounts import ACCOUNT_EVENT_TYPES
from events.errors import BrokerUnavailable, StoreUnavailable
from events.facts import EVENT_TYPES
from events.times import rfc3339
from local.errors import SetupError
from local.places import Places
from local.say import say, shown
from local.status import running_amqp_url
from query_api.export_lines import ndjson
from service_kit.files import sync_folder

FINE, STOPPED, INTERRUPTED = 0, 1, 130


def add_replay(parser: argparse.ArgumentParser) -> None:
    """Options of `replay`."""
    parser.add_argument("--to", choices=("ndjson", "amqp"), required=True, help="lines, or a queue")
    parser.add_argument("--out", type=Path, metavar="FILE", help="with ndjson: a new file")
    parser.add_argument("--queue", metavar="NAME", help="with amqp: the queue, which is there")
    parser.add_argument(
        "--from", dest="begin", metavar="TIME|EVENT", help="applied then or later, or from that event on"
    )
    parser.add_argument("--until", metavar="TIME", help="applied before then")
    parser.add_argument(
        "--type",
        action="append",
        choices=(*EVENT_TYPES, *ACCOUNT_EVENT_TYPES),
        help="these events only; repeatable",
    )
    parser.add_argument("--person", metavar="ID", help="events of this person only")
    parser.add_argument("--actor", metavar="SUBJECT", help="what this actor did only")


def replay(options: argparse.Namespace) -> int:
    """Deliver events in order; say where a later replay goes on."""
    end_politely()
    if (options.to == "amqp") != bool(options.queue) or (options.out and options.to != "ndjson"):
        raise SetupError("--queue NAME belongs to --to amqp, --out FILE to --to ndjson.")
    types = tuple(options.type or ())
    if options.to == "amqp":
        # Subscribers are told of people: what happens to accounts is announced to nobody.
        types = types or EVENT_TYPES
        if not set(types) <= set(EVENT_TYPES):
            raise SetupError("--to amqp takes events of people only: --type person.….")
    with closing(LogReader(log_address())) as log:
        wanted = Wanted(
            begin_at(log, options.begin) if options.begin else None,
            time_of("--until", options.until) if options.until else None,
            types,
            options.person,
            options.actor,
        )
        return _Replay(log, wanted).run(options)


class _Replay:
    """One run: its place, and how it is told."""

    def __init__(self, log: LogReader, wanted: Wanted) -> None:
        self._log, self._wanted = log, wanted
        self._place = Place(wanted.begin)
        self._began = time.monotonic()

    def run(self, options: argparse.Namespace) -> int:
        """Deliver everything; return the exit status."""
        status = STOPPED
        try:
            with Meter("events") as meter:
                if options.to == "amqp":
                    asyncio.run(self._publish(broker_address(), options.queue, meter))
                else:
                    self._write(options.out, meter)
            status = FINE
        except KeyboardInterrupt:
            status = INTERRUPTED
        except (BrokerUnavailable, StoreUnavailable, SetupError) as exc:
            say(str(exc))
        self._tell(status)
        return status

    def _write(self, path: Path | None, meter: Meter) -> None:
        try:
            if path is None:
                self._write_to(sys.stdout.buffer, meter)
            else:
                with path.open("xb") as file:
                    self._write_to(file, meter)
                    os.fsync(file.fileno())
                sync_folder(path.parent)
        except OSError as exc:
            raise SetupError(f"{shown(path) if path else 'Standard output'}: {exc.strerror}.") from exc

    def _write_to(self, file: BinaryIO, meter: Meter) -> None:
        for events, passed in self._batches(meter):
            try:
                file.write(ndjson(events))
            except (AttributeError, KeyError, TypeError) as exc:
                raise SetupError(f"An event of the log is none ({exc!r}): run `rollcall verify`.") from exc
            file.flush()
            passed()

    async def _publish(self, url: str, queue: str, meter: Meter) -> None:
        sink = QueueSink(url, queue)
        try:
            batches = self._batches(meter)
            while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                events, passed = batch
                await sink.deliver(events)
                passed()
        finally:
            await sink.close()

    def _batches(self, meter: Meter) -> Iterator[tuple[list[Event], Callable[[], None]]]:
        """Yield each batch, with what is to be called once it is delivered."""
        total = self._log.count(self._wanted.conditions(self._wanted.begin))
        for events in replayed(self._log, self._wanted):

            def passed(events: list[Event] = events) -> None:
                self._place.passed(events)
                done = self._place.events
                meter.show(min(1.0, done / total) if total else None, done)

            yield events, passed

    def _tell(self, status: int) -> None:
        seconds = max(time.monotonic() - self._began, 0.001)
        count, place = self._place.events, self._place.next
        rest = "from the beginning" if place is None else f"with --from {rfc3339(place)}"
        say(
            f"{'All' if status == FINE else 'Stopped after'} {count:,} events in {seconds:.1f} s "
            f"({count / seconds:,.0f}/s). Go on {rest}."
        )


def broker_address() -> str:
    """Return where the broker is: what `ROLLCALL_AMQP_URL` says, or the one that `./run up` runs.

    Raises:
        SetupError: There is none.
    """
    url = os.environ.get("ROLLCALL_AMQP_URL") or running_amqp_url(Places.find())
    if not url:
        raise SetupError("No broker is known here: start it with `./run up`, or set ROLLCALL_AMQP_URL.")
    return url
