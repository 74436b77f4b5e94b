"""Compares a person schema with the one that is to follow it: what each change takes. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from events.person.schema.declarations import FieldDeclaration, PersonSchema
from events.person.schema.field_changes import changed_field, changed_words, keys_of, narrowed, value_rules
from events.person.schema.objects import shown

Kind = Literal["free", "rebuild", "data", "refused"]
"""What a change takes: nothing but an index perhaps, a rebuild, people that all fit it; or it cannot be."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Which people are in the way of a change.

    Attributes:
        kind: `value`: whose value is none any more; `lacks`: who have none; `shared`: who have the same
            values as somebody else; `logged`: of whom an event has a value.
        names: The fields that are looked at, as the schema in force calls them.
        field: As it is to be, for `value`; None for the others.
    """

    kind: Literal["value", "lacks", "shared", "logged"]
    names: tuple[str, ...]
    field: FieldDeclaration | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two schemas.

    Attributes:
        kind: What it takes.
        where: The field's name, or the keyword of what is said of fields together.
        what: Differs; what follows `where` in a sentence.
        obstacle: Of `data`, who is in the way; None for the others.
    """

    kind: Kind
    where: str
    what: str
    obstacle: Obstacle | None = None

    def __str__(self) -> str:
        return f"{self.where} {self.what}"


def compare(
    before: PersonSchema, after: PersonSchema, removed: Mapping[str, FieldDeclaration]
) -> tuple[Change, ...]:
    """Return what differs between the schema in force and the one that is to follow it.

    Args:
        before: The schema in force.
        after: The other one.
        removed: The fields that earlier schemas had, as `removed_fields` returns them.
    """
    return (
        *_version(before, after),
        *_gone(before, after),
        *(change for field in after.fields for change in _field(field, before, after, removed)),
        *_unique(before, after),
        *_together(before, after),
    )


def removed_fields(schemas: Sequence[PersonSchema]) -> dict[str, FieldDeclaration]:
    """Return by name the fields that were removed and are not there again, as they were declared last.

    Args:
        schemas: All that were in force, in order.
    """
    removed: dict[str, FieldDeclaration] = {}
    for before, after in pairwise(schemas):
        renamed = former_names(before, after).values()
        removed |= {one.name: one for one in before.fields if one.name not in renamed}
        removed = {name: one for name, one in removed.items() if name not in after.by_name}
    return removed


def former_names(before: PersonSchema, after: PersonSchema) -> dict[str, str]:
    """Return the fields that a schema renames: by their names in it, the ones that they had before."""
    return {
        one.name: one.renamed_from
        for one in after.fields
        if one.renamed_from in before.by_name and one.name not in before.by_name
    }


def kinds_before(before: PersonSchema, after: PersonSchema) -> dict[str, str]:
    """Return the kinds of claims that were there before: by the names that they have now.

    A kind is what its fields are, in their order.

    Args:
        before: The schema before.
        after: The one that follows.
    """
    former = former_names(before, after)
    kinds = {names: kind for kind, names in before.unique.items()}
    there = {
        kind: kinds.get(tuple(former.get(name, name) for name in names))
        for kind, names in after.unique.items()
    }
    return {kind: old for kind, old in there.items() if old is not None}


def _version(before: PersonSchema, after: PersonSchema) -> Iterator[Change]:
    if after.version != before.version + 1:
        what = f"is {after.version}: write {before.version + 1}, the number after the one in force"
        yield Change("refused", "version", what)


def _gone(before: PersonSchema, after: PersonSchema) -> Iterator[Change]:
    renamed = set(former_names(before, after).values())
    for field in before.fields:
        if field.name not in after.by_name and field.name not in renamed:
            what = "is removed: its values stay in the log, and come back if it is declared again"
            yield Change("rebuild", field.name, what)


def _field(
    field: FieldDeclaration,
    before: PersonSchema,
    after: PersonSchema,
    removed: Mapping[str, FieldDeclaration],
) -> Iterator[Change]:
    name, former = field.name, former_names(before, after).get(field.name)
    if former:
        if name in removed:
            yield Change("refused", name, "is the name of a field that was removed: choose another one")
        yield Change("rebuild", name, f"is the new name of {former}")
        yield from _differences(before.by_name[former], field)
        yield from _words(former, name, before, after)
    elif old := before.by_name.get(name):
        if field.renamed_from and field.renamed_from != old.renamed_from:
            yield Change("refused", name, "has a renamed_from, and is there already: leave that out")
        yield from _differences(old, field)
        yield from _words(name, name, before, after)
    elif field.renamed_from:
        what = f"is renamed from {shown(field.renamed_from)}, which is no field of the schema in force"
        yield Change("refused", name, what)
    elif name in removed:
        yield from _again(removed[name], field, after)
    else:
        yield from _new(field)


