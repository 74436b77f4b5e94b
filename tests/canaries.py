"""Values that stand nowhere else, and the search for them in everything that a system wrote."""

import base64
from collections.abc import Iterable, Iterator
from typing import Any

import bson
from pymongo import MongoClient

from tests.system import System

PERSON = {
    "document_type": "Cédula de ciudadanía",
    "document_id": "7316849205",
    "first_name": "Canaryzoe",
    "middle_name": "Canarymid",
    "last_name": "Canaryarango",
    "birth_date": "1947-03-13",
    "gender": "Femenino",
    "email": "canary.zoe@canary-mail.example.com",
    "phone": "+573007316849",
    "address": "Canarystreet 7316",
    "occupation": "Canarykeeper",
}
CANARIES = tuple(value for name, value in PERSON.items() if name not in ("document_type", "gender"))
"""Those that are words of the schema stand in many places."""
PLAIN = frozenset({"people", "milestones"})
"""The read model: plain, for search; rebuilt, never backed up."""


def forms_of(value: str) -> Iterator[bytes]:
    """Yield the ways in which a value may stand somewhere: as it is, folded, and in base64, however aligned."""
    for text in {value, value.casefold()}:
        yield text.encode()
        for shift in range(3):
            # Of the first and the last group, other bytes decide, too.
            coded = base64.b64encode(b"\0" * shift + text.encode())
            yield coded[4 if shift else 0 : len(coded) - 4]


def found_in(content: bytes, values: Iterable[str] = CANARIES) -> set[str]:
    """Return the values that stand in some bytes, in any of their forms."""
    return {value for value in values if any(form in content for form in forms_of(value))}


def logs_of(system: System) -> dict[str, bytes]:
    """Return all that services, MongoDB, RabbitMQ and the router logged, by file."""
    files = [path for path in system.directory.rglob("*.log") if path.is_file()]
    return {str(path.relative_to(system.directory)): path.read_bytes() for path in files}


def documents_of(system: System, database: str = "rollcall") -> dict[str, bytes]:
    """Return each collection of a database as its members' documents are stored, by name."""
    with MongoClient[dict[str, Any]](system.mongo.uri) as client:
        names = client[database].list_collection_names()
        return {name: b"".join(map(bson.encode, client[database][name].find())) for name in names}
