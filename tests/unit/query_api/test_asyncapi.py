"""The AsyncAPI document says what is announced, no more and no less."""

import orjson
import pytest
from jsonschema import Draft202012Validator

from events.log.event import EVENT_TYPES, encode_event
from query_api.feed.asyncapi import asyncapi, payload
from service_kit.broker.topology import EVENT_LOG, EVENTS
from tests.default_schema import SCHEMA
from tests.unit.events.test_decider import apply, create, delete, update

ANNOUNCED = [
    orjson.loads(orjson.dumps(encode_event(event)))
    for event in apply(create(middle_name="Æ"), update(2, last_name="Ñu", address=None), delete(3))[1]
]


def validator(type_: str) -> Draft202012Validator:
    return Draft202012Validator(payload(type_, SCHEMA))


@pytest.mark.parametrize("event", ANNOUNCED, ids=lambda event: event["type"])
def test_what_is_announced_is_as_documented(event):
    validator(event["type"]).validate(event)
    for name in payload(event["type"], SCHEMA)["required"]:
        assert not validator(event["type"]).is_valid({key: v for key, v in event.items() if key != name}), (
            name
        )
    assert not validator(event["type"]).is_valid({**event, "more": 1})
    assert not validator(event["type"]).is_valid({**event, "data": {"more": 1}})


def test_every_type_has_its_message_in_both_channels():
    document = asyncapi("1", SCHEMA)
    assert document["asyncapi"] == "3.0.0"
    assert {message["name"] for message in document["components"]["messages"].values()} == set(EVENT_TYPES)
    assert {channel["address"] for channel in document["channels"].values()} == {EVENTS, EVENT_LOG}
    for channel in document["channels"].values():
        assert set(channel["messages"]) == set(document["components"]["messages"])


def test_every_reference_leads_somewhere():
    document = asyncapi("1", SCHEMA)

    def references(part):
        if isinstance(part, dict):
            yield from (v for k, v in part.items() if k == "$ref")
            part = list(part.values())
        for each in part if isinstance(part, list) else ():
            yield from references(each)

    found = list(references(document))
    assert found
    for reference in found:
        place = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
