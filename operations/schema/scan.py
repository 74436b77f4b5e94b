"""Counts the people who are in the way of a change of the person schema, range by range."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from itertools import groupby
from typing import Any, Final

from events.errors import Damaged, KeyTrouble
from events.log.commitments import jcs
from events.person.schema.changes import Obstacle
from events.person.schema.values import stored_check
from operations.addresses import DatabaseAddress
from operations.errors import SetupError
from operations.log_opening import Keyed, Opening, opened
from operations.log_reader import LogReader
from operations.log_walk import RANGES, Range, walk_ranges
from operations.progress_bar import ProgressBar
from operations.rebuild.read_model import ReadModel

Person = Mapping[str, Any]
"""A document of the read model."""
_DIGEST: Final = 8
"""Bytes that stand for a person's unique values: in ten million people, two that differ never meet."""


def is_in_way(obstacle: Obstacle) -> Callable[[Person], bool]:
    """Return what says whether a person is in the way of a change, by the person's document alone.

    Args:
        obstacle: Of the kinds `value` and `lacks`.
    """
    (name,) = obstacle.names
    if obstacle.field is None:
        return lambda person: person.get(name) is None
    fault = stored_check(obstacle.field)
    return lambda person: (value := person.get(name)) is not None and bool(fault(value))


def unique_digest(names: Sequence[str], person: Person) -> bytes:
    """Return what stands for a person's values of some fields together; empty if one of them is absent."""
    values = [value for name in names if (value := person.get(name)) is not None]
    if len(values) < len(names):
        return b""
    return blake2b(jcs(values), digest_size=_DIGEST).digest()


class SharedValues:
    """Counts the people who have the same values as somebody else: some bytes a person, in memory."""

    def __init__(self) -> None:
        self._parts = [bytearray() for _ in range(256)]

    def add(self, digests: bytes) -> None:
        """Take the digests of some people, one after the other."""
        for begin in range(0, len(digests), _DIGEST):
            self._parts[digests[begin]] += digests[begin : begin + _DIGEST]

    def count(self) -> int:
        """Return how many people share their values with others."""
        return sum(
            times
            for part in self._parts
            for times in Counter(memoryview(part).cast("Q")).values()
            if times > 1
        )


@dataclass(frozen=True)
class ScanReport:
    """What a range came to.

    Attributes:
        people: How many there are.
        in_way: By the place of an obstacle, how many of them are in the way.
        digests: By the place of an obstacle of the kind `shared`, what stands for their values.
    """

    people: int
    in_way: Counter[int]
    digests: Mapping[int, bytes]


class PeopleScanner:
    """One process's connections, and what it looks for.

    Args:
        address: The log and the read model.
        obstacles: What is looked for.
        opening: Opens sealed values.
    """

    def __init__(self, address: DatabaseAddress, obstacles: Sequence[Obstacle], opening: Opening) -> None:
        self._log, self._model = LogReader(address, opening), ReadModel(address)
        numbered = list(enumerate(obstacles))
        self._ways = [(at, is_in_way(one)) for at, one in numbered if one.kind in ("value", "lacks")]
        self._shared = [(at, one.names) for at, one in numbered if one.kind == "shared"]
        self._logged = [(at, one.names) for at, one in numbered if one.kind == "logged"]

    def borders(self) -> list[str]:
        """Return the ids that split the people into ranges."""
        return self._log.borders(RANGES)

    def close(self) -> None:
        """Close both connections."""
        self._log.close()
        self._model.close()

    def walk(self, piece: Range) -> ScanReport:
        """Look at the people of a range, as the primary has them."""
        people, in_way = 0, Counter[int]()
        digests = {at: bytearray() for at, _ in self._shared}
        for person in self._model.people(piece.after, piece.to, strong=True):
            if person.get("deleted"):
                continue
            people += 1
            for at, is_in_the_way in self._ways:
                in_way[at] += is_in_the_way(person)
            for at, names in self._shared:
                digests[at] += unique_digest(names, person)
        if self._logged:
            self._read_log(piece, in_way)
        return ScanReport(people, in_way, {at: bytes(one) for at, one in digests.items()})

    def _read_log(self, piece: Range, in_way: Counter[int]) -> None:
        events = self._log.documents(piece.after, piece.to, strong=True)
        for _, stream in groupby(events, lambda keyed: keyed[0]["person_id"]):
            data = [values_of(event) for event in stream]
            for at, names in self._logged:
                in_way[at] += any(one.get(name) is not None for one in data for name in names)


def values_of(keyed: Keyed) -> Mapping[str, Any]:
    """Return the values in an event; of an erased person, those that were never sealed.

    Args:
        keyed: The event, with the keys of its page.

    Raises:
        SetupError: It cannot be opened, so that nobody can say what is in it.
    """
    try:
        values: Mapping[str, Any] = opened(*keyed)["data"]
    except (KeyTrouble, Damaged) as exc:
        raise SetupError(f"The log cannot be looked through: {exc.detail}.") from None
    return values


def count_in_way(
    address: DatabaseAddress, obstacles: Sequence[Obstacle], opening: Opening, processes: int
) -> list[int]:
    """Return how many people are in the way of each change.

    Args:
        address: The log and the read model.
        obstacles: Of the changes.
        opening: Opens sealed values.
        processes: How many read.

    Raises:
        StoreUnavailable: MongoDB stays away.
        SetupError: A process was killed, or an event cannot be opened.
    """
    if not obstacles:
        return []
    people, in_way = 0, Counter[int]()
    shared = {at: SharedValues() for at, one in enumerate(obstacles) if one.kind == "shared"}
    with ProgressBar("people") as bar:
        opened = partial(PeopleScanner, address, obstacles, opening)
        for part, _, report in walk_ranges(opened, processes):
            people += report.people
            in_way += report.in_way
            for at, digests in report.digests.items():
                shared[at].add(digests)
            bar.show(part, people)
    return [shared[at].count() if at in shared else in_way[at] for at in range(len(obstacles))]
