"""What a filter of people may be, field by field, and the MongoDB condition that it means.

A value from a client only ever stands where a value stands: it never names a field or an operator. It is read
as one in a body is.
"""

import csv
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, assert_never, get_args

from pydantic import BeforeValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from events.person.fields import MAX_INTEGER
from events.person.orders import least_of
from events.person.schema.declarations import FieldDeclaration, PersonSchema
from events.person.search import AFTER, BETWEEN, may_lack
from events.text import fold
from events.times import rfc3339
from query_api.people.asked_values import Read, asked_value_of, person_id, with_scope
from query_api.people.search import NOBODY, Condition, Search, beginning
from query_api.reading.forms import zone_in
from query_api.reading.times import Operator, bound
from service_kit.http.guard import MAX_TARGET_BYTES

MAX_VALUES: Final = 200
"""Values of a set: as many as a page has at most."""
MAX_TEXT: Final = 2_000
_TIMES: Final = ("created_at", "updated_at")
_OPERATORS: Final = get_args(Operator)
_ONE_OF: Final = "One of these, separated by commas"
_MEANING: Final[Mapping[str, str]] = {
    "gte": "From this on",
    "gt": "After this",
    "lte": "Up to this",
    "lt": "Before this",
}

Build = Callable[..., Condition]


def _filter(build: Build, schema: Mapping[str, Any]) -> tuple[Any, None]:
    """Return the type and default of a parameter whose value becomes a condition.

    Args:
        build: Makes the condition.
        schema: What OpenAPI says of it; a set is as long as an address may be.
    """
    longest = schema.get("maxLength", MAX_TARGET_BYTES)

    def condition(value: object, info: ValidationInfo) -> Condition:
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "must be text")
        if not value:
            raise PydanticCustomError("empty", "must not be empty")
        if len(value) > longest:
            raise PydanticCustomError(
                "string_too_long", "must not be longer than {max_length} characters", {"max_length": longest}
            )
        return build(value, info)

    return Annotated[Any, BeforeValidator(condition), WithJsonSchema(dict(schema))], None


def _text(longest: int = MAX_TEXT, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest, **more}


