"""Example values that both OpenAPI documents show."""

from datetime import date
from functools import lru_cache
from typing import Any, Final

from events.person.schema.declarations import PersonSchema
from service_kit.http.import_examples import IMPORT_READ_EXAMPLE, import_example
from service_kit.person_values.readers import value_reader_of

EXAMPLE_ID: Final = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
_COMMAND: Final = {"person_id": EXAMPLE_ID, "command_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77"}
_STAMPS: Final = {
    "actor": {"subject": "ada", "name": "Ada Lovelace"},
    "accepted_at": "2026-02-28T09:29:59.981Z",
    "source_address": "203.0.113.7",
    "user_agent": "people-ui/3.2",
    "command_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77",
    "correlation_id": "import-2026-11",
    "causation_id": None,
    "traceparent": None,
}
_EVENT: Final = {
    "event_id": "0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09",
    "version": 2,
    "type": "person.updated",
    **_STAMPS,
    "applied_at": "2026-02-28T09:30:00.000Z",
    "schema": 1,
    "prev": "5b1d6a0d0d4e1f8b9a7c3e2f4d5c6b7a8e9f0a1b2c3d4e5f60718293a4b5c6d7",
    "hash": "c0ffee0d0d4e1f8b9a7c3e2f4d5c6b7a8e9f0a1b2c3d4e5f60718293a4b5c6d7",
}
_ANNOUNCED: Final = {
    "specversion": "1.0",
    "id": _EVENT["event_id"],
    "type": _EVENT["type"],
    "subject": EXAMPLE_ID,
    "time": _EVENT["applied_at"],
    "version": _EVENT["version"],
    "actor": "ada",
}
_ACCESS: Final = {
    "id": "0199b1f0-7a00-7b11-8c22-d33e44f55a66:128",
    "at": "2026-02-28T09:30:00.512Z",
    "service": "query-api",
    "subject": "ada",
    "address": "203.0.113.7",
    "method": "GET",
    "route": "/people",
    "status": 200,
    "outcome": "answered",
    "purpose": "case 4711",
    "filters": ["q"],
    "values": {"q": "ana"},
    "people": [EXAMPLE_ID],
    "left_out": 0,
    "position": None,
    "lines": None,
    "whole": None,
    "begun": None,
    "times": 1,
}
_REFUSED: Final = {
    "status": "rejected",
    "type": "person.update",
    "reason": "version-mismatch",
    "detail": "the person is at version 2, not 1",
    **_STAMPS,
    "rejected_at": "2026-02-28T09:31:00.000Z",
}
_PARKED_PERSON: Final = {
    "person_id": EXAMPLE_ID,
    "waiting": 2,
    "since": "2026-02-28T09:30:00.000Z",
    "command_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77",
    "reason": "ValueError",
    "detail": "ValueError at service_kit/read_model.py:79, in state_of",
    "attempts": 1,
    "tried_at": "2026-02-28T09:30:00.000Z",
}
_WAITING: Final = {
    "command_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77",
    "type": "person.update",
    "actor": "ada",
    "accepted_at": "2026-02-28T09:29:59.981Z",
    "parked_at": "2026-02-28T09:30:00.000Z",
    "reason": "ValueError",
    "detail": "ValueError at service_kit/read_model.py:79, in state_of",
    "attempts": 1,
    "tried_at": "2026-02-28T09:30:00.000Z",
    "message": '{"specversion":"1.0", …}',
}
_DEAD: Final = {
    "id": "9f86d081884c7d65",
    "message_id": "0199b1f0-7a10-7c55-9a1e-3f5d5c0e9b77",
    "queue": "commands.3",
    "dead_queue": "commands.dead",
    "reason": "subject: Field required",
    "time": "2026-02-28T09:30:00.000Z",
    "bytes": 512,
    "type": None,
    "person_id": None,
}
_READING: Final = {"today": date.max, "phone_region": "CO"}


@lru_cache(maxsize=16)
def example_person(schema: PersonSchema) -> dict[str, Any]:
    """Return a person of a schema, as both APIs show it."""
    values = {field.name: value_reader_of(field)(field.example, _READING) for field in schema.fields}
    return {
        "id": EXAMPLE_ID,
        "version": 1,
        **values,
        "image_url": None,
        "thumbnail_url": None,
        "created_at": "2026-01-31T08:00:00.000Z",
        "updated_at": "2026-01-31T08:00:00.000Z",
    }


