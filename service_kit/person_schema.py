"""Loads the person schema that a process is told of."""

from pathlib import Path

from events.person.schema.declarations import PersonSchema
from events.person.schema.errors import WrongSchema, WrongSchemaFile
from events.person.schema.reading import default_schema, parse_schema

MAX_BYTES = 2**20
"""Of a schema's file."""


def load_person_schema(path: Path | None) -> PersonSchema:
    """Return the person schema in a file; without one, the shipped default.

    Raises:
        SystemExit: The file cannot be read, or is wrong; the message has a line for each fault.
    """
    if path is None:
        return default_schema()
    try:
        return read_schema_file(path)
    except WrongSchemaFile as exc:
        raise SystemExit(f"cannot start: {exc.text}") from None


def read_schema_file(path: Path) -> PersonSchema:
    """Return the person schema in a file.

    Raises:
        WrongSchemaFile: The file cannot be read, or is wrong; the message has a line for each fault.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as exc:
        raise WrongSchemaFile(f"the person schema {path}: {exc.strerror}") from None
    if len(content) > MAX_BYTES:
        raise WrongSchemaFile(f"the person schema {path} is larger than {MAX_BYTES >> 20} MB")
    try:
        return parse_schema(content)
    except WrongSchema as exc:
        faults = "\n".join(f"  {fault}" for fault in exc.faults)
        raise WrongSchemaFile(f"the person schema {path} is wrong:\n{faults}") from None
