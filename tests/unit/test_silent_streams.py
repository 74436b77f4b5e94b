"""What is made of a stream that says nothing: never an empty one, and never a position that is gone."""

import asyncio
import types
from datetime import datetime

import orjson
import pytest
from aiormq.exceptions import ChannelInvalidStateError

from events.errors import BrokerUnavailable
from service_kit import stream
from service_kit.stream import reading
from tests.unit.test_live_cursors import event_id


class Stream:
    """Stands for a connection to a broker with one stream.

    Attributes:
        events: How many there are; their offsets begin at 0.
        silent: Where a consumer that begins there gets nothing: offsets, and ends.
        open: How many channels are.
        trouble: What setting a channel's credit raises.
        consumed: Where consumers have begun.
    """

    def __init__(self, events: int = 0, silent: frozenset[object] = frozenset()) -> None:
        self.events = events
        self.silent = silent
        self.open = 0
        self.trouble: BaseException | None = None
        self.consumed: list[object] = []

    async def channel(self, **_: object) -> "Channel":
        self.open += 1
        return Channel(self)


class Channel:
    """One of its channels, and what is beneath it."""

    def __init__(self, of: Stream) -> None:
        self._of = of
        self._is_open = True
        self.closing = asyncio.get_running_loop().create_future()
        self.on_consumer_cancel_callbacks: set = set()

    async def set_qos(self, prefetch_count: int) -> None:
        if self._of.trouble is not None:
            raise self._of.trouble

    async def get_underlay_channel(self) -> "Channel":
        return self

    async def close(self) -> None:
        self._of.open -= self._is_open
        self._is_open = False

    async def basic_ack(self, _tag: int, **_: object) -> None:
        pass

    async def basic_consume(self, _queue: str, receive, arguments: dict) -> None:
        start = arguments["x-stream-offset"]
        self._of.consumed.append(start)
        ends = {"first": 0, "last": max(0, self._of.events - 3), "next": self._of.events}
        begin = 0 if isinstance(start, datetime) else ends.get(start, start)
        if start in self._of.silent or (isinstance(start, datetime) and datetime in self._of.silent):
            return
        for offset in range(begin, self._of.events):
            body = orjson.dumps({"id": event_id(offset), "type": "person.created", "subject": "p"})
            properties = types.SimpleNamespace(headers={"x-stream-offset": offset})
            header = types.SimpleNamespace(properties=properties)
            await receive(types.SimpleNamespace(header=header, body=body, delivery_tag=offset + 1))


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Take silence for what it is after a moment."""
    monkeypatch.setattr(stream, "PROBE_SECONDS", 0.05)


@pytest.mark.parametrize("trouble", [ChannelInvalidStateError("closed"), asyncio.CancelledError()])
async def test_a_channel_that_cannot_be_used_is_closed(trouble):
    broker = Stream()
    broker.trouble = trouble
    with pytest.raises(BrokerUnavailable):
        async with reading(broker, "first", credit=1):
            pass
    assert broker.open == 0
