"""Reserves for everybody, before a schema comes into force, the values that it makes unique."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Final

from events.person.claims import Claim, ClaimNames
from operations.addresses import DatabaseAddress
from operations.errors import SetupError
from operations.log_reader import LogReader
from operations.log_walk import RANGES, Range, walk_ranges
from operations.progress_bar import ProgressBar
from operations.rebuild.read_model import ReadModel

_BATCH: Final = 1_000
Kinds = Mapping[str, tuple[str, ...]]
"""By what claims call a kind, its fields as the read model has them."""


@dataclass(frozen=True)
class ReserveReport:
    """What a range came to.

    Attributes:
        people: How many there are.
        taken: How many of their values somebody else has.
    """

    people: int
    taken: int


class ReserveWalker:
    """One process's connections, and what it does with a range.

    Args:
        address: The read model.
        kinds: What becomes unique.
        names: Names the claims.
    """

    def __init__(self, address: DatabaseAddress, kinds: Kinds, names: ClaimNames) -> None:
        self._log, self._model = LogReader(address), ReadModel(address)
        self._kinds, self._names = kinds, names

    def borders(self) -> list[str]:
        """Return the ids that split the people into ranges."""
        return self._log.borders(RANGES)

    def close(self) -> None:
        """Close both connections."""
        self._log.close()
        self._model.close()

    def walk(self, piece: Range) -> ReserveReport:
        """Reserve the values of a range's people."""
        people = taken = 0
        documents = self._model.people(piece.after, piece.to, strong=True)
        while batch := list(islice(documents, _BATCH)):
            people += len(batch)
            claims = []
            for person in batch:
                for kind, names in self._kinds.items():
                    values = [value for name in names if (value := person.get(name)) is not None]
                    if len(values) == len(names):
                        claims += [
                            Claim(name, person["_id"], person["version"])
                            for name in self._names.names(kind, values)
                        ]
            if claims and self._model.claim(claims) < len(claims):
                there = self._model.claims_named({claim.name for claim in claims}, strong=True)
                taken += sum(there.get(one.name, {}).get("person_id") != one.person_id for one in claims)
        return ReserveReport(people, taken)


def reserve(address: DatabaseAddress, kinds: Kinds, names: ClaimNames, processes: int) -> None:
    """Reserve for everybody the values that become unique.

    What an earlier try has left goes first: nobody goes by these kinds yet.

    Args:
        address: The read model.
        kinds: What becomes unique.
        names: Names the claims.
        processes: How many do it.

    Raises:
        SetupError: Two people have the same values by now; nothing is in force.
        StoreUnavailable: MongoDB stays away.
    """
    model = ReadModel(address)
    try:
        for kind in kinds:
            model.drop_claims(kind)
    finally:
        model.close()
    people = taken = 0
    with ProgressBar("people reserved for") as bar:
        for part, _, report in walk_ranges(partial(ReserveWalker, address, kinds, names), processes):
            people += report.people
            taken += report.taken
            bar.show(part, people)
    if taken:
        who = "1 person has" if taken == 1 else f"{taken:,} people have"
        raise SetupError(f"Meanwhile {who} the same unique values as somebody else: check again.")
