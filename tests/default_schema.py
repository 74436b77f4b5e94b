"""The shipped person schema, and what is made of it: what most tests are about."""

import json
from copy import deepcopy
from typing import Final, get_args

from command_api.imports.options import import_query
from command_api.people.input import input_forms
from events.person.commands import command_type
from events.person.fields import stored_forms
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import default_schema, parse_schema
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


def _unique_email() -> PersonSchema:
    document = deepcopy(dict(SCHEMA.document))
    document["properties"]["email"]["rollcall"]["unique"] = True
    return parse_schema(json.dumps(document))


UNIQUE_EMAIL: Final = _unique_email()
"""The same, but that an e-mail address belongs to one person."""
