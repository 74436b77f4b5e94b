"""Loads the person schema that a process is told of."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from events.person.schema.declarations import FieldDeclaration, PersonSchema
from events.person.schema.errors import Fault, WrongFile
from events.person.schema.objects import path as place
from events.person.schema.objects import shown
from events.person.schema.reading import default_schema, parse_schema
from service_kit.declared_files import declaration_in, read_declared
from service_kit.person_values.context import NOWHERE
from service_kit.person_values.readers import reader_of

MAX_BYTES: Final = 500 * 2**10
"""Of a schema's file. It is a text in an event, in which each sign may take two bytes, and the verifier reads
lines of a megabyte at most."""


def load_person_schema(path: Path | None) -> PersonSchema:
    """Return the person schema in a file; without one, the shipped default.

    Raises:
        SystemExit: As of `read_declared`.
    """
    if path is None:
        return default_schema()
    return read_declared(path, "the person schema", MAX_BYTES, _parse)


def read_schema_file(path: Path) -> PersonSchema:
    """Return the person schema in a file that is not in force.

    Raises:
        WrongDeclaration: It cannot be read, or is wrong.
    """
    return declaration_in(path, "the person schema", MAX_BYTES, _parse)


def _parse(content: bytes) -> PersonSchema:
    """Return what a file declares; its defaults are what a client's values become.

    Raises:
        WrongFile: As of `parse_schema`, or a default is not in the normal form of its field.
    """
    schema = parse_schema(content)
    if faults := [fault for field in schema.fields for fault in _default_faults(field)]:
        raise WrongFile(faults)
    return schema


def _default_faults(field: FieldDeclaration) -> Iterator[Fault]:
    """Yield what is wrong with the texts of a default, read as a client's."""
    where = place(place("properties", field.name), "default")
    read = reader_of(field)
    many = isinstance(field.default, list)
    for at, text in enumerate(field.default if many else [field.default]):
        if not isinstance(text, str):
            continue
        its = place(where, at) if many else where
        try:
            normal = read(text, NOWHERE)
        except ValueError:
            kind = "text" if field.format == "plain" else field.format
            yield Fault(its, f"is {shown(text)}, which is no {kind}", "write a value as it is stored")
        else:
            if normal != text:
                yield Fault(its, f"is {shown(text)}, which is not its normal form", f"write {shown(normal)}")
