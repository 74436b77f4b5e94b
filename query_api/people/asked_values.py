"""Reads a filter's value as a body's is read, and what only an address does to a value."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from pydantic_core import PydanticCustomError

from events.person.decimals import decimal, decimal_key
from events.person.schema.declarations import FieldDeclaration
from events.text import fold
from service_kit.person_values.cells import boolean, integer
from service_kit.person_values.readers import reader_of

Context = Mapping[str, Any]
"""What reading wants to know: the `phone_region` of national numbers."""
Read = Callable[[str, Context], Any]
_DIGITS: Final = range(7, 16)


def asked_value_of(field: FieldDeclaration) -> Read:
    """Return what brings a value that is asked for to the form in which people are compared with it."""
    if field.type == "integer":
        return lambda text, _context: integer(text)
    if field.type == "boolean":
        return lambda text, _context: boolean(text)
    if field.folded:
        return lambda text, _context: fold(text)
    read = reader_of(field)
    match field.format:
        case "email":
            return lambda text, context: read("+".join(text.split()), context)
        case "phone":
            return lambda text, context: _phone(read, text, context)
        case "birth-date" | "date":
            return lambda text, context: _day(read, text, context)
        case "decimal":
            return lambda text, _context: decimal_key(decimal(text))
        case _:
            return read


def stored_value_of(field: FieldDeclaration) -> Read:
    """Return what brings a value that is asked for to the form in which it is stored, and claimed."""
    return reader_of(field) if field.folded or field.format == "decimal" else asked_value_of(field)


def person_id(text: str) -> str:
    """Return a person's id in its usual form.

    Raises:
        ValueError: It is none.
    """
    try:
        return str(UUID(text.strip()))
    except ValueError:
        raise PydanticCustomError("uuid", "must be a UUID") from None


def _phone(read: Read, text: str, context: Context) -> Any:
    """Return a phone number as it is stored; a blank before it may be a plus that a URL lost.

    Of a list, the blank is gone, too: what is no national number may be one that begins with its country.
    """
    bare = text.strip()
    for written in (f"+{bare}", bare) if text.startswith(" ") else (text, f"+{bare}"):
        try:
            return read(written, context)
        except ValueError as exc:
            refused = exc
    # It was in use when it was stored, perhaps.
    if bare.startswith("+") and bare[1:].isascii() and bare[1:].isdigit() and len(bare) - 1 in _DIGITS:
        return bare
    raise refused


def _day(read: Read, text: str, context: Context) -> Any:
    """Return a day; also one on which nobody can be born, since a range may begin or end there."""
    try:
        return read(text, context)
    except ValueError:
        try:
            return date.fromisoformat(text.strip()).isoformat()
        except ValueError:
            pass
        raise


def with_scope(field: FieldDeclaration, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what OpenAPI says of a filter, with the scope that the filter's field wants."""
    if not field.read:
        return schema
    told = (schema.get("description"), f"Wants the scope `{field.read}`, too")
    return {**schema, "description": ". ".join(filter(None, told))}
