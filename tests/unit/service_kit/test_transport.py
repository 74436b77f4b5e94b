"""Messages under transport keys: what opens, what does not, and which key seals."""

import base64
import json
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from events.errors import Damaged, KeyTrouble, MalformedMessage
from events.person.commands import decode_command, envelope_of
from service_kit.mongo.transport_keys import TransportKeys, content_of
from service_kit.seals.kek import Keks
from service_kit.seals.messages import FOREIGN, WORKER, read_sealed, sealed_message
from service_kit.seals.transport import TransportKey
from service_kit.seals.wrapping import SECRETS, bound_to
from tests.canaries import found_in
from tests.default_schema import SCHEMA
from tests.system import TEST_KEKS
from tests.transport import DAY, KEY, known_keys, sealed, sealed_as_it_is
from tests.unit.events.test_decider import create

COMMAND = create(middle_name="Canarymid")
BODY = sealed(COMMAND)


async def opened(body: bytes, keys: TransportKeys | None = None) -> bytes:
    (one,) = await (keys or known_keys()).open_all([body])
    return content_of(one)


async def test_a_command_travels_with_its_name_alone_in_the_clear():
    message = json.loads(BODY)
    assert message.keys() == {
        *("specversion", "id", "source", "type", "subject", "time", "datacontenttype"),
        *("transportkey", "data_base64"),
    }
    assert (message["id"], message["subject"]) == (COMMAND.command_id, COMMAND.person_id)
    assert message["transportkey"] == "2026-01-31"
    assert found_in(BODY, ["Canarymid", "expectedversions", "correlationid"]) == set()
    assert decode_command(await opened(BODY), SCHEMA) == COMMAND


async def test_what_was_a_dead_letter_comes_late():
    late = orjson.dumps({**orjson.loads(BODY), "late": True})
    assert decode_command(await opened(late), SCHEMA) == COMMAND.model_copy(update={"late": True})


@pytest.mark.parametrize("name", ["id", "subject", "transportkey"])
async def test_a_message_opens_only_as_what_it_was_sealed_as(name):
    keys = known_keys()
    keys.take([TransportKey("2026-01-30", b"t" * 32)])
    other = {"transportkey": "2026-01-30"}.get(name, "0199b1f0-7a10-7c55-8f2b-000000000000")
    with pytest.raises(MalformedMessage, match="a message does not open with the transport key"):
        await opened(orjson.dumps({**orjson.loads(BODY), name: other}), keys)


@given(st.binary(min_size=1, max_size=40), st.integers(0, 10**6))
def test_whatever_is_changed_in_what_is_sealed_is_found(noise, at):
    key = TransportKey.new("2026-01-31")
    whole = key.seal("p", "m", b"content")
    at %= len(whole)
    changed = whole[:at] + noise + whole[at + len(noise) :]
    if changed != whole:
        with pytest.raises(Damaged):
            key.open("p", "m", changed)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"7",
        b"\xff",
        b"{}",
        b"[" * 100_000,
        json.dumps({**json.loads(BODY), "data_base64": "?"}).encode(),
        json.dumps({**json.loads(BODY), "data_base64": 7}).encode(),
        json.dumps({**json.loads(BODY), "transportkey": "Ana"}).encode(),
        json.dumps({**json.loads(BODY), "transportkey": {"$gt": ""}}).encode(),
        json.dumps({**json.loads(BODY), "id": "Ana"}).encode(),
        json.dumps({**json.loads(BODY), "subject": "Ana"}).encode(),
        json.dumps({**json.loads(BODY), "subject": [1]}).encode(),
    ],
)
async def test_what_is_not_sealed_is_no_message(body):
    assert read_sealed(body) is None
    with pytest.raises(MalformedMessage, match="it is not sealed"):
        await opened(body)


async def test_what_came_unsealed_is_kept_and_never_taken():
    kept = sealed_message(KEY, id_=COMMAND.command_id, type_=FOREIGN, source=WORKER, content=b"Ana")
    with pytest.raises(MalformedMessage, match="it is not sealed"):
        await opened(kept)
    assert await known_keys().open_kept([kept]) == [b"Ana"]


async def test_a_key_that_nobody_knows_is_named():
    body = sealed(COMMAND, TransportKey("2025-12-24", b"x" * 32))
    with pytest.raises(MalformedMessage, match="there is no transport key 2025-12-24"):
        await opened(body)


def test_a_key_opens_in_its_own_row_alone():
    keks = Keks(TEST_KEKS)
    kek, wrapped = KEY.wrapped(keks)
    again = TransportKey.unwrapped(KEY.id, kek, wrapped, keks)
    assert again.open("p", "m", KEY.seal("p", "m", b"x")) == b"x"
    with pytest.raises(KeyTrouble):
        TransportKey.unwrapped("2026-02-01", kek, wrapped, keks)
    with pytest.raises(KeyTrouble):
        keks.unwrap(kek, wrapped, bound_to(SECRETS, KEY.id))


@pytest.mark.parametrize(
    ("days", "chosen"), [(-1, "2026-01-31"), (0, "2026-01-31"), (1, "2026-02-01"), (400, "2026-02-01")]
)
def test_the_key_of_the_day_seals_and_the_newest_goes_on(days, chosen):
    keys = TransportKeys(None, "rollcall", Keks(TEST_KEKS), lambda: DAY + timedelta(days=days))
    with pytest.raises(KeyTrouble, match="a worker makes it"):
        keys.current()
    keys.take([TransportKey("2026-02-01", b"u" * 32), KEY])
    assert keys.current().id == chosen == keys.current().id


def test_the_day_turns_at_midnight_utc():
    now = [datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)]
    keys = TransportKeys(None, "rollcall", Keks(TEST_KEKS), lambda: now[0])
    keys.take([TransportKey("2026-02-01", b"u" * 32), KEY])
    assert keys.current() is KEY
    now[0] += timedelta(seconds=1)
    assert keys.current().id == "2026-02-01"


@pytest.mark.parametrize(
    "content", ["", "[]", "{", "{}", '{"database": "rollcall", "rows": {"2026-01-31": ["first", "zz"]}}']
)
def test_a_file_that_cannot_be_read_keeps_nobody_from_starting(tmp_path, content):
    (tmp_path / "keys").write_text(content)
    with capture_logs() as logs:
        keys = TransportKeys(None, "rollcall", Keks(TEST_KEKS), lambda: DAY, tmp_path / "keys")
    assert [one["event"] for one in logs] == ["transport keys not kept"]
    with pytest.raises(KeyTrouble):
        keys.current()


def test_a_message_that_does_not_open_tells_whose_it_says_it_is():
    message = json.loads(
        sealed_as_it_is({"id": COMMAND.command_id, "type": "x", "source": "y", "subject": ""})
    )
    assert "subject" not in message
    assert envelope_of(BODY) is None
    assert base64.b64decode(message["data_base64"])
