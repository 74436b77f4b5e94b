"""What can be told of a message that no worker can read."""

from datetime import UTC, datetime
from types import SimpleNamespace

import orjson
import pytest

from events.person.commands import encode_command
from service_kit.read_model import unreadable_document
from tests.default_schema import SCHEMA
from tests.unit.events.test_decider import create
from workers.consuming.batch_reading import read_batches
from workers.consuming.deliveries import Delivery

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
MESSAGE = encode_command(create())


def letter_of(body: bytes):
    delivery = Delivery(SimpleNamespace(number=3), 1, body, None, "replies", "c")
    (batch,) = read_batches([delivery], [body], NOW, SCHEMA)
    assert not batch.commands
    return batch.unreadable[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"data": {**MESSAGE["data"], "shoe_size": "43"}},
        {"data": None},
        {"type": "person.explode"},
        {"schemaversion": 2},
        {"expectedversions": "soon"},
    ],
)
def test_a_message_of_ours_says_whose_it_is(changes):
    letter = letter_of(orjson.dumps({**MESSAGE, **changes}))
    assert letter.message_id == letter.envelope.command_id == create().command_id
    assert (letter.reply_to, letter.correlation_id, letter.queue) == ("replies", "c", "commands.3")
    document = unreadable_document(letter.envelope, letter.reason, NOW)
    assert (document["code"], document["person_id"]) == ("unreadable", create().person_id)
    assert "data" not in document


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b"[" * 100_000,
        orjson.dumps({**MESSAGE, "source": "/elsewhere", "type": "x"}),
        orjson.dumps({**MESSAGE, "subject": "42"}),
    ],
)
def test_a_message_of_others_does_not(body):
    assert letter_of(body).envelope is None
