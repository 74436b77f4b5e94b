"""Reserves for everybody, before a schema comes into force, the values that it makes unique.

Workers claim them already. What everybody has is folded from the log, since the read model may lag.
"""

from dataclasses import replace
from itertools import islice
from typing import Final

from events.person.schema.declarations import PersonSchema
from operations.addresses import DatabaseAddress, claim_names
from operations.errors import SetupError
from operations.log_opening import Opening
from operations.log_walk import RANGES, Range, walk_ranges
from operations.progress_bar import ProgressBar
from operations.rebuild.claiming import restore_claims
from operations.rebuild.connections import BATCH, RebuildConnections, Rebuilding, RebuildReport
from operations.rebuild.differences import Difference
from operations.rebuild.folding import folds
from operations.rebuild.read_model import ReadModel

_MOST: Final = 1_000
"""So many people who share values are told of."""


class ReserveWalker:
    """One process's connections, and what it does with a range.

    Args:
        job: What is reserved.
    """

    def __init__(self, job: Rebuilding) -> None:
        self._sides = RebuildConnections(job)

    def borders(self) -> list[str]:
        """Return the ids that split the people into ranges."""
        return self._sides.log.borders(RANGES)

    def close(self) -> None:
        """Close the connections."""
        self._sides.close()

    def walk(self, piece: Range) -> RebuildReport:
        """Reserve the values of a range's people; find those that somebody else has.

        Raises:
            SetupError: Nobody can say what a person has.
        """
        done, job = RebuildReport(), self._sides.job
        documents = self._sides.log.documents(piece.after, piece.to, strong=True)
        folded = folds(documents, job.schema, job.claims)
        while people := list(islice(folded, BATCH)):
            done.people += len(people)
            unreadable = [one for one in people if one.problem is not None]
            if unreadable:
                raise SetupError(f"person {unreadable[0].person_id}: {unreadable[0].problem}.")
            restore_claims(self._sides, people, done)
        return done


def only(schema: PersonSchema, kinds: set[str]) -> PersonSchema:
    """Return a schema in which nothing is unique but some kinds, named as claims call them."""
    named = {own: called for called, own in schema.kinds.items() if called in kinds}
    unique = {kind: schema.unique[kind] for kind in named}
    return replace(schema, unique=unique, claimed_as=named)


def forget(address: DatabaseAddress, kinds: set[str]) -> None:
    """Remove what an earlier try has left, of kinds that no worker claims for.

    Raises:
        StoreUnavailable: MongoDB stays away.
    """
    model = ReadModel(address)
    try:
        for kind in kinds:
            model.drop_claims(kind)
    finally:
        model.close()


def reserve(
    address: DatabaseAddress, schema: PersonSchema, kinds: set[str], opening: Opening, processes: int
) -> list[Difference]:
    """Reserve for everybody the values that become unique.

    Args:
        address: The log and the claims.
        schema: The one that is to follow; it knows those before it.
        kinds: What becomes unique, as claims call it.
        opening: Opens sealed values.
        processes: How many do it.

    Returns:
        Who has values that somebody else has, too; not more than are of use.

    Raises:
        SetupError: It cannot be told what somebody has.
        StoreUnavailable: MongoDB stays away.
    """
    schema = only(schema, kinds)
    return reserve_for(Rebuilding(address, schema, opening, claim_names(schema), check=False), processes)


def reserve_for(job: Rebuilding, processes: int) -> list[Difference]:
    """Reserve for everybody what a job's schema makes unique, under all secrets that are claimed under.

    Args:
        job: Names the claims.
        processes: How many do it.

    Returns:
        Who has values that somebody else has, too; not more than are of use.

    Raises:
        SetupError: It cannot be told what somebody has.
        StoreUnavailable: MongoDB stays away.
    """
    found: list[Difference] = []
    people = 0
    with ProgressBar("people reserved for") as bar:
        for part, _, report in walk_ranges(lambda: ReserveWalker(job), processes):
            people += report.people
            found += report.found[: _MOST - len(found)]
            bar.show(part, people)
    return found
