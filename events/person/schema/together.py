"""Reads what the file says of fields together: claims, orders, and what names a person."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from events.person.schema.fields import LANGUAGES, ReadField
from events.person.schema.keywords import name_unknown
from events.person.schema.names import LONGEST_NAME, alike
from events.person.schema.objects import SchemaObject, path, quoted, shown, suggestion
from events.person.schema.rules import kind_of
from events.person.search import may_lack

TIMES: Final = ("created_at", "updated_at")
"""What people can be listed by beside the fields."""
MOST_KINDS: Final = 20
MOST_COMBINED: Final = 5
"""Fields of a claim or an order."""
MOST_SORTS: Final = 10
MOST_INDEXES: Final = 60
"""MongoDB has 64 a collection; a change needs some beside those that are there."""
_OWN_INDEXES: Final = 6
_KIND: Final = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{LONGEST_NAME - 1}}}")

Fields = Mapping[str, ReadField | None]
"""By name; None for a field of which not even the type is known."""


@dataclass(frozen=True, slots=True)
class Together:
    """What is said of fields together, as a `PersonSchema` has it."""

    unique: Mapping[str, tuple[str, ...]]
    taken: Mapping[str, Mapping[str, str]]
    sorts: tuple[tuple[str, ...], ...]
    default_sort: str
    display: tuple[str, ...]


def read_together(own: SchemaObject, fields: Fields) -> Together:
    """Return what is said of fields together; its faults are kept.

    Args:
        own: What is ours about the file.
        fields: Those that it declares.
    """
    unique = _unique(own, fields)
    sorts = _sorts(own, fields)
    _check_indexes(own, fields, sorts)
    return Together(
        unique=unique,
        taken=_taken(own, unique, fields),
        sorts=sorts,
        default_sort=_default_sort(own, fields),
        display=_display(own, fields),
    )


def _unique(own: SchemaObject, fields: Fields) -> dict[str, tuple[str, ...]]:
    """Return by kind of claim its fields: those of several first, as the file has them."""
    single: dict[str, tuple[str, ...]] = {name: (name,) for name, one in fields.items() if one and one.unique}
    declared = own.inner("unique", 'write {"document": ["document_type", "document_id"]}, say')
    if declared is None:
        return single
    if len(declared.content) > MOST_KINDS:
        own.fault("unique", f"has {len(declared.content):,} kinds", f"write at most {MOST_KINDS}")
        return single
    combined: dict[str, tuple[str, ...]] = {}
    similar = alike(iter((*single, *declared.content)))
    for kind in declared.content:
        if not _KIND.fullmatch(kind):
            declared.fault(kind, "is no name of a kind", "write ASCII letters, digits and _, a letter first")
        elif kind in single:
            declared.fault(kind, "is the name of a field that is unique alone", "choose another name")
        elif kind in similar:
            declared.fault(kind, f"differs from {similar[kind]} in case alone", "choose another name")
        combined[kind] = _unique_fields(declared, kind, fields)
        kinds = single | combined
        same = [other for other, names in kinds.items() if set(names) == set(combined[kind])]
        if combined[kind] and same[0] != kind:
            declared.fault(kind, f"has the fields of {same[0]}", "leave one of them out")
    return combined | single


def _unique_fields(declared: SchemaObject, kind: str, fields: Fields) -> tuple[str, ...]:
    before = len(declared.faults)
    names = _names(declared, kind, fields)
    if not names and len(declared.faults) == before:
        declared.fault(kind, "names no field", "write at least one")
    for name in names:
        one = fields[name]
        if one is None:
            continue
        if one.field.type == "array" or (one.field.type == "boolean" and len(names) == 1):
            declared.fault(kind, f"has {name}, which is {kind_of(one.field)}", "leave it out")
        if not one.field.personal:
            one.own.fault("personal", "is false on a field of a claim", "leave it out: it is always personal")
    return names


def _names(
    declared: SchemaObject, keyword: str, fields: Fields, most: int = MOST_COMBINED
) -> tuple[str, ...]:
    """Return the fields that a keyword names, each once."""
    names: list[str] = []
    for at, name in declared.numbered_texts(keyword, "a field's name", 1_000, most):
        if name not in fields:
            instead = suggestion(name, fields) or "write a field of properties"
            declared.item_fault(keyword, at, f"is {shown(name)}, which is no field", instead)
        elif name in names:
            declared.item_fault(keyword, at, f"is {name} once more", "leave it out")
        else:
            names.append(name)
    return tuple(names)


def _taken(
    own: SchemaObject, unique: Mapping[str, Sequence[str]], fields: Fields
) -> dict[str, Mapping[str, str]]:
    """Return by kind of claim and language what is said where somebody else has the values."""
    taken: dict[str, Mapping[str, str]] = {kind: _usual(names, fields) for kind, names in unique.items()}
    declared = own.inner("taken", 'write {"document": {"en": …, "es": …}}, say')
    for kind in declared.content if declared else ():
        if declared is None or kind not in unique:
            own.inner_or_empty("taken").fault(kind, "is no kind of claim", "write one that is unique")
            continue
        said = declared.inner(kind, 'write {"en": …, "es": …}')
        if said is not None:
            name_unknown(said, LANGUAGES, "what is said, which is by language")
            taken[kind] = {**taken[kind]} | {one: text for one in LANGUAGES if (text := said.text(one, 200))}
    return taken


def _usual(names: Sequence[str], fields: Fields) -> dict[str, str]:
    labels = [one.field.labels for name in names if (one := fields[name])]
    return {
        "en": f"another person has the same value: {', '.join(label['en'] for label in labels)}",
        "es": f"otra persona tiene el mismo valor: {', '.join(label['es'] for label in labels)}",
    }


def _sortable(fields: Fields) -> list[str]:
    return [*(name for name, one in fields.items() if one is None or one.field.sort), *TIMES]


def _sorts(own: SchemaObject, fields: Fields) -> tuple[tuple[str, ...], ...]:
    orders = own.content.get("sorts", [])
    if not isinstance(orders, list) or len(orders) > MOST_SORTS:
        own.fault("sorts", "is no short array", f"write at most {MOST_SORTS} arrays of names")
        return ()
    sortable = _sortable(fields)
    found: list[tuple[str, ...]] = []
    listed = SchemaObject(
        {str(at): order for at, order in enumerate(orders)}, path(own.where, "sorts"), own.faults
    )
    for at, keyword in enumerate(listed.content):
        order: list[str] = []
        for place, word in listed.numbered_texts(keyword, "a field's name", 1_000, MOST_COMBINED):
            name = word.removeprefix("-")
            if name not in sortable:
                instead = 'give the field "sort": true, or write another'
                listed.item_fault(
                    keyword, place, f"is {shown(word)}, which people cannot be sorted by", instead
                )
            elif name in [one.removeprefix("-") for one in order]:
                listed.item_fault(keyword, place, f"is {name} once more", "leave it out")
            else:
                order.append(word)
        if isinstance(orders[at], list) and len(orders[at]) < 2:
            own.item_fault("sorts", at, "has fewer than 2 fields", 'give the one field "sort": true')
        elif order and any(_is_same(tuple(order), one, fields) for one in found):
            own.item_fault(
                "sorts", at, "is the order of another", "leave one out: each serves both directions"
            )
        found.append(tuple(order))
    return tuple(found)


def _is_same(order: tuple[str, ...], other: tuple[str, ...], fields: Fields) -> bool:
    """Return whether one index has two orders: those who lack a value come last in both directions."""
    if order == other:
        return True
    later = (fields.get(name.removeprefix("-")) for name in order[1:])
    return order == _turned(other) and not any(one and may_lack(one.field) for one in later)


def _turned(order: Sequence[str]) -> tuple[str, ...]:
    return tuple(name.removeprefix("-") if name.startswith("-") else f"-{name}" for name in order)


def _default_sort(own: SchemaObject, fields: Fields) -> str:
    """Return the order of a list that names none, which whoever may list people may see."""
    sortable = _sortable(fields)
    open_ = [name for name in sortable if not ((one := fields.get(name)) and one.field.read)]
    name = own.text("defaultSort", LONGEST_NAME + 1)
    if name and name.removeprefix("-") not in open_:
        which = "few may see" if name.removeprefix("-") in sortable else "people cannot be sorted by"
        own.fault("defaultSort", f"is {shown(name)}, which {which}", f"write {quoted(open_)}")
    return name or open_[0]


def _display(own: SchemaObject, fields: Fields) -> tuple[str, ...]:
    """Return what names a person: without a word on it, the names of the format name, or the first field."""
    named = tuple(name for name, one in fields.items() if one and one.field.format == "name")
    return _names(own, "display", fields) or named[:2] or tuple(fields)[:1]


def _check_indexes(own: SchemaObject, fields: Fields, sorts: Sequence[Sequence[str]]) -> None:
    known = [one.field for one in fields.values() if one]
    count = _OWN_INDEXES + len(sorts) + any(field.search == "words" for field in known)
    count += sum(field.search in ("exact", "prefix") for field in known) + sum(field.sort for field in known)
    count += sum(map(may_lack, known))  # those who lack a value come last by an index of their own
    if count > MOST_INDEXES:
        what = f"wants about {count} indexes of search, sort and sorts, of {MOST_INDEXES} that there can be"
        own.fault("sorts", what, "leave search or sort out of some fields")