def _list_of(schema: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Return what OpenAPI says of several values, separated by commas."""
    items = {name: value for name, value in schema.items() if name != "description"}
    return {
        "type": "array",
        "items": items,
        "minItems": 1,
        "maxItems": MAX_VALUES,
        "description": description,
    }


def values_of(text: str) -> list[str]:
    """Return the values of a set, each once: separated by commas, in double quotes where one has a comma.

    Raises:
        ValueError: There are none, or too many.
    """
    (row,) = csv.reader([" ".join(text.split()).replace("\0", " ")], skipinitialspace=True)
    values = [value for value in row if value.strip()]
    if not values:
        raise PydanticCustomError("empty", "must not be empty")
    if len(values) > MAX_VALUES:  # one that is there twice counts twice, as in OpenAPI
        raise PydanticCustomError(
            "too_many_values", "must not have more than {most} values", {"most": MAX_VALUES}
        )
    return list(dict.fromkeys(values))


def _equal(field: FieldDeclaration) -> Callable[[Any], Condition]:
    """Return what makes the condition that a field has a value."""
    key = field.key
    if not (field.folded and field.sort):
        return lambda value: {key: {"$eq": value}}
    # The sort key begins with the whole folded name: its index answers an equality too.
    return lambda name: {key: {"$gte": name + BETWEEN, "$lt": name + AFTER}} if name else NOBODY


def _among(field: FieldDeclaration) -> Callable[[list[Any]], Condition]:
    """Return what makes the condition that a field has one of some values."""
    if not (field.folded and field.sort):
        return lambda values: {field.key: {"$in": values}}
    equal = _equal(field)
    return lambda names: {"$or": list(map(equal, names))}


def _range(field: FieldDeclaration, operator: str) -> Callable[[str], Condition]:
    """Return what makes the condition that a field lies on one side of a value."""
    key = field.key
    if not field.folded:
        return lambda value: {key: {f"${operator}": value}}
    # Whole names that are equal when folded are equal here; who lacks the name comes before all others.
    ends: Mapping[str, Callable[[str], dict[str, str]]] = {
        "gte": lambda name: {"$gte": name or AFTER},
        "gt": lambda name: {"$gte": name + AFTER},
        "lte": lambda name: {"$gte": AFTER, "$lt": name + AFTER},
        "lt": lambda name: {"$gte": AFTER, "$lt": name or AFTER},
    }
    return lambda name: {key: ends[operator](name)}


def _is_there(field: FieldDeclaration, *, there: bool) -> Condition:
    if there:
        return {field.name: {"$gte": least_of(field)}}
    if may_lack(field):
        return {f"keys.lacks.{field.name}": {"$eq": True}}
    if field.folded and field.sort:
        return {field.key: {"$gte": BETWEEN, "$lt": AFTER}, field.name: {"$eq": None}}
    # Only what is filtered has a key.
    return {field.key if field.has_filter else field.name: {"$eq": None}}


_EXISTS: Final = {"type": "boolean", "description": "Whether the person has one"}


def _boolean(text: str) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in known:
        raise PydanticCustomError("bool_parsing", "must be true or false")
    return known[text.lower()]


def field_filters(schema: PersonSchema) -> dict[str, tuple[Any, None]]:
    """Return the filters of a schema's fields by name, each with its type and default."""
    filters: dict[str, tuple[Any, None]] = {}
    for field in schema.fields:
        read, shape = asked_value_of(field), asked_schema(field)
        filters[f"{field.name}.exists"] = _filter(_existence(field), with_scope(field, _EXISTS))
        if field.has_filter:
            filters[field.name] = _filter(_one(read, _equal(field)), with_scope(field, shape))
            several = with_scope(field, _list_of(shape, _ONE_OF))
            filters[f"{field.name}.in"] = _filter(_several(read, _among(field)), several)
        if field.is_found_by_prefix and field.type == "string":
            filters[f"{field.name}.prefix"] = _filter(
                lambda text, _info, field=field: _begins(field, text),
                with_scope(field, _text(description="The beginning of a value, as it is stored")),
            )
        if field.sort:
            for operator in _OPERATORS:
                meaning = with_scope(field, {**shape, "description": _MEANING[operator]})
                filters[f"{field.name}.{operator}"] = _filter(_one(read, _range(field, operator)), meaning)
        if field.sort and field.format in ("birth-date", "date"):
            for end, operator in (("from", "gte"), ("to", "lte")):
                filters[f"{field.name}_{end}"] = filters[f"{field.name}.{operator}"]
    return filters


def _begins(field: FieldDeclaration, text: str) -> Condition:
    """Return the condition that a value begins with a text, which is brought to the form that is stored."""
    begin = fold(text) if field.folded else " ".join(text.split())
    if field.format == "document-number":
        begin = "".join(begin.split()).upper()
    elif field.format == "phone":
        begin = "+" * text.startswith(" ") + "".join(begin.split())  # a blank may be a plus that a URL lost
    elif field.format in ("email", "uuid"):
        begin = begin.lower()
    return {field.key: beginning(begin)} if begin else NOBODY


def time_filters() -> dict[str, tuple[Any, None]]:
    """Return the filters of the times that every person has."""
    filters = {}
    for name in _TIMES:
        key = name.removesuffix("_at")
        for operator in _OPERATORS:
            filters[f"{name}.{operator}"] = _time(name, operator, _MEANING[operator])
        filters[f"{key}_from"] = _time(name, "gte", _MEANING["gte"])
        filters[f"{key}_to"] = _time(name, "lt", _MEANING["lt"])
    return filters


def _one(read: Read, make: Callable[[Any], Condition]) -> Build:
    return lambda text, info: make(read(text, info.context or {}))


def _several(read: Read, make: Callable[[list[Any]], Condition]) -> Build:
    return lambda text, info: make([read(value, info.context or {}) for value in values_of(text)])


def _existence(field: FieldDeclaration) -> Build:
    return lambda text, _info: _is_there(field, there=_boolean(text))


def _time(name: str, operator: Operator, meaning: str) -> tuple[Any, None]:
    def condition(text: str, info: ValidationInfo) -> Condition:
        sign, time = bound(text, operator, zone_in(info))
        return {name: {sign: rfc3339(time)}}

    described = f"{meaning}: RFC 3339, or a day, all of it"
    return _filter(condition, _text(64, description=described, format="date-time"))


def asked_schema(field: FieldDeclaration) -> dict[str, Any]:
    """Return what OpenAPI says of a value of a field that is asked for."""
    match field.type:
        case "integer":
            return {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER}
        case "boolean":
            return {"type": "boolean"}
        case "string" | "array":
            return _asked_text(field)
        case _:
            assert_never(field.type)


def _asked_text(field: FieldDeclaration) -> dict[str, Any]:
    match field.format:
        case "code":
            format_ = f"rollcall-{field.name.replace('_', '-')}"
            longest = max(60, *map(len, field.words))
            return _text(longest, description="Code or known name", format=format_)
        case "document-number":
            return _text(description="As on the document", format="rollcall-document-number")
        case "name" | "text":
            return _text(description="Whole; accents, case and apostrophes do not count")
        case "plain":
            return _text(description="Whole")
        case "decimal":
            return _text(80, description="A decimal number, with a point", format="rollcall-decimal")
        case "uri":
            return _text(format="uri")
        case "uuid":
            return _text(45, format="uuid")
        case "email":
            return _text(format="email")
        case "phone":
            return _text(format="rollcall-phone", description="E.164, or national in the configured region")
        case "birth-date" | "date":
            return _text(format="date", description="`YYYY-MM-DD`, or `DD-MM-YYYY`")
        case _:
            assert_never(field.format)


IDS: Final = _filter(
    lambda text, _info: {"_id": {"$in": list(map(person_id, values_of(text)))}},
    _list_of({"type": "string", "format": "uuid"}, "Those with these ids, separated by commas"),
)


def search_filter(schema: PersonSchema) -> tuple[Any, None]:
    """Return the filter `q`."""
    search = Search(schema)
    return _filter(
        lambda text, info: {"$and": search.conditions(text, (info.context or {}).get("phone_region", ""))},
        _text(200, description=search.description),
    )
