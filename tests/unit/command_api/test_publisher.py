"""A channel that the broker refuses publishes on is exchanged for another; what it was given still counts."""

import asyncio
import types
import uuid
from datetime import UTC, datetime

import pytest
from aiormq.exceptions import DeliveryError
from pamqp.commands import Basic

from command_api.dispatch import open_channel, publisher
from command_api.dispatch.publisher import CommandPublisher, Outgoing
from events.errors import BrokerUnavailable
from events.person.commands import DeletePerson
from tests.system import eventually
from tests.transport import known_keys

NOW = "2026-01-01T00:00:00.000Z"


def command() -> DeletePerson:
    return DeletePerson(
        id=str(uuid.uuid4()),
        subject=str(uuid.uuid4()),
        time=datetime(2026, 1, 1, tzinfo=UTC),
        actor="ada",
        correlationid="c",
    )


class Channel:
    """The part of a channel that publishing needs; `answer` settles each publish, or leaves it open."""

    max_content_size = 100_000

    def __init__(self, number: int, answer: str) -> None:
        self.number = number
        self.delivery_tag = 0
        self.confirmations: dict = {}
        self.message_id_delivery_tag: dict = {}
        self.lock = asyncio.Lock()
        self.write_queue = self
        self.answer = answer
        self.open = True
        self._closed = asyncio.get_running_loop().create_future()

    async def put(self, _frames) -> None:
        tally = self.confirmations[self.delivery_tag]
        if self.answer == "ack":
            tally.set_result(Basic.Ack(self.delivery_tag))
        elif self.answer == "nack":
            tally.set_exception(DeliveryError(None, Basic.Nack(self.delivery_tag)))

    async def get_underlay_channel(self) -> "Channel":
        return self

    def closed(self):
        return asyncio.shield(self._closed)

    async def close(self) -> None:
        self.open = False
        if not self._closed.done():
            self._closed.set_result(True)


class Connection:
    """Opens the channels that it was given answers for."""

    def __init__(self, *answers: str) -> None:
        self._answers = iter(answers)
        self.channels: list[Channel] = []
        ready = types.SimpleNamespace(ready=_nothing)
        self.transport = types.SimpleNamespace(connection=ready)

    async def channel(self, **_: object) -> Channel:
        self.channels.append(Channel(len(self.channels) + 1, next(self._answers)))
        return self.channels[-1]


async def _nothing() -> None:
    """Be ready at once."""


@pytest.fixture
async def use(monkeypatch):
    """Run a publisher on a connection until the test ends."""
    monkeypatch.setattr(publisher, "RENEW_SECONDS", 0.05)
    monkeypatch.setattr(publisher, "check_declared", lambda *_: _nothing())
    tasks = []

    def start(*answers: str) -> tuple[CommandPublisher, Connection, asyncio.Task]:
        commands, connection = CommandPublisher("amqp://unused", 8, known_keys()), Connection(*answers)
        tasks.append(asyncio.create_task(commands._keep_channel_open(connection)))
        return commands, connection, tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def accepts(commands: CommandPublisher) -> bool:
    try:
        await commands.publish_command(command())
    except BrokerUnavailable:
        return False
    return True


async def test_a_refusal_leads_to_another_channel_and_the_old_one_still_settles(use):
    commands, connection, _ = use("open", "ack")
    await eventually(lambda: _has(connection, 1))
    (first,) = connection.channels
    waiting = asyncio.create_task(commands.publish_command(command()))
    await eventually(lambda: _given(first, 1))
    first.answer = "nack"
    assert not await accepts(commands)
    await eventually(lambda: accepts(commands))
    assert len(connection.channels) == 2
    assert first.open
    first.confirmations[1].set_result(Basic.Ack(1))
    await waiting


async def test_a_queue_that_stays_full_costs_a_channel_now_and_then_and_old_ones_are_closed(use, monkeypatch):
    monkeypatch.setattr(publisher, "PUBLISH_SECONDS", 0.1)
    commands, connection, _ = use(*["nack"] * 1000)

    async def renewed() -> bool:
        assert not await accepts(commands)
        return len(connection.channels) >= 8

    began = asyncio.get_running_loop().time()
    await eventually(renewed)
    assert asyncio.get_running_loop().time() - began > 6 * 0.05
    assert sum(channel.open for channel in connection.channels) <= 5


async def test_a_lost_channel_ends_the_use_of_the_connection(use):
    commands, connection, task = use("ack")
    await eventually(lambda: accepts(commands))
    await connection.channels[0].close()
    await asyncio.wait_for(task, 2)
    with pytest.raises(BrokerUnavailable, match="not connected"):
        await commands.check()


async def test_of_many_those_that_were_refused_are_named_and_a_lost_channel_tells_of_none(use):
    commands, connection, _ = use("open", "open")
    await eventually(lambda: _has(connection, 1))
    (channel,) = connection.channels
    many = [
        Outgoing("person.create", str(uuid.uuid4()), str(uuid.uuid4()), "/t", NOW, b"{}") for _ in range(5)
    ]
    waiting = asyncio.create_task(commands.publish_many(many))
    await eventually(lambda: _given(channel, 5))
    for tag in (2, 5):
        channel.confirmations[tag].set_exception(DeliveryError(None, Basic.Nack(tag)))
    assert not waiting.done()
    for tag in (1, 3, 4):
        channel.confirmations[tag].set_result(Basic.Ack(tag))
    assert await waiting == [many[1], many[4]]
    await eventually(lambda: _has(connection, 2))
    lost = asyncio.create_task(commands.publish_many(many))
    await eventually(lambda: _given(connection.channels[1], 5))
    connection.channels[1].confirmations[1].set_exception(ConnectionResetError("lost"))
    with pytest.raises(BrokerUnavailable):
        await lost


async def _given(channel: Channel, publishes: int) -> bool:
    return channel.delivery_tag == publishes


async def _has(connection: Connection, channels: int) -> bool:
    return len(connection.channels) == channels


async def test_where_many_messages_wait_no_probe_is_added_unless_the_last_publish_failed(use, monkeypatch):
    waiting = {
        "commands.0": 0,
        "commands.1": publisher.PROBE_ROOM + 1,
        "commands.2": publisher.PROBE_ROOM + 1,
    }

    async def depth(_connection, queue: str) -> int:
        return waiting[queue]

    monkeypatch.setattr(open_channel, "depth", depth)
    commands, connection, _ = use("ack")
    await eventually(lambda: _has(connection, 1))
    commands._confirms.note_refusal(2, "refused")
    for number in range(3):
        await commands._probe(commands._open, number)
    (channel,) = connection.channels
    assert channel.delivery_tag == 2
    assert set(commands._confirms.due()) == set(range(3, 8))


@pytest.mark.parametrize("seconds", [0.1, 60], ids=["slow", "never"])
async def test_an_old_channel_that_is_slow_to_close_ends_nothing(use, monkeypatch, seconds):
    """The broker answers a close late, or never, as one that is busy or hangs."""
    monkeypatch.setattr(publisher, "PUBLISH_SECONDS", 0.02)
    monkeypatch.setattr(publisher, "CLOSE_SECONDS", 0.15, raising=False)

    async def close(self: Channel) -> None:
        self.open = False
        await asyncio.sleep(seconds)

    monkeypatch.setattr(Channel, "close", close)
    commands, connection, task = use(*["nack"] * 1000)

    async def renewed() -> bool:
        assert not task.done(), task
        await accepts(commands)
        return len(connection.channels) >= 8

    await eventually(renewed)
