"""The hash of an event, and the messages that commands and events become."""

import dataclasses
import hashlib
import json

import orjson
import pytest

from events.errors import MalformedMessage
from events.log.event import HASHED, canonical, encode_event, export_line, hash_of
from events.log.stored import event_document, event_of
from events.person.commands import decode_command, encode_command
from events.times import rfc3339
from operations.log_links import link_of_document
from query_api.exports.event_lines import ndjson
from service_kit.seals.opening import open_document
from tests.chained import SEALING
from tests.default_schema import SCHEMA
from tests.unit.events.test_decider import apply, create, delete, update

EVENT = apply(create(middle_name="Æ"), update(2, last_name="Ñu", address="a"))[1][1]


def test_the_canonical_form_is_json_with_sorted_keys_of_what_is_hashed():
    text = canonical(EVENT)
    content = json.loads(text)
    assert set(content) == set(HASHED)
    assert (content["data"], content["sealed_fields"]) == ({}, ["address", "last_name"])
    again = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert text == again.encode()
    assert hashlib.sha256(text).hexdigest() == EVENT.hash


def test_an_idempotency_id_stands_beside_the_event_and_changes_no_hash():
    beside = dataclasses.replace(EVENT, idempotency_id="0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c")
    assert hash_of(beside) == EVENT.hash
    assert export_line(beside) == export_line(EVENT)
    assert encode_event(beside) == encode_event(EVENT)
    assert event_of(open_document(event_document(beside), SEALING)) == beside
    assert link_of_document(naive(event_document(beside))).sealed == EVENT.hash
    assert ndjson([naive(event_document(beside))]) == export_line(EVENT) + b"\n"


def naive(document: dict) -> dict:
    times = {name: document[name].replace(tzinfo=None) for name in ("accepted_at", "applied_at")}
    return {**document, **times}


@pytest.mark.parametrize("field", HASHED)
def test_a_change_of_any_field_changes_the_hash(field):
    value = getattr(EVENT, field)
    if isinstance(value, int):
        other = value + 1
    elif isinstance(value, dict):
        other = {**value, "nickname": "Nu"}
    elif value is None or isinstance(value, str):
        other = f"{value}x"
    elif isinstance(value, tuple):
        other = value[1:]
    else:
        other = value.replace(year=2025)
    assert hash_of(dataclasses.replace(EVENT, **{field: other})) != EVENT.hash


@pytest.mark.parametrize("command", [create(1, occupation="x"), update(2, 7, address=None), delete(3)])
def test_a_command_survives_the_wire(command):
    assert decode_command(orjson.dumps(encode_command(command)), SCHEMA) == command


def test_a_command_is_a_cloud_event():
    message = encode_command(update(2, 7, address=None))
    assert message["specversion"] == "1.0"
    assert (message["type"], message["subject"], message["expectedversions"]) == (
        "person.update",
        create().person_id,
        "7",
    )
    assert message["data"] == {"address": None}
    assert all(name.isalnum() and name.islower() for name in message)


def test_a_command_of_before_expects_the_version_that_it_named():
    message = encode_command(update(2, address=None))
    assert decode_command(orjson.dumps({**message, "expectedversion": 7}), SCHEMA).expected_versions == {7}
    assert (
        decode_command(orjson.dumps({**message, "expectedversions": ""}), SCHEMA).expected_versions == set()
    )
    assert decode_command(orjson.dumps({**message, "expectedversions": "1,7"}), SCHEMA).expected_versions == {
        1,
        7,
    }
    assert decode_command(orjson.dumps(message), SCHEMA).expected_versions is None


def test_an_event_is_a_cloud_event():
    message = encode_event(EVENT)
    assert (message["id"], message["type"], message["version"]) == (EVENT.event_id, "person.updated", 2)
    assert message["time"] == rfc3339(EVENT.applied_at) == "2026-01-31T08:00:01.000Z"
    assert all(name.isalnum() and name.islower() for name in message)


GOOD = encode_command(create())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        orjson.dumps({**GOOD, "type": "person.explode"}),
        orjson.dumps({**GOOD, "subject": "42"}),
        orjson.dumps({**GOOD, "schemaversion": 99}),
        orjson.dumps({**GOOD, "data": {**GOOD["data"], "nickname": "x"}}),
        orjson.dumps({**GOOD, "data": {}}),
        orjson.dumps({k: v for k, v in GOOD.items() if k != "actor"}),
        orjson.dumps({**GOOD, "type": "person.update", "data": {"email": None}}),
    ],
)
def test_what_is_no_command_of_ours_is_poison_and_says_why(body):
    with pytest.raises(MalformedMessage) as caught:
        decode_command(body, SCHEMA)
    assert caught.value.detail
    assert not set("^$\\[") & set(caught.value.detail)
    assert "example.com" not in caught.value.detail
