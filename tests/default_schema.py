"""The shipped person schema, and what is made of it: what most tests are about."""

from typing import Final

from command_api.imports.options import import_query
from command_api.people.input import input_forms
from events.person.fields import stored_forms
from events.person.schema.reading import default_schema
from query_api.people.filters import people_queries

SCHEMA: Final = default_schema()
FIELD_NAMES: Final = SCHEMA.names
PersonFields = stored_forms(SCHEMA).fields
PersonChanges = stored_forms(SCHEMA).changes
PersonInput = input_forms(SCHEMA).person
PersonPatch = input_forms(SCHEMA).patch
ImportQuery = import_query(SCHEMA)
PeopleQuery = people_queries(SCHEMA).people
