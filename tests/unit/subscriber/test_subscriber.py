"""What a subscriber's helper does with one event, and how it remembers its place."""

import re

import orjson
import pytest
import structlog

import subscriber
from events.feed.position import Position
from events.log.event import EVENT_SCHEMA
from subscriber import SavedPosition
from subscriber.handling import REMEMBERED, Handling
from subscriber.stream import place

VALUE = "zoe.canary@example.com"
EVENT = "0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09"


def body(number: int) -> bytes:
    return orjson.dumps(
        {"id": f"e{number}", "type": "person.updated", "schemaversion": EVENT_SCHEMA, "data": {}}
    )


async def take(handling: Handling, message: bytes) -> str | None:
    (event,) = await handling.read([message])
    return await handling.take(event)


class Taken:
    """A handler that fails as often as it is told."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.events: list[str] = []

    async def __call__(self, event: subscriber.Event) -> None:
        self.events.append(event["id"])
        if self.failures:
            self.failures -= 1
            raise ValueError(f"not now: {VALUE}")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("subscriber.handling.backoff", lambda _attempt: 0)


async def test_an_event_that_comes_again_is_dropped():
    taken = Taken()
    handling = Handling(taken)
    for number in (1, 2, 1, 2, 3):
        assert await take(handling, body(number)) is None
    assert taken.events == ["e1", "e2", "e3"]


async def test_an_event_is_tried_until_it_succeeds():
    taken = Taken(failures=2)
    assert await take(Handling(taken, attempts=3), body(1)) is None
    assert taken.events == ["e1"] * 3


async def test_an_event_that_never_succeeds_is_given_up_with_the_reason():
    taken = Taken(failures=9)
    with structlog.testing.capture_logs() as logs:
        reason = await take(Handling(taken, attempts=3), body(1))
    assert reason is not None
    assert re.fullmatch(r"ValueError at test_subscriber\.py:\d+ in __call__", reason)
    assert [line["reason"] for line in logs] == [reason] * 3
    assert VALUE not in f"{logs}{reason}", "what it says may quote the event"
    assert taken.events == ["e1"] * 3


async def test_an_event_that_was_given_up_is_no_repeat_when_it_is_handed_in_again():
    taken = Taken(failures=3)
    handling = Handling(taken, attempts=3)
    assert await take(handling, body(1)) is not None
    assert await take(handling, body(1)) is None
    assert taken.events == ["e1"] * 4


@pytest.mark.parametrize("rubbish", [b"", b"[]", b"{}", b"\x00"])
async def test_rubbish_is_given_up_at_once(rubbish):
    taken = Taken()
    assert (await take(Handling(taken), rubbish)).startswith("no event")
    assert not taken.events


async def test_what_is_remembered_is_bounded():
    handling = Handling(Taken())
    for number in range(REMEMBERED + 5):
        await take(handling, body(number))
    assert len(handling._seen) == REMEMBERED


def test_a_saved_position_survives_the_process(tmp_path):
    place = SavedPosition(tmp_path / "place")
    assert place.load() is None
    for position in (f"7-{EVENT}", f"8-{EVENT}"):
        place.save(position)
    assert SavedPosition(tmp_path / "place").load() == f"8-{EVENT}"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_saved_position_of_an_older_version_is_an_offset_alone(tmp_path):
    (tmp_path / "place").write_text("8")
    assert SavedPosition(tmp_path / "place").load() == "8"


@pytest.mark.parametrize(
    ("kept", "start", "expected"),
    [
        (None, "first", (None, "first")),
        ("-1", "next", (Position(-1), 0)),
        (None, 8, (None, 8)),
        (None, f"8-{EVENT}", (Position(8, EVENT), 8)),
        ("8", "first", (Position(8), 9)),
        (f"8-{EVENT}", "first", (Position(8, EVENT), 8)),
    ],
)
def test_where_a_subscriber_begins(kept, start, expected):
    assert place(kept, start) == expected


@pytest.mark.parametrize(("kept", "start"), [("", "first"), ("8-", "first"), (None, "last")])
def test_what_is_no_position_begins_nowhere(kept, start):
    with pytest.raises(ValueError, match="is no position"):
        place(kept, start)


def test_the_public_names():
    assert set(subscriber.__all__) == {
        "Event",
        "EventOpener",
        "SavedPosition",
        "Handler",
        "follow",
        "subscribe",
    }
