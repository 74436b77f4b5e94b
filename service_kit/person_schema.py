"""Loads the person schema that a process is told of."""

from pathlib import Path
from typing import Final

from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import default_schema, parse_schema
from service_kit.declared_files import declaration_in, read_declared

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
    return read_declared(path, "the person schema", MAX_BYTES, parse_schema)


def read_schema_file(path: Path) -> PersonSchema:
    """Return the person schema in a file that is not in force.

    Raises:
        WrongDeclaration: It cannot be read, or is wrong.
    """
    return declaration_in(path, "the person schema", MAX_BYTES, parse_schema)
