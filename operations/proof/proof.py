"""Walks the log once to verify it: scratch files, progress, and what was found."""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from operations.addresses import DatabaseAddress
from operations.errors import SetupError
from operations.log_opening import Opening
from operations.log_reader import connect, read_all
from operations.log_walk import walk_ranges
from operations.progress_bar import ProgressBar
from operations.proof.chain_walk import ChainWalker, Job, heads_file
from operations.terminal import short_path
from service_kit.broker.feed_comparison import EventReference
from service_kit.erasure_journal import journal_batches
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import reading
from service_kit.seals.wrapping import KEYS
from verifier import Chain, Finding, Head, KnownHeads, Unreadable, public_keys, read_chain


@dataclass(frozen=True)
class Totals:
    """What a walk came to, how many seconds it took, and how many sealed values were proved or are erased."""

    people: int
    events: int
    ranges: int
    seconds: float
    proved: int = 0
    erased: int = 0

    @property
    def described(self) -> str:
        """The walk, as the beginning of a sentence."""
        rate = self.events / max(self.seconds, 0.001)
        return f"{self.events:,} events in {self.people:,} streams, in {self.seconds:.1f} s ({rate:,.0f}/s)"


class Proof:
    """One walk, against the checkpoints that were read before it; a context manager.

    Args:
        address: The log.
        processes: How many walk it.
        tell: Takes each finding as it is made.

    Attributes:
        known: The heads of the checkpoints read so far.
        findings: How many findings there were.
    """

    def __init__(self, address: DatabaseAddress, processes: int, tell: Callable[[Finding], None]) -> None:
        self._address, self._processes, self._tell = address, processes, tell
        self._stack = ExitStack()
        self._known_gaps: set[str] = set()
        self.findings = 0

    def __enter__(self) -> Self:
        self._scratch = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="rollcall-")))
        self.known = self._stack.enter_context(KnownHeads(self._scratch / "known"))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def read_checkpoints(self, folder: Path, keys: Mapping[str, Ed25519PublicKey]) -> Chain:
        """Read a folder of checkpoints; the walk then compares the log with them.

        Raises:
            SetupError: The folder cannot be read.
        """
        try:
            chain = read_chain(folder, keys, self.known)
        except OSError as exc:
            raise SetupError(
                f"The checkpoints in {short_path(folder)} cannot be read ({exc.strerror})."
            ) from exc
        for finding in chain.findings:
            self._found(finding)
        return chain

    def walk(self, *, keep_heads: bool = False, opening: Opening | None = None) -> Totals:
        """Walk the whole log.

        Args:
            keep_heads: Whether `heads` will be asked.
            opening: Proves sealed values, if that is asked for.

        Raises:
            StoreUnavailable: MongoDB stays away.
            SetupError: A process was killed.
        """
        began = time.monotonic()
        people = events = ranges = proved = erased = 0
        heads = self._scratch if keep_heads else None
        job = Job(self._address, self._scratch / "known", heads, opening)
        with ProgressBar("events") as bar:
            for part, _, walked in walk_ranges(lambda: ChainWalker(job), self._processes):
                ranges += 1
                people += walked.people
                events += walked.events
                proved += walked.proved
                erased += walked.erased
                if walked.findings:
                    bar.clear()
                for finding in walked.findings:
                    self._found(finding)
                bar.show(part, events)
        return Totals(people, events, ranges, time.monotonic() - began, proved, erased)

    def read_gaps(self) -> None:
        """Find what the feed is known to have and the log lacks, unless somebody has accepted that.

        Raises:
            StoreUnavailable: MongoDB stays away.
        """
        client = connect(self._address)
        try:
            gaps = reading(client, self._address.database, strong=True)["feed_gaps"]
            for gap in read_all(gaps, {"accepted_at": None}, [("_id", 1)]):
                self._forgotten(gap["_id"], gap["person_id"], gap["version"])
        finally:
            client.close()

    def forgotten(self, places: Iterable[EventReference]) -> None:
        """Find events that the feed has and the log lacks; those on record are found already."""
        for place in places:
            if place.event_id not in self._known_gaps:
                self._forgotten(place.event_id, place.person_id, place.version)

    def compare_journal(self, journal: Path) -> None:
        """Find keys that are there, though the journal of erasures says that they were destroyed.

        Args:
            journal: A file of it, or the folder of all.

        Raises:
            StoreUnavailable: MongoDB stays away.
            SetupError: A file cannot be read, or has a line that is none.
        """
        client = connect(self._address)
        try:
            keys = reading(client, keys_database(self._address.database), strong=True)[KEYS]
            for lines in journal_batches(journal):
                by_id = {line.person_id: line for line in lines}
                there = {"_id": {"$in": list(by_id)}, "key": {"$exists": True}}
                for row in read_all(keys, there, [("_id", 1)]):
                    text = f"the journal says that this person was erased at {by_id[row['_id']].erased_at}, "
                    self._found(Finding("unerased", f"{text}and the key is there", row["_id"]))
        except (OSError, ValueError) as exc:
            raise SetupError(f"The journal in {short_path(journal)} cannot be read: {exc}.") from exc
        finally:
            client.close()

    def _forgotten(self, event_id: str, person_id: str, version: int) -> None:
        self._known_gaps.add(event_id)
        text = "the feed knows of this event, and the log lacks it"
        self._found(Finding("forgotten", text, person_id, version, event_id))

    def heads(self, totals: Totals) -> Iterator[Head]:
        """Yield the heads that the walk kept, in order of person."""
        for number in range(totals.ranges):
            with heads_file(self._scratch, number).open("rb") as file:
                for line in file:
                    yield Head(**orjson.loads(line))

    def _found(self, finding: Finding) -> None:
        self.findings += 1
        self._tell(finding)


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add the option that says how many processes walk."""

    def count(text: str) -> int:
        if not (text.isdecimal() and 1 <= int(text) <= 256):
            raise argparse.ArgumentTypeError("choose a number from 1 to 256")
        return int(text)

    parser.add_argument(
        "--jobs",
        type=count,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="how many processes read (default: one for each core)",
    )


def read_public_keys(path: Path) -> dict[str, Ed25519PublicKey]:
    """Return the public keys in a file, by their ids.

    Raises:
        SetupError: There is none that can be read.
    """
    try:
        return public_keys(path.read_bytes())
    except OSError as exc:
        raise SetupError(f"The public key {short_path(path)} cannot be read ({exc.strerror}).") from exc
    except Unreadable as exc:
        raise SetupError(f"{short_path(path)} is of no use: {exc}.") from exc


def end_politely() -> Callable[[], None]:
    """Let SIGTERM end everything as Ctrl-C does: processes and scratch files go, too.

    Returns:
        What raises the interrupt once more if one came. Python loses one that comes while a destructor runs,
        so whoever stays for long asks now and then.
    """
    came = False

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True
        raise KeyboardInterrupt

    def end_if_asked() -> None:
        if came:
            raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, interrupt)
    return end_if_asked
