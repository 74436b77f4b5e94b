"""The shipped person schema, and what is made of it: what most tests are about."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any, Final, get_args

from command_api.imports.options import import_query
from command_api.people.input import input_forms
from events.person.commands import command_type
from events.person.fields import stored_forms
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import default_schema, read_schema
from query_api.people.filters import people_queries

SCHEMA: Final = default_schema()
FIELD_NAMES: Final = SCHEMA.names
PersonFields = stored_forms(SCHEMA).fields
PersonChanges = stored_forms(SCHEMA).changes
CreatePerson, UpdatePerson, UpsertPerson, *_ = get_args(command_type(SCHEMA))
PersonInput = input_forms(SCHEMA).person
PersonPatch = input_forms(SCHEMA).patch
ImportQuery = import_query(SCHEMA)
PeopleQuery = people_queries(SCHEMA).people
PersonQuery = people_queries(SCHEMA).person
ExportQuery = people_queries(SCHEMA).export


def _with_unique_email() -> PersonSchema:
    document: dict[str, Any] = deepcopy(dict(SCHEMA.document))
    document["properties"]["email"]["rollcall"]["unique"] = True
    return read_schema(document)


UNIQUE_EMAIL: Final = _with_unique_email()
"""The shipped schema, but no two people have one e-mail address."""


def write_schema(file: Path, schema: PersonSchema = UNIQUE_EMAIL) -> Path:
    """Write a schema's file, for the setting ROLLCALL_PERSON_SCHEMA; return it."""
    file.write_text(json.dumps(schema.document), encoding="utf-8")
    return file
