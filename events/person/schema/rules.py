"""The rules of one field and of fields beside each other."""

from collections.abc import Iterator, Mapping
from typing import Final

from events.person.fields import READ_ONLY
from events.person.schema.declarations import FieldDeclaration
from events.person.schema.fields import ReadField
from events.person.schema.names import RESERVED, name_fault
from events.person.schema.objects import shown
from events.person.titles import ID_TITLES, title_key

_NO_BEGINNING: Final = frozenset({"birth-date", "code", "date", "decimal"})


def check_fields(fields: Mapping[str, ReadField | None]) -> None:
    """Keep the faults of fields.

    Args:
        fields: By name; None for one of which not even the type is known.
    """
    known = [one for one in fields.values() if one]
    for one in known:
        _check_search(one)
        _check_rights(one)
        _check_ties(one, fields)
        _check_ranges(one, fields)
        _check_former_name(one, fields, known)
    _check_titles(known)


def kind_of(field: FieldDeclaration) -> str:
    """Return what a field is, for a sentence."""
    if field.type == "string":
        special = {"plain": "a text without a format", "code": "an enum", "email": "an email"}
        return special.get(field.format, f"a {field.format}")
    return f"a{'' if field.type == 'boolean' else 'n'} {field.type}"


def _check_search(one: ReadField) -> None:
    field, own = one.field, one.own
    kind = kind_of(field)
    if field.search == "words" and not (field.type == "string" and field.folded):
        own.fault("search", f'is "words" on {kind}', 'write "exact", or give it the format name or text')
    if field.search == "prefix" and (field.type != "string" or field.format in _NO_BEGINNING):
        own.fault("search", f'is "prefix" on {kind}', 'write "exact"')
    if field.sort and field.type == "array":
        own.fault("sort", "is true on an array, which has no order", "leave it out")
    if one.unique and field.type in ("array", "boolean"):
        own.fault(
            "unique", f"is true on {kind}", "leave it out: texts, dates, codes and integers can be unique"
        )
    if one.unique and field.default is not None:
        own.fault("unique", "is true beside a default, which people would share", "leave one of the two out")


def _check_rights(one: ReadField) -> None:
    field, own = one.field, one.own
    if field.required and field.write:
        what = "is there on a required field, which everybody who creates a person must set"
        own.fault("write", what, 'leave it out, or take the field out of "required"')
    if not field.personal and (one.unique or field.read):
        reason = "unique" if one.unique else "read"
        own.fault("personal", f'is false beside "{reason}"', "leave it out: such a field is always personal")
    if field.search == "words" and field.read:
        what = 'is "words" beside "read", and q finds by words whoever asks'
        own.fault("search", what, 'write "exact" or "prefix"')


def _check_ties(one: ReadField, fields: Mapping[str, ReadField | None]) -> None:
    field, own = one.field, one.own
    if not field.ties:
        return
    advice = "name another field of the format name or text that is sorted"
    if not _is_sorted_name(field):
        own.fault("ties", "is there on a field that is no sorted name or text", "leave it out")
    elif field.ties == field.name:
        own.fault("ties", "is the field itself", advice)
    elif field.ties not in fields:
        own.fault("ties", f"is {shown(field.ties)}, which is no field", advice)
    elif (other := fields[field.ties]) and not _is_sorted_name(other.field):
        own.fault("ties", f"is {shown(field.ties)}, which is no sorted name or text", advice)
    elif other and other.field.read not in ("", field.read):
        # The key of the order has both, and stands in the cursor of a page.
        own.fault("ties", f'is {shown(field.ties)}, whose "read" is another', advice)


def _is_sorted_name(field: FieldDeclaration) -> bool:
    return field.sort and field.type == "string" and field.folded


def _check_ranges(one: ReadField, fields: Mapping[str, ReadField | None]) -> None:
    """Keep a fault where a field has the name of a filter of another one."""
    if one.field.sort and one.field.format in ("birth-date", "date"):
        for name in (f"{one.field.name}_from", f"{one.field.name}_to"):
            if name in fields:
                one.own.fault(
                    "sort", f"makes a filter {name}, which is a field, too", "choose another name for it"
                )
            elif reason := RESERVED.get(name.casefold()):
                one.own.fault("sort", f"makes a filter {name}, which {reason}", "choose another name for it")


def _check_former_name(
    one: ReadField, fields: Mapping[str, ReadField | None], known: list[ReadField]
) -> None:
    former = one.field.renamed_from
    if not former:
        return
    if fault := name_fault(former):
        one.own.fault("renamed_from", *fault)
    elif former in fields:
        one.own.fault("renamed_from", f"is {shown(former)}, which is a field now", "write the name before")
    first = next(other for other in known if other.field.renamed_from == former)
    if first is not one:
        what = f"is {shown(former)}, as of {first.field.name}"
        one.own.fault("renamed_from", what, "leave it with one of the two")


def _check_titles(known: list[ReadField]) -> None:
    """Keep a fault for each title that could be another column, too."""
    columns = {title_key(title): "id" for title in ID_TITLES} | {title_key(name): name for name in READ_ONLY}
    for one in known:
        other = columns.setdefault(title_key(one.field.name), one.field.name)
        if other.casefold() != one.field.name.casefold():
            what = f"has a name that stands for {other} where a file has columns"
            one.declared.whole_fault(what, "choose another name")
    for one in known:
        own_key = title_key(one.field.name)
        for keyword, title in _titles(one):
            if (
                title_key(title) != own_key
                and (other := columns.setdefault(title_key(title), one.field.name)) != one.field.name
            ):
                what = f"has {shown(title)}, which stands for {other} already"
                one.own.fault(keyword, what, "leave it with one of the two")


def _titles(one: ReadField) -> Iterator[tuple[str, str]]:
    yield from (("labels", label) for label in dict.fromkeys(one.field.labels.values()))
    yield from (("titles", title) for title in one.field.titles)
