"""Says which person schema a message in a command queue was written in."""

import json

from events.person.schema.declarations import PersonSchema
from events.person.schema.lifting import written_in


def older_schema(body: bytes, schema: PersonSchema) -> PersonSchema | None:
    """Return the schema that a message was written in, if that was an earlier one: it is held to that.

    Args:
        body: Of the message.
        schema: The one in force.
    """
    return written_in(person_schema_of(body), schema) if schema.earlier else None


def person_schema_of(body: bytes) -> int | None:
    """Return the number of the person schema that a message says it is written in, whatever else is in it.

    Args:
        body: Of the message, which no command could be read from.
    """
    try:
        number = json.loads(body)["personschema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return number if type(number) is int else None