@lru_cache(maxsize=16)
def examples(schema: PersonSchema) -> dict[str, Any]:
    """Return every example by name, of a schema's people where it is of people."""
    person = example_person(schema)
    last = schema.names[-1]
    return {
        **_EXAMPLES,
        "person": person,
        "updated": {**person, "version": 2, "updated_at": "2026-02-28T09:30:00.000Z"},
        "page": {"items": [person], "next": None, "count": 1, "count_exact": True},
        "accesses": {"items": [_ACCESS], "next": None},
        "history": {
            "person_id": EXAMPLE_ID,
            "items": [
                _REFUSED,
                {
                    "status": "applied",
                    **_EVENT,
                    "changes": {last: {"from": None, "to": person[last]}},
                    "erased": [],
                    "former_names": {},
                },
            ],
            "next": None,
        },
        "events": {
            "items": [{**_EVENT, "person_id": EXAMPLE_ID, "data": {last: person[last]}, "erased": []}],
            "next": None,
        },
        "opened_events": {"items": [{**_ANNOUNCED, "data": {last: person[last]}}]},
        "import": import_example(schema),
    }


_EXAMPLES: Final[dict[str, Any]] = {
    "deleted": {"id": EXAMPLE_ID, "version": 3, "deleted": True},
    "erased": {"id": EXAMPLE_ID, "version": 4, "erased": True},
    "person_version": {"id": EXAMPLE_ID, "version": 4},
    "accepted": {**_COMMAND, "status": "accepted"},
    "applied": {
        **_COMMAND,
        "status": "applied",
        "version": 1,
        "event_id": "0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09",
    },
    "ticket": {
        "url": "https://api.cloudinary.com/v1_1/demo/image/upload",
        "method": "POST",
        "fields": {"public_id": f"rollcall/{EXAMPLE_ID}", "timestamp": "1790000000", "signature": "5b1d6a0d"},
        "file_field": "file",
        "max_bytes": 2097152,
        "expires_at": "2026-02-28T09:40:00.000Z",
        "confirm": f"https://people.example/people/{EXAMPLE_ID}/image/confirm",
        "ticket": "eyJhbGciOiJIUzI1NiJ9.…",
    },
    "stream_ticket": {
        "ticket": "eyJhbGciOiJIUzI1NiJ9.…",
        "expires_at": "2026-02-28T09:30:30.000Z",
    },
    "uploaded": {"bytes": 48213, "format": "jpg", "width": 1024, "height": 768},
    "account": {"name": "ada@example.com", "roles": ["viewer"]},
    "tokens": {
        "access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.e30.c2ln",
        "token_type": "Bearer",
        "expires_in": 600,
        "refresh_token": f"kq3v0d2n1yq8h5w7c9b4ag.{_EVENT['hash']}",
        "scope": "people:read events:read",
    },
    "login": {
        "access_token": "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.e30.c2ln",
        "token_type": "Bearer",
        "expires_in": 600,
        "refresh_token": f"kq3v0d2n1yq8h5w7c9b4ag.{_EVENT['hash']}",
        "scope": "people:read events:read",
        "device": "q3Jm0b1Yv2cXz4nB7kLr9sTd6fGh8pWa",
    },
    "jwks": {
        "keys": [
            {
                "crv": "Ed25519",
                "kty": "OKP",
                "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
                "alg": "EdDSA",
                "use": "sig",
            }
        ]
    },
    "parked": {
        **_COMMAND,
        "status": "parked",
        "reason": "ValueError",
        "detail": "ValueError at service_kit/read_model.py:79, in state_of",
    },
    "parked_people": {"items": [_PARKED_PERSON], "next": None},
    "parked_line": {"person_id": EXAMPLE_ID, "items": [_WAITING], "next": None},
    "dead_message_whole": {**_DEAD, "body": '{"specversion":"1.0", …}'},
    "dead_message_retried": {**_DEAD, "status": "published", "before": []},
    "dead_message_dropped": {**_DEAD, "status": "dropped"},
    "dead_messages": {"items": [_DEAD], "more": False},
    "handed_in": {"items": [], "left": [_DEAD]},
    "import_read": IMPORT_READ_EXAMPLE,
}
