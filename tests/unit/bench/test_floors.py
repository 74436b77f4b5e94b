"""The floors write what the services write: the same fields, the same keys, as many bytes."""

from datetime import UTC, datetime
from itertools import islice, pairwise

import orjson
import pytest
from bson import BSON

from bench.floors import floor_apply, floor_rebuild
from bench.floors.people import document_of
from bench.payloads import SCHEMA, changes, create_commands
from events.log.event import Event, RecordedEvent, encode_event, record
from events.log.stored import event_document
from events.person.commands import decode_command
from events.person.decider import PersonState, decide, evolve
from events.times import to_milliseconds
from service_kit.ids import new_id
from service_kit.read_model import person_changes, person_document
from service_kit.seals.person_key import PersonKey

KEY = PersonKey.new()
NOW = to_milliseconds(datetime.now(UTC))
COMMANDS = [(orjson.loads(body), decode_command(body, SCHEMA)) for _, body in create_commands(range(40))]


def recorded(state: PersonState, command, event: Event) -> RecordedEvent:
    return record(
        event,
        command,
        event_id=new_id(),
        version=state.version + 1,
        applied_at=NOW,
        prev=state.hash,
        schema=SCHEMA,
        key=KEY,
    )


def created(command) -> tuple[RecordedEvent, PersonState]:
    nobody = PersonState(command.person_id)
    event = recorded(nobody, command, decide(command, nobody, SCHEMA)[0])
    return event, evolve(nobody, event)


def assert_alike(ours: dict, floors: dict) -> None:
    assert floors.keys() == ours.keys()
    assert len(BSON.encode(floors)) == len(BSON.encode(ours))


@pytest.mark.parametrize(("message", "command"), COMMANDS, ids=lambda one: "")
def test_what_a_create_writes(message, command):
    event, person = created(command)
    ours = person_document(person, SCHEMA)
    floors = document_of(message["subject"], 1, message["data"], floor_apply.NO_HASH, (NOW, NOW))
    assert_alike(ours, floors)
    assert floors["keys"] == ours["keys"]
    logged = floor_apply.event_document(message, 1, NOW)
    assert_alike(event_document(event), logged)
    announced = orjson.loads(floor_apply.message_of(logged))
    assert announced.keys() == encode_event(event).keys()


def test_what_an_update_changes():
    for number, (message, command) in enumerate(islice(COMMANDS, 9)):
        _, person = created(command)
        data = changes(number)
        after = evolve(person, recorded(person, command, Event("person.updated", data)))
        ours = person_changes(person, after, SCHEMA)
        update = {**message, "type": "person.update", "data": data}
        floors = floor_apply.change(update, 2, NOW)._doc["$set"]
        assert floors.keys() - {"keys.occupation"} == ours.keys() - {"keys"}
        assert floors["keys.occupation"] == ours["keys"]["occupation"]


def test_what_a_rebuild_writes():
    for (_, first), (_, second) in pairwise(COMMANDS):
        event, person = created(first)
        changed = recorded(person, second, Event("person.updated", {"phone": second.data.phone}))
        stream = [event_document(one) for one in (event, changed)]
        ours = person_document(evolve(person, changed), SCHEMA)
        floors = floor_rebuild.document(stream, KEY._cipher)
        assert_alike(ours, floors)
        assert floors["keys"] == ours["keys"]
