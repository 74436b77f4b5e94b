"""Whose matter a failure is, how it is told, and how a batch of deliveries is read."""

import orjson
import pytest
from bson.errors import InvalidDocument
from pymongo.errors import BulkWriteError, DocumentTooLarge, OperationFailure, WriteError

from events.errors import BrokerUnavailable, MalformedMessage, StoreUnavailable
from events.parking.controls import decode_message
from events.person.commands import encode_command
from service_kit.ids import new_id
from service_kit.read_model import state_of
from tests.default_schema import SCHEMA
from tests.store.given import NOW, update
from tests.store.mortal import drop, retry
from workers.consuming.batch_reading import read_batches
from workers.consuming.deliveries import Delivery, Partition
from workers.outcomes import concerns_one, reason_of


def bulk(code: int, concern: tuple = ()) -> BulkWriteError:
    return BulkWriteError({"writeErrors": [{"code": code}], "writeConcernErrors": list(concern)})


@pytest.mark.parametrize(
    ("failure", "one"),
    [
        (ValueError("x"), True),
        (KeyError("hash"), True),
        (MalformedMessage("x"), True),
        (InvalidDocument("x"), True),
        (DocumentTooLarge("x"), True),
        (WriteError("refused", 121), True),
        (bulk(121), True),
        (OperationFailure("too large", 10334), True),
        (OperationFailure("not authorised", 13), False),
        (bulk(13), False),
        (bulk(121, ({"code": 100},)), False),
        (StoreUnavailable("x"), False),
        (BrokerUnavailable("x"), False),
        (MemoryError(), False),
    ],
    ids=repr,
)
def test_a_failure_is_one_person_s_or_everybody_s(failure, one):
    assert concerns_one(failure) == one


def test_a_reason_names_the_place_and_never_a_value():
    document = {"_id": "x", "version": 1, "hash": "h", "created_at": "Calle 10 # 5-51"}
    with pytest.raises(KeyError) as caught:
        state_of(document, SCHEMA)
    reason = reason_of(caught.value)
    assert reason.kind == "KeyError"
    assert reason.detail.startswith("KeyError at service_kit/read_model.py:")
    assert "document_type" not in reason.detail
    assert reason_of(WriteError("Calle 10", 121)).detail == "WriteError (code 121)"


_ZEROS = "00000000-0000-0000-0000-00000000000"


def delivery(body: bytes, tag: int) -> Delivery:
    return Delivery(Partition(3, None, None), tag, body, f"{_ZEROS}{tag}", None, None)


def test_a_control_has_a_batch_of_its_own_and_order_stays():
    person = new_id()
    first, second, third = (
        update(person, address="a"),
        update(person, address="b"),
        update(person, address="c"),
    )
    asked = retry(person)
    bodies = [orjson.dumps(encode_command(one)) for one in (first, asked, second, third)]
    batches = read_batches(
        [delivery(body, tag) for tag, body in enumerate([*bodies, b"rubbish"])],
        [*bodies, b"rubbish"],
        NOW,
        SCHEMA,
    )
    assert [[c.command_id for _, c in batch.commands] for batch in batches] == [
        [first.command_id],
        [],
        [second.command_id, third.command_id],
    ]
    assert [batch.control for batch in batches] == [None, asked, None]
    assert [[d.tag for d in batch.deliveries] for batch in batches] == [[0], [1], [2, 3, 4]]
    assert [(letter.message_id, letter.queue) for letter in batches[2].unreadable] == [
        (f"{_ZEROS}4", "commands.3")
    ]


@pytest.mark.parametrize("control", [retry(new_id()), drop(new_id()), drop(new_id(), new_id(), new_id())])
def test_a_control_survives_the_wire(control):
    assert decode_message(orjson.dumps(encode_command(control)), SCHEMA) == control
