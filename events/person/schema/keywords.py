"""Which keywords a file may have, and where; what stands there beyond them is named."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from events.person.schema.objects import SchemaObject, suggestion

FILE: Final = (
    *("$schema", "$id", "title", "description", "version", "type", "required", "properties"),
    *("additionalProperties", "rollcall"),
)
FILE_ROLLCALL: Final = ("unique", "taken", "sorts", "defaultSort", "display")
_TEXT: Final = ("type", "format", "minLength", "maxLength", "pattern")
_CODE: Final = ("type", "enum")
_FIELD: Final = ("title", "description", "examples", "default", "rollcall")
FIELD: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "text": (*_TEXT, *_FIELD),
        "enum": (*_CODE, *_FIELD),
        "integer": ("type", "minimum", "maximum", *_FIELD),
        "boolean": ("type", *_FIELD),
        "array": ("type", "items", "maxItems", *_FIELD),
    }
)
"""By kind of field, its keywords."""
ITEMS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"text": _TEXT, "enum": _CODE})
FIELD_ROLLCALL: Final = (
    *("labels", "titles", "unique", "search", "sort", "ties", "personal", "read", "write", "renamed_from"),
    "words",
)
_INSTEAD: Final[Mapping[str, str]] = MappingProxyType(
    {
        "const": 'write "enum" with one code',
        "exclusiveMinimum": 'write "minimum" with the next integer',
        "exclusiveMaximum": 'write "maximum" with the integer before',
        "uniqueItems": "leave it out",
        "minItems": "leave it out: an empty array is an absent one",
        "readOnly": 'name a scope in "rollcall": {"write": …}',
        "writeOnly": 'name a scope in "rollcall": {"read": …}',
        "nullable": 'leave it out: a field that is not in "required" may be absent',
        "deprecated": "leave it out",
        "$ref": "write out what it refers to",
        "$defs": "write each field out",
        "$comment": 'write a "description"',
    }
)
_OTHERS: Final = """
    allOf anyOf oneOf not if then else dependentSchemas dependentRequired prefixItems contains minContains
    maxContains patternProperties propertyNames unevaluatedItems unevaluatedProperties multipleOf
    minProperties maxProperties contentEncoding contentMediaType contentSchema $anchor $dynamicRef
    $dynamicAnchor $vocabulary definitions dependencies
"""
_JSON_SCHEMA: Final = frozenset(_OTHERS.split()) | frozenset(_INSTEAD)
_TYPED: Final = frozenset(keyword for keywords in FIELD.values() for keyword in keywords)


def name_unknown(content: SchemaObject, keywords: Collection[str], kind: str) -> None:
    """Keep a fault for each keyword of an object that may not stand there.

    Args:
        content: The object.
        keywords: Those that may.
        kind: What the object is, for a sentence: `an integer`.
    """
    for keyword in content.content:
        if keyword not in keywords:
            content.fault(keyword, *_unknown(keyword, keywords, kind))


def _unknown(keyword: str, keywords: Collection[str], kind: str) -> tuple[str, str]:
    if keyword in _JSON_SCHEMA:
        instead = _INSTEAD.get(keyword, "leave it out")
        return "is a keyword of JSON Schema that Rollcall does not take", instead
    if keyword in FIELD_ROLLCALL and "rollcall" in keywords:
        return f"is no keyword of {kind}", f'move it into "rollcall": {{"{keyword}": …}}'
    if keyword in _TYPED:
        return f"is no keyword of {kind}", "leave it out"
    return f"is no keyword of {kind}", suggestion(keyword, keywords) or "leave it out"
