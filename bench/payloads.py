"""What is sent: people as clients write them, and commands as the command API publishes them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bench.load import request
from devstack.demo.people import demo_person
from events.person import vocabulary
from events.person.commands import CreatePerson, UpdatePerson, encode_command
from events.person.fields import stored_forms
from events.person.schema.reading import default_schema
from events.times import to_milliseconds
from service_kit.ids import new_id
from service_kit.seals.messages import sealed_message
from service_kit.seals.transport import TransportKey

Message = tuple[str, bytes]
"""A person's id, by which it is routed, and the body."""
SCHEMA: Final = default_schema()
"""What the people are that are sent."""
_CODES: Final = {
    field.name: vocabulary.code_reader(field.words) for field in SCHEMA.fields if field.format == "code"
}


def as_sealed(messages: Sequence[Message], key: TransportKey) -> list[Message]:
    """Return commands as they travel to our workers; a floor takes them as they are."""
    return [(person_id, _sealed(body, key)) for person_id, body in messages]


def _sealed(body: bytes, key: TransportKey) -> bytes:
    message = orjson.loads(body)
    return sealed_message(
        key,
        id_=message["id"],
        type_=message["type"],
        source=message["source"],
        content=body,
        person_id=message["subject"],
        time=message["time"],
    )


def create_requests(numbers: range, token: str) -> list[bytes]:
    """Return `POST /people` for some of the demo people."""
    return [
        request("POST", "/people", token=token, body=orjson.dumps(demo_person(number))) for number in numbers
    ]


def stored_fields(number: int) -> dict[str, Any]:
    """Return a demo person in the stored form; the demo's texts need no other change."""
    person = demo_person(number)
    for name, code_of in _CODES.items():
        person[name] = code_of(person[name])
    return person


def changes(number: int) -> dict[str, Any]:
    """Return what an update of a person sets: another telephone number and another occupation."""
    other = demo_person(number + 5_000_000)
    return {"phone": other["phone"], "occupation": other.get("occupation", "Panadera")}


def create_commands(numbers: range) -> list[Message]:
    """Return a create of each demo person, under a new id."""
    fields = stored_forms(SCHEMA).fields
    return [
        _message(
            CreatePerson.model_construct(data=fields.model_construct(**stored_fields(n)), **_stamp(new_id()))
        )
        for n in numbers
    ]


def update_commands(people: list[str]) -> list[Message]:
    """Return an update of each person, in another order than they were created in."""
    form = stored_forms(SCHEMA).changes
    shuffled = random.Random(7).sample(people, len(people))
    return [
        _message(UpdatePerson.model_construct(data=form.model_construct(**changes(n)), **_stamp(person_id)))
        for n, person_id in enumerate(shuffled)
    ]


def _stamp(person_id: str) -> dict[str, Any]:
    command_id = new_id()
    return {
        "command_id": command_id,
        "person_id": person_id,
        "person_schema": SCHEMA.version,
        "accepted_at": to_milliseconds(datetime.now(UTC)),
        "actor": "bench",
        "correlation_id": command_id,
        "source_address": "127.0.0.1",
    }


def _message(command: CreatePerson | UpdatePerson) -> Message:
    return command.person_id, orjson.dumps(encode_command(command))
