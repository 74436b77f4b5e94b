"""Compares two declarations of one field: whether values that were taken still are. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from events.person.schema.declarations import FieldDeclaration

_SAID: Final = {
    "personal": "is personal no more, in what is written from now on",
    "read": "is read with another scope",
    "write": "is written with another scope",
    "default": "has another default, which people have who were created before it",
}


def value_rules(field: FieldDeclaration) -> tuple[Any, ...]:
    """Return all that says which values a field takes."""
    return (
        field.format,
        frozenset(field.words),
        field.min_length,
        field.max_length,
        field.pattern,
        field.minimum,
        field.maximum,
        field.max_items,
    )


def narrowed(old: FieldDeclaration, field: FieldDeclaration) -> bool:
    """Return whether a field may not take a value any more that it took; both have the same type.

    Args:
        old: As it is.
        field: As it is to be.
    """
    if old.format != field.format:
        return True
    return (
        not old.words.keys() <= field.words.keys()
        or field.min_length > max(1, old.min_length)
        or field.max_length < old.max_length
        or field.pattern not in ("", old.pattern)
        or _above(field.minimum, old.minimum)
        or _above(_negative(field.maximum), _negative(old.maximum))
        or field.max_items < old.max_items
    )


def _above(bound: int | None, old: int | None) -> bool:
    return bound is not None and (old is None or bound > old)


def _negative(bound: int | None) -> int | None:
    return None if bound is None else -bound


def keys_of(field: FieldDeclaration) -> tuple[Any, ...]:
    """Return what decides which keys the read model keeps of a field."""
    by_name = field.folded or field.format == "decimal"
    return (
        field.format if by_name and field.has_filter else "",
        field.folded and field.sort,
        field.ties,
        field.sort and not field.required and field.format != "name",
        field.search == "words",
        field.format == "document-number" and field.search == "prefix",
    )


def changed_field(old: FieldDeclaration, field: FieldDeclaration) -> Iterator[str]:
    """Yield what else differs, which takes nothing but an index perhaps: what follows the field's name.

    Args:
        old: As it is.
        field: As it is to be.
    """
    if old.required and not field.required:
        yield "is required no more"
    if old.words != field.words and old.words.keys() == field.words.keys():
        yield "has other words for its codes"
    if (old.search, old.sort) != (field.search, field.sort):
        yield _use(field)
    for attribute, what in _SAID.items():
        # That it became personal is no free change.
        if getattr(old, attribute) != getattr(field, attribute) and not (
            attribute == "personal" and field.personal
        ):
            yield what


def changed_words(old: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[str]:
    """Yield what people are told otherwise about a field: what follows its name.

    Args:
        old: What the file in force says of it: what is not said there follows from the rest.
        declared: What the other file says.
    """
    ours, others = old.get("rollcall", {}), declared.get("rollcall", {})
    for keyword in ("title", "description", "examples"):
        if old.get(keyword) != declared.get(keyword):
            yield f"has another {keyword}" if keyword != "examples" else "has other examples"
    for keyword in ("labels", "titles"):
        if ours.get(keyword) != others.get(keyword):
            yield f"has other {keyword}"


def _use(field: FieldDeclaration) -> str:
    uses = [f"sought by {field.search}"] if field.search else []
    uses += ["sorted"] if field.sort else []
    return (
        f"is {' and '.join(uses)}: the initialiser makes the index"
        if uses
        else "is sought and sorted no more"
    )