def _words(former: str, name: str, before: PersonSchema, after: PersonSchema) -> Iterator[Change]:
    old, declared = before.document["properties"][former], after.document["properties"][name]
    for what in changed_words(old, declared):
        yield Change("free", name, what)


def _new(field: FieldDeclaration) -> Iterator[Change]:
    if field.sort and not (field.required and field.default is None):
        yield Change("rebuild", field.name, "is new and sorted: people without a value have a place, too")
    elif field.default is not None:
        yield Change("rebuild", field.name, "is new, and has its default where people have no value")
    elif field.required:
        yield Change("refused", field.name, "is new and required: give it a default, or require it later")
    else:
        yield Change("free", field.name, "is new")


def _again(old: FieldDeclaration, field: FieldDeclaration, after: PersonSchema) -> Iterator[Change]:
    """Yield what becomes of a field whose values are in the log alone, where nobody can look at them."""
    yield Change("rebuild", field.name, "is declared again: its values come back from the log")
    reasons = {
        f"was {_kind(old)} and is {_kind(field)}": _kind(old) != _kind(field),
        "is narrower than when it was removed": narrowed(old, field),
        "is required without a default": field.required and field.default is None,
        "is personal and was not": field.personal and not old.personal,
        "is unique": any(field.name in names for names in after.unique.values()),
    }
    reason = next((reason for reason, holds in reasons.items() if holds), None)
    if reason:
        yield Change("refused", field.name, f"{reason}: declare it as it was, and change it then")


def _kind(field: FieldDeclaration) -> str:
    return f"{field.type} ({field.format})"


def _differences(old: FieldDeclaration, field: FieldDeclaration) -> Iterator[Change]:
    name = field.name
    if old.type != field.type:
        yield Change("refused", name, f"is {shown(field.type)} and was {shown(old.type)}: add a new field")
        return
    if narrowed(old, field):
        obstacle = Obstacle("value", (old.name,), field)
        yield Change("data", name, "is narrower, or compared by another format or pattern", obstacle)
    elif value_rules(old) != value_rules(field):
        yield Change("free", name, "is wider")
    if field.required and not old.required:
        if field.default is None:
            yield Change("data", name, "is required", Obstacle("lacks", (old.name,)))
        else:
            yield Change("rebuild", name, "is required, and has its default where people have no value")
    if keys_of(old) != keys_of(field):
        yield Change("rebuild", name, "is sorted or sought by other keys")
    if field.personal and not old.personal:
        yield Change("data", name, "is personal", Obstacle("logged", (old.name,)))
    for what in changed_field(old, field):
        yield Change("free", name, what)


def _unique(before: PersonSchema, after: PersonSchema) -> Iterator[Change]:
    former = former_names(before, after)
    former_kinds = kinds_before(before, after)
    for kind, names in after.unique.items():
        old_names = tuple(former.get(name, name) for name in names)
        old_kind = former_kinds.get(kind)
        if not all(name in before.by_name for name in old_names):
            yield Change("free", kind, "is unique, of a field that nobody has yet")
        elif old_kind is None:
            yield Change("data", kind, f"is unique: {', '.join(names)}", Obstacle("shared", old_names))
        elif old_kind != kind and len(names) > 1:
            yield Change("free", kind, f"is the new name of {old_kind}")
    for kind in before.unique:
        if kind not in former_kinds.values():
            yield Change("free", kind, "is unique no more")


def _together(before: PersonSchema, after: PersonSchema) -> Iterator[Change]:
    former = former_names(before, after)

    def as_before(word: str) -> str:
        sign, name = ("-", word[1:]) if word.startswith("-") else ("", word)
        return sign + former.get(name, name)

    orders = {tuple(map(as_before, order)): order for order in after.sorts}
    for old, order in orders.items():
        if old not in before.sorts:
            yield Change("free", "sorts", f"has a new order, which wants an index: {', '.join(order)}")
    for order in before.sorts:
        if order not in orders:
            yield Change("free", "sorts", f"has an order no more: {', '.join(order)}")
    if as_before(after.default_sort) != before.default_sort:
        yield Change("free", "defaultSort", f"is {after.default_sort}")
    said, told = (one.document.get("rollcall", {}) for one in (before, after))
    if "display" in {**said, **told} and tuple(map(as_before, after.display)) != before.display:
        yield Change("free", "display", f"is {', '.join(after.display)}")
    if after.title != before.title:
        yield Change("free", "title", f"is {shown(after.title)}")
    if said.get("taken") != told.get("taken"):
        yield Change("free", "taken", "says something else")
