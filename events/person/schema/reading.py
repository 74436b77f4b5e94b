"""Reads the file that declares what a person is, and says all that is wrong in it."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from events.person.schema.declarations import FieldDeclaration, PersonSchema
from events.person.schema.errors import Fault, WrongFile
from events.person.schema.fields import ReadField, read_field
from events.person.schema.keywords import FILE, FILE_ROLLCALL, name_unknown
from events.person.schema.names import alike, name_fault
from events.person.schema.objects import SchemaObject, shown
from events.person.schema.parsing import parse_document, require_object
from events.person.schema.rules import check_fields
from events.person.schema.together import Together, read_together

MOST_FIELDS: Final = 200
LARGEST_VERSION: Final = 2**31 - 1
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def read_schema(document: object) -> PersonSchema:
    """Return what a file declares.

    Args:
        document: Its content, as a JSON parser gives it.

    Raises:
        WrongFile: It declares no person; all its faults are told.
    """
    faults: list[Fault] = []
    content = require_object(document)
    file = SchemaObject(content, "", faults)
    title, version = _head(file)
    fields = _fields(file)
    own = file.inner_or_empty("rollcall")
    name_unknown(own, FILE_ROLLCALL, 'the "rollcall" of the file')
    check_fields(fields)
    together = read_together(own, fields)
    if faults:
        raise WrongFile(faults)
    return _schema(title, version, fields, together, content)


def _head(file: SchemaObject) -> tuple[str, int]:
    """Return the title and the version."""
    name_unknown(file, FILE, "the file")
    file.choice("$schema", (_DIALECT,))
    file.text("$id")
    file.text("description")
    file.choice("type", ("object",))
    if file.content.get("additionalProperties", False) is not False:
        file.fault(
            "additionalProperties", "is not false", "write false: a person has the declared fields alone"
        )
    for keyword, instead in (
        ("version", "write 1, and one more with each change"),
        ("type", 'write "object"'),
    ):
        if keyword not in file:
            file.fault(keyword, "is missing", instead)
    return file.text("title", 100) or "Person", file.integer("version", 1, LARGEST_VERSION, 1) or 1


def _fields(file: SchemaObject) -> dict[str, ReadField | None]:
    """Return the fields by name; None for one of which not even the type is known."""
    properties = file.inner_or_empty("properties")
    if "properties" not in file or (
        not properties.content and isinstance(file.content["properties"], Mapping)
    ):
        file.fault(
            "properties", "declares no field", 'write {"name": {"type": "string", "format": "name"}}, say'
        )
    if len(properties.content) > MOST_FIELDS:
        file.fault("properties", f"has {len(properties.content):,} fields", f"write at most {MOST_FIELDS}")
        return {}
    required = _required(file, properties)
    fields: dict[str, ReadField | None] = {}
    similar = alike(iter(properties.content))
    for name in properties.content:
        if fault := name_fault(name):
            properties.fault(name, *fault)
        elif name in similar:
            properties.fault(name, f"differs from {similar[name]} in case alone", "choose another name")
        declared = properties.inner(name, 'write {"type": "string"}, say')
        fields[name] = None if declared is None else read_field(name, declared, required=name in required)
    return fields


def _required(file: SchemaObject, properties: SchemaObject) -> frozenset[str]:
    names = list(file.numbered_texts("required", "a field's name", 1_000, MOST_FIELDS))
    seen: set[str] = set()
    for at, name in names:
        if name not in properties:
            file.item_fault(
                "required", at, f"is {shown(name)}, which is no field", "declare it in properties"
            )
        elif name in seen:
            file.item_fault("required", at, f"is {shown(name)} once more", "leave it out")
        seen.add(name)
    return frozenset(seen)


def _schema(
    title: str,
    version: int,
    fields: Mapping[str, ReadField | None],
    together: Together,
    document: Mapping[str, object],
) -> PersonSchema:
    declared: tuple[FieldDeclaration, ...] = tuple(one.field for one in fields.values() if one)
    return PersonSchema(
        title=title,
        version=version,
        fields=declared,
        unique=together.unique,
        taken=together.taken,
        sorts=together.sorts,
        default_sort=together.default_sort,
        display=together.display,
        document=document,
    )


def parse_schema(text: str | bytes) -> PersonSchema:
    """Return what the text of a file declares.

    Args:
        text: JSON; of bytes, UTF-8.

    Raises:
        WrongFile: It declares no person; all its faults are told.
    """
    return read_schema(parse_document(text))


@cache
def default_schema() -> PersonSchema:
    """Return the schema that holds where no file is named."""
    text = files("events.person.schema").joinpath("default.json").read_text(encoding="utf-8")
    return parse_schema(text)
