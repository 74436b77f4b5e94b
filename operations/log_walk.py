"""Walks people or their claims in several processes, each a range of ids at a time."""

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final, Protocol, TypeVar

from events.errors import StoreUnavailable
from operations.errors import SetupError
from service_kit.retries import Patience

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
RANGES: Final = 128
"""So many pieces of work: enough for a bar that moves, and for processes to end together."""
_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.5


@dataclass(frozen=True)
class Range:
    """What comes after one id, up to another; `number` is its place among all."""

    number: int
    after: str | None
    to: str | None


class Walker(Protocol[T_co]):
    """One process's connections, and what it does with a range; may be asked for the same one again."""

    def borders(self) -> list[str]:
        """Return the ids that split everything into ranges, in order."""

    def walk(self, piece: Range) -> T_co:
        """Return what a range came to."""

    def close(self) -> None:
        """Close the connections."""


Plan = Callable[[list[str]], Sequence[Range]]


def all_ranges(borders: Sequence[str]) -> list[Range]:
    """Return the ranges between some borders, before the first and after the last."""
    return [Range(number, after, to) for number, (after, to) in enumerate(pairwise([None, *borders, None]))]


def walk_ranges(
    opened: Callable[[], Walker[T]], processes: int, plan: Plan = all_ranges
) -> Iterator[tuple[float, Range, T]]:
    """Walk ranges; yield which part of all is done by then, and each range with what it came to, in order.

    With several processes, no client of MongoDB may be open in this one: they are forked.

    Args:
        opened: Makes a walker, in the process that will use it.
        processes: How many do it; with one, it is this one.
        plan: Chooses the ranges, by borders that split everything evenly.

    Raises:
        StoreUnavailable: MongoDB stays away; for a while, a range is tried again from its beginning.
        SetupError: A process was killed.
    """
    try:
        with _one(opened) if processes == 1 else _several(opened, processes) as walkers:
            borders, apply = walkers
            pieces = plan(borders)
            for done, (piece, result) in enumerate(zip(pieces, apply(pieces), strict=True), 1):
                yield done / len(pieces), piece, result
    except BrokenProcessPool:
        raise SetupError("A process that read the log was killed: is there memory enough?") from None


def _patiently(do: Callable[[], T]) -> T:
    patience = Patience(_PATIENCE_S)
    while True:
        try:
            return do()
        except StoreUnavailable:
            pause = patience.pause()
            if pause is None:
                raise
            time.sleep(pause)


_Walkers = tuple[list[str], Callable[[Sequence[Range]], Iterator[Any]]]


@contextmanager
def _one(opened: Callable[[], Walker[Any]]) -> Iterator[_Walkers]:
    with closing(opened()) as walker:
        borders = _patiently(walker.borders)
        yield borders, lambda pieces: (_patiently(partial(walker.walk, piece)) for piece in pieces)


@contextmanager
def _several(opened: Callable[[], Walker[Any]], processes: int) -> Iterator[_Walkers]:
    # Forked, because each would else take a second to import the driver. All are, before the pool has threads
    # of its own, and none inherits a connection.
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin, (opened, os.getpid()))
    try:
        yield pool.submit(_borders).result(), lambda pieces: pool.map(_walk_range, pieces)
    except BaseException:
        # A range may take long, and nobody waits for its result.
        for child in multiprocessing.active_children():
            child.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_walkers: list[Walker[Any]] = []


def _begin(opened: Callable[[], Walker[Any]], parent: int) -> None:
    # Ctrl-C reaches every process of the terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()
    # Events have no reference cycles, and looking for some takes as long as reading the events.
    gc.freeze()
    gc.set_threshold(1_000_000)
    _walkers.append(opened())


def _end_without(parent: int) -> None:
    """End this process soon after its parent, however that ended."""
    # A pipe cannot tell that the parent has ended: forked processes hold each other's ends open.
    while os.getppid() == parent:
        time.sleep(_PAUSE_S)
    os._exit(1)


def _borders() -> list[str]:
    return _patiently(_walkers[0].borders)


def _walk_range(piece: Range) -> Any:
    return _patiently(lambda: _walkers[0].walk(piece))
