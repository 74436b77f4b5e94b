"""Walks the whole log in several processes, each a range of people at a time."""

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

from cli.log_reader import LogAddress, LogReader
from events.errors import StoreUnavailable
from verifier import Finding, KnownHeads, Verdict, head_line, walk

T = TypeVar("T")
RANGES: Final = 128
"""So many pieces of work: enough for a bar that moves, and for processes to end together."""
_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.5


@dataclass(frozen=True)
class Job:
    """What is walked, and against what.

    Attributes:
        address: The log.
        known: File of the heads that checkpoints recorded (`KnownHeads`), if any.
        heads: Folder where each range leaves its heads as lines, if they are wanted.
    """

    address: LogAddress
    known: Path | None = None
    heads: Path | None = None


@dataclass(frozen=True)
class Range:
    """The people after one id, up to another; `number` is its place among all."""

    number: int
    after: str | None
    to: str | None


@dataclass(frozen=True)
class Walked:
    """What a range came to.

    Attributes:
        people: How many have events.
        events: How many events they have.
        findings: The first bad version of each bad stream.
    """

    people: int
    events: int
    findings: tuple[Finding, ...]


def heads_file(folder: Path, number: int) -> Path:
    """Return where a range leaves its heads."""
    return folder / f"{number:06}.heads"


class Walker:
    """One process's connection to the log and to the known heads."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._reader = LogReader(job.address)
        self._known = KnownHeads(job.known) if job.known else None

    def borders(self) -> list[str]:
        """Return the ids that split the people into ranges.

        Raises:
            StoreUnavailable: MongoDB stays away.
        """
        return _patiently(lambda: self._reader.borders(RANGES))

    def walk(self, piece: Range) -> Walked:
        """Walk a range; when MongoDB is away for a time, from its beginning again.

        Raises:
            StoreUnavailable: MongoDB stays away.
        """
        return _patiently(lambda: self._walk(piece))

    def _walk(self, piece: Range) -> Walked:
        people = events = 0
        findings: list[Finding] = list(self._reader.strays()) if piece.after is None else []
        recorded = self._known.recorded(piece.after, piece.to) if self._known else ()
        with ExitStack() as stack:
            heads = None
            if self._job.heads:
                heads = stack.enter_context(heads_file(self._job.heads, piece.number).open("wb"))
            for verdict in walk(self._reader.links(piece.after, piece.to), recorded):
                if verdict.finding:
                    verdict = self._again(verdict)
                people += verdict.events > 0
                events += verdict.events
                if verdict.finding:
                    findings.append(verdict.finding)
                elif heads and verdict.head:
                    heads.write(head_line(verdict.head) + b"\n")
        return Walked(people, events, tuple(findings))

    def _again(self, verdict: Verdict) -> Verdict:
        """Ask the primary: a secondary may be behind the checkpoint, and a range may move between shards."""
        person_id = verdict.person_id
        recorded = self._known.of(person_id) if self._known else ()
        nothing = Verdict(person_id, 0, None, None)
        return next(walk(self._reader.links_of(person_id), recorded), nothing)

    def close(self) -> None:
        """Close both connections."""
        self._reader.close()
        if self._known:
            self._known.close()


def _patiently(read: Callable[[], T]) -> T:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return read()
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(_PAUSE_S)


def walk_log(job: Job, processes: int) -> Iterator[tuple[float, Walked]]:
    """Walk everything; yield what each range came to, in order, and which part of all is done by then.

    With several processes, no client of MongoDB may be open in this one: they are forked.

    Args:
        job: What is walked.
        processes: How many do it; with one, it is this one.

    Raises:
        StoreUnavailable: MongoDB stays away.
        BrokenProcessPool: A process was killed.
    """
    with _one(job) if processes == 1 else _several(job, processes) as walkers:
        borders, apply = walkers
        ends: Sequence[str | None] = [None, *borders, None]
        pieces = [Range(number, after, to) for number, (after, to) in enumerate(pairwise(ends))]
        for done, walked in enumerate(apply(pieces), 1):
            yield done / len(pieces), walked


_Walkers = tuple[list[str], Callable[[Sequence[Range]], Iterator[Walked]]]


@contextmanager
def _one(job: Job) -> Iterator[_Walkers]:
    with closing(Walker(job)) as walker:
        yield walker.borders(), lambda pieces: map(walker.walk, pieces)


@contextmanager
def _several(job: Job, processes: int) -> Iterator[_Walkers]:
    # Forked, because each would else take a second to import the driver. All are, before the pool has threads
    # of its own, and none inherits a connection.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin, (job, os.getpid()))
    try:
        yield pool.submit(_borders).result(), lambda pieces: pool.map(_walk_range, pieces)
    except BaseException:
        # A range may take long, and nobody waits for what it comes to.
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_walkers: list[Walker] = []


def _begin(job: Job, parent: int) -> None:
    # Ctrl-C reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()
    # Of the objects of an event none refers to itself: looking for such takes as long as reading does.
    gc.freeze()
    gc.set_threshold(1_000_000)
    _walkers.append(Walker(job))


def _end_without(parent: int) -> None:
    """End this process soon after its parent, however that ended."""
    # A pipe would not tell: forked processes hold each other's ends open.
    while os.getppid() == parent:
        time.sleep(_PAUSE_S)
    os._exit(1)


def _borders() -> list[str]:
    return _walkers[0].borders()


def _walk_range(piece: Range) -> Walked:
    return _walkers[0].walk(piece)
