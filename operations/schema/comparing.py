"""Compares a file with the person schema in force and with the data, and says what is in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from events.log.applied_schema import schema_text
from events.person.schema.changes import Change, Obstacle, compare, former_names, removed_fields
from events.person.schema.declarations import PersonSchema
from operations.addresses import database_address
from operations.errors import SetupError
from operations.keys.verb import known_keks
from operations.log_opening import Opening
from operations.schema.scan import count_in_way
from operations.terminal import print_progress, print_result
from service_kit.declared_files import WrongDeclaration
from service_kit.person_schema import read_schema_file

FINE, FOUND, CANNOT = 0, 1, 2
_WAYS: Final = {
    "value": "have a value that it would not take",
    "lacks": "have no value",
    "shared": "have the same values as somebody else",
    "logged": "have a value in the log",
}


@dataclass(frozen=True)
class Comparison:
    """What came of a comparison.

    Attributes:
        after: What the file declares.
        changes: How it differs from what is in force.
        status: `FINE` if all of that can be, else `FOUND`.
    """

    after: PersonSchema
    changes: Sequence[Change]
    status: int


def compared(file: Path, schemas: Sequence[PersonSchema], processes: int) -> Comparison:
    """Print what a file changes, and what that takes.

    Args:
        file: The file.
        schemas: All that were in force; the last one is.
        processes: How many read the data.

    Raises:
        SetupError: The file declares nothing.
        StoreUnavailable: MongoDB stays away.
    """
    after, before = _file(file), schemas[-1]
    if schema_text(after) == schema_text(before):
        return Comparison(after, (), FINE)
    changes = compare(before, after, removed_fields(schemas))
    obstacles = [with_all_names(change.obstacle, schemas) for change in changes if change.obstacle]
    address = database_address()
    opening = Opening(address.database, known_keks())
    counts = iter(count_in_way(address, obstacles, opening, processes))
    lines = [line_of(change, next(counts) if change.obstacle else 0) for change in changes]
    for _, text in lines:
        print_result(text)
    kinds = {kind for kind, _ in lines}
    print_progress(_described(kinds, before, after))
    return Comparison(after, changes, FOUND if "refused" in kinds else FINE)


def _file(path: Path) -> PersonSchema:
    try:
        return read_schema_file(path)
    except WrongDeclaration as exc:
        raise SetupError(exc.text[0].upper() + exc.text[1:]) from None


def with_all_names(obstacle: Obstacle, schemas: Sequence[PersonSchema]) -> Obstacle:
    """Return an obstacle in the log with all the names that the field ever had: events keep theirs."""
    if obstacle.kind != "logged":
        return obstacle
    (name,) = names = [*obstacle.names]
    for before, after in reversed(list(pairwise(schemas))):
        former = former_names(before, after).get(name)
        if former:
            name = former
            names.append(name)
    return replace(obstacle, names=tuple(names))


def line_of(change: Change, in_way: int) -> tuple[str, str]:
    """Return what a change takes, knowing the data, and the line that says so."""
    if change.obstacle is None:
        return change.kind, f"{change.kind:8} {change}"
    if not in_way:
        # What is unique from now on is to be reserved for those who have it already.
        kind = "rebuild" if change.obstacle.kind == "shared" else "free"
        return kind, f"{kind:8} {change}: all people fit"
    people = "1 person is" if in_way == 1 else f"{in_way:,} people are"
    return "refused", f"{'refused':8} {change}: {people} in the way, who {_WAYS[change.obstacle.kind]}"


def _described(kinds: set[str], before: PersonSchema, after: PersonSchema) -> str:
    if "refused" in kinds:
        return f"Number {before.version} stays in force: what is refused above is in the way."
    if "rebuild" in kinds:
        return f"Number {after.version} can be put in force, and wants a rebuild then."
    return f"Number {after.version} can be put in force."
