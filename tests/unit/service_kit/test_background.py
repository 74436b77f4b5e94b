"""What a service does beside its requests: when it ends by itself, so does the process, and says why."""

import asyncio
import time

import pytest

from command_api.dispatch.publisher import CommandPublisher
from devstack.servers.ports import free_ports
from query_api.feed.buffer import FeedBuffer
from query_api.feed.positions import Positions
from query_api.feed.reader import FeedReader
from service_kit.background import Background, WorkEnded
from service_kit.http.serving import serve
from service_kit.http.web import create_app
from tests.chained import ALL_KEYS
from tests.transport import known_keys
from tests.unit.subscriber.test_silent_streams import Stream


async def fails() -> None:
    await asyncio.sleep(0.05)
    raise IndexError("deque index out of range")


async def returns() -> None:
    await asyncio.sleep(0.05)


@pytest.mark.parametrize("work", [fails, returns])
async def test_a_work_that_ends_ends_the_server_with_the_reason(work):
    background, told = Background(), []
    app = create_app("test", {}, background=background)
    background.start(work())
    (port,) = free_ports(1)
    with pytest.raises(WorkEnded, match=work.__name__) as end:
        await asyncio.wait_for(serve(app, "127.0.0.1", port, lambda: told.append("ending")), 20)
    assert isinstance(end.value.__cause__, IndexError if work is fails else type(None))
    assert told == ["ending"]
    await background.stop()


async def test_works_that_are_stopped_are_no_fault():
    background, begun = Background(), asyncio.Event()

    async def works() -> None:
        begun.set()
        await asyncio.Event().wait()

    background.start(works())
    await begun.wait()
    await background.stop()
    background.check()


async def test_the_tail_does_not_go_on_without_its_watch(monkeypatch):
    async def broken(self, _connection) -> None:
        raise IndexError("ours")

    monkeypatch.setattr(FeedReader, "_watch", broken)
    reader = FeedReader("amqp://unused", FeedBuffer(), Positions(time.monotonic), ALL_KEYS)
    with pytest.raises(IndexError):
        await asyncio.wait_for(reader._use(Stream(7)), 5)


async def test_a_publisher_whose_probing_fails_ends(monkeypatch):
    commands = CommandPublisher("amqp://h1", 8, known_keys())
    monkeypatch.setattr(commands, "_keep_probing", fails)
    with pytest.raises(IndexError):
        await asyncio.wait_for(commands.run(), 5)
