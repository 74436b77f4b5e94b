"""Examples and defaults of a field: whether they are values of it, and an example for a field without one."""

from collections.abc import Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from events.person.decimals import decimal
from events.person.fields import stored_type
from events.person.schema.declarations import FieldDeclaration
from events.person.schema.objects import shown, text_fault
from events.person.schema.patterns import matches
from events.person.vocabulary import any_date, birth_date, document_id, word_key

MOST_TEXT: Final = 2_000
_READERS: Final[Mapping[str, Callable[[str], str]]] = MappingProxyType(
    {
        "birth-date": lambda text: birth_date(text, date.max),
        "date": any_date,
        "decimal": decimal,
        "document-number": document_id,
    }
)
"""By format, what makes the normal form of a text, where more is said of it than by its type."""
_EXAMPLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "birth-date": "1990-12-10",
        "date": "2024-05-31",
        "decimal": "1250.5",
        "document-number": "1020304",
        "email": "ana@example.com",
        "name": "Ana",
        "phone": "+573001234567",
        "plain": "A1",
        "text": "Some text",
        "uri": "https://example.com/ana",
        "uuid": "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c",
    }
)


def plausible_example(field: FieldDeclaration) -> Any:
    """Return a value of a field without a pattern, as a client may write it."""
    if field.type == "integer":
        return max(field.minimum or 0, min(1, 1 if field.maximum is None else field.maximum))
    if field.type == "boolean":
        return True
    text = next(iter(field.words), "") if field.format == "code" else _text(field)
    return [text] if field.type == "array" else text


def _text(field: FieldDeclaration) -> str:
    text = _EXAMPLES[field.format]
    if field.format not in ("name", "plain", "text"):
        return text
    return text[: field.max_length].strip().ljust(field.min_length, "a")


def example_fault(field: FieldDeclaration, value: object) -> str:
    """Return what is wrong with a value as a client may write it; nothing if all is well."""
    if field.type == "array":
        if not isinstance(value, list):
            return f"is {shown(value)}, which is no array"
        if not 1 <= len(value) <= field.max_items:
            return f"has {len(value)} items"
        return next((fault for item in value if (fault := _text_fault(field, item))), "")
    if field.type == "string":
        return _text_fault(field, value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return (
        ""
        if _takes(TypeAdapter(stored_type(field)), value)
        else f"is {shown(value)}, which is no value of the field"
    )


def _text_fault(field: FieldDeclaration, value: object) -> str:
    if fault := text_fault(value, field.max_length or MOST_TEXT):
        return fault
    text = str(value)
    if field.format == "code":
        words = {word_key(word) for code, known in field.words.items() for word in (code, *known)}
        return "" if word_key(text) in words else f"is {shown(text)}, which stands for no code"
    if len(text) < field.min_length:
        return f"has {len(text)} characters"
    if field.pattern and not matches(field.pattern, text):
        return f"is {shown(text)}, which the pattern does not match"
    return "" if _normal(field, text) is not None else f"is {shown(text)}, which is no {field.format}"


def default_fault(field: FieldDeclaration, value: object) -> str:
    """Return what is wrong with a value as it is stored; nothing if all is well."""
    return stored_check(field)(value)


def stored_check(field: FieldDeclaration) -> Callable[[object], str]:
    """Return what says of a value as it is stored what is wrong with it; made once for many values."""
    adapter = TypeAdapter(stored_type(field))

    def fault(value: object) -> str:
        if not _takes(adapter, value):
            return f"is {shown(value)}, which is no value of the field in its normal form"
        texts = value if isinstance(value, list) else [value]
        return next((found for text in texts if (found := _stored_fault(field, text))), "")

    return fault


def _stored_fault(field: FieldDeclaration, text: object) -> str:
    if not isinstance(text, str):
        return ""
    if fault := text_fault(text, MOST_TEXT):
        return fault
    if field.format == "plain" or (normal := _normal(field, " ".join(text.split()))) == text:
        return ""
    return f"is {shown(text)}, which is not its normal form" + (f": {shown(normal)}" if normal else "")


def _normal(field: FieldDeclaration, text: str) -> str | None:
    """Return the normal form of a text as far as its format says it; None if it has none."""
    try:
        return _READERS.get(field.format, str)(text)
    except ValueError:
        return None


def _takes(adapter: TypeAdapter[Any], value: object) -> bool:
    try:
        adapter.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
