"""Chooses what reads the values of a field, by its type and format.

Reading a normal form changes nothing. How long it may be is not said here: `events.person.fields` limits what
is stored, after all that is done to it.
"""

from collections.abc import Callable
from datetime import date
from typing import Final, assert_never
from uuid import UUID

from pydantic_core import PydanticCustomError, PydanticKnownError

from events.person import vocabulary
from events.person.decimals import decimal
from events.person.schema.declarations import FieldDeclaration
from service_kit.person_values.context import Context
from service_kit.person_values.phones import phone
from service_kit.person_values.texts import email, name, text

Reader = Callable[[str, Context], str]
"""Returns the normal form of a text, or raises `ValueError`: a `PydanticError` with a type of its own."""
MAX_WRITTEN: Final = 2000
"""Characters of a value as it is written, surplus space and all: nothing longer is even looked at."""


def _birth_date(written: str, context: Context) -> str:
    return vocabulary.birth_date(written.strip(), context.get("today", date.max))


def _date(written: str, _context: Context) -> str:
    return vocabulary.any_date(written.strip())


def _document_id(written: str, _context: Context) -> str:
    return vocabulary.document_id(written)


def _decimal(written: str, _context: Context) -> str:
    return decimal(written)


def _uuid(written: str, _context: Context) -> str:
    try:
        return str(UUID(written.strip()))
    except ValueError:
        raise PydanticCustomError("uuid", "must be a UUID") from None


_SCHEMES: Final = frozenset({"http", "https", "mailto", "tel", "urn", "ftp", "sftp"})
"""What an address may begin with. Others run programs where somebody follows them (`javascript:`)."""


def _uri(written: str, _context: Context) -> str:
    normal = text(written)
    scheme, colon, rest = normal.partition(":")
    if not (colon and rest) or " " in normal or scheme.lower() not in _SCHEMES:
        raise PydanticCustomError("no_uri", "must be a whole address, such as https://example.org/page")
    return f"{scheme.lower()}:{rest}"


def reader_of(field: FieldDeclaration) -> Reader:
    """Return what reads the texts of a field, be they in a body, in a row of an import or in a filter."""
    read: Reader
    match field.format:
        case "code":
            of_word = vocabulary.code_reader(field.words)
            read = lambda written, _context: of_word(written)  # noqa: E731
        case "document-number":
            read = _document_id
        case "name":
            read = name
        case "birth-date":
            read = _birth_date
        case "date":
            read = _date
        case "decimal":
            read = _decimal
        case "email":
            read = email
        case "phone":
            read = phone
        case "uri":
            read = _uri
        case "uuid":
            read = _uuid
        case "text" | "plain":
            read = text
        case _:
            assert_never(field.format)

    def read_bounded(written: str, context: Context) -> str:
        if len(written) > MAX_WRITTEN:
            raise PydanticKnownError("string_too_long", {"max_length": field.max_length or MAX_WRITTEN})
        return read(written, context)

    return read_bounded


def value_reader_of(field: FieldDeclaration) -> Callable[[object, Context], object]:
    """Return what reads a value of a field in JSON; what is of another type stays as it is, to be refused."""
    read = reader_of(field)

    def of_text(value: object, context: Context) -> object:
        return read(value, context) if isinstance(value, str) else value

    def of_array(value: object, context: Context) -> object:
        if not isinstance(value, list) or len(value) > field.max_items:
            return value
        return [of_text(one, context) for one in value]

    match field.type:
        case "string":
            return of_text
        case "array":
            return of_array
        case "integer":
            return lambda value, _context: whole(value)
        case "boolean":
            return lambda value, _context: value
        case _:
            assert_never(field.type)


def whole(value: object) -> object:
    """Return a number as JSON Schema reads it: 1.0 is an integer. All else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
