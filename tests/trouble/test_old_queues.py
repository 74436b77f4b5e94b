"""Queues of an older version are replaced with what is in them, in order, also when that is cut again and again."""

import asyncio
from contextlib import suppress

import aio_pika
import pytest

from events.errors import OutdatedQueue
from operations.__main__ import main
from service_kit.broker import replacing
from service_kit.broker.connection import connect
from service_kit.broker.dead_letters import look
from service_kit.broker.declaring import declare, declare_queue, exists
from service_kit.broker.replacing import bound_queues, replace_outdated
from service_kit.broker.topology import EVENTS, EXCHANGES, MOVING, subscriber_queues
from subscriber.dead import DeadLetters
from tests.system import TOPOLOGIES

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES[:1], indirect=True, scope="session")
COUNT = 450
PARTITIONS = 2
WANTED = bound_queues(PARTITIONS, {"old": ["person.*"]})
NAMES = [one.queue.name for one in WANTED]


@pytest.fixture
def vhost(stage):
    """A virtual host of its own, for queues that no service may meet."""
    name = "older"
    user = aio_pika.connection.URL(stage.rabbit.url).user
    stage.rabbit.ctl("add_vhost", name)
    stage.rabbit.ctl("set_permissions", "-p", name, user, ".*", ".*", ".*")
    yield f"{stage.rabbit.url.rstrip('/')}/{name}"
    stage.rabbit.ctl("delete_vhost", name)


async def older(url: str) -> None:
    """Declare queues as an older version did, each with messages in it."""
    async with await connect(url, "test") as connection, connection.channel() as channel:
        for exchange in EXCHANGES:
            await channel.declare_exchange(exchange.name, exchange.type, durable=True)
        for one in WANTED:
            arguments = {**one.queue.arguments, "x-delivery-limit": 50}
            queue = await channel.declare_queue(one.queue.name, durable=True, arguments=arguments)
            for exchange, key in one.bindings:
                await queue.bind(exchange, key)
        for number in range(COUNT):
            message = aio_pika.Message(b"%d" % number, message_id=f"m{number}", delivery_mode=2)
            await channel.default_exchange.publish(message, NAMES[0])
        await channel.default_exchange.publish(aio_pika.Message(b"event", delivery_mode=2), "events.old")


async def content(url: str, name: str) -> list[bytes]:
    """Take all messages of a queue."""
    taken: list[bytes] = []
    async with await connect(url, "test") as connection, connection.channel() as channel:
        queue = await channel.get_queue(name, ensure=False)
        async with queue.iterator(timeout=2) as messages:
            with suppress(TimeoutError):
                async for message in messages:
                    assert "x-delivery-count" not in (message.headers or {})
                    taken.append(message.body)
                    await message.ack()
    return taken


async def everything_is_current(url: str) -> None:
    async with await connect(url, "test") as connection:
        await declare(connection, PARTITIONS)
        for queue in subscriber_queues("old"):
            async with connection.channel() as channel:
                await declare_queue(channel, queue)
        left = [f"{name}.moving" for name in NAMES]
        assert not [name for name in (MOVING, *left) if await exists(connection, name)]
        async with connection.channel(on_return_raises=True) as channel:
            await (await channel.get_exchange("commands")).publish(aio_pika.Message(b"new"), "0")
            await (await channel.get_exchange(EVENTS)).publish(aio_pika.Message(b"new"), "person.created")


async def test_queues_of_an_older_version_are_refused_by_name_and_replaced(vhost, monkeypatch, capsys):
    await older(vhost)
    async with await connect(vhost, "test") as connection:
        with pytest.raises(OutdatedQueue, match="run `rollcall queues`"):
            await declare(connection, PARTITIONS)
        await DeadLetters.open(connection, "old")  # a subscriber goes on with what is there
    with pytest.raises(OutdatedQueue, match="events.old.dead"):
        await look(vhost, ["events.old.dead"])
    monkeypatch.setenv("ROLLCALL_AMQP_URL", vhost)
    monkeypatch.setenv("ROLLCALL_PARTITIONS", str(PARTITIONS))
    assert await asyncio.to_thread(main, ["queues", "--subscriber", "old:person.*"]) == 0
    said = "".join(capsys.readouterr())
    assert f"replaced commands.0, with what was in it: {COUNT}" in said
    await everything_is_current(vhost)
    assert await content(vhost, NAMES[0]) == [*(b"%d" % number for number in range(COUNT)), b"new"]
    assert await content(vhost, "events.old") == [b"event", b"new"]
    assert await replace_outdated(vhost, WANTED) == []


async def test_a_replacement_may_be_cut_anywhere(vhost, monkeypatch):
    """Each step on the way fails once, before or after it is done, and the next call goes on."""
    await older(vhost)
    fated = iter(range(1, 10_000))
    steps = cuts = 0
    cut_at = next(fated)

    class CutError(Exception):
        pass

    def breakable(name):
        original = getattr(replacing, name)

        async def step(*arguments):
            nonlocal steps
            steps += 1
            if steps == cut_at:
                raise CutError
            result = await original(*arguments)
            steps += 1
            if steps == cut_at:
                raise CutError
            return result

        monkeypatch.setattr(replacing, name, step)

    for name in ("publish", "declare_queue", "_delete"):
        breakable(name)
    while True:
        steps = 0
        try:
            await replace_outdated(vhost, WANTED[:1])
            break
        except CutError:
            cuts += 1
            cut_at = 1 + cuts % 12
    assert cuts >= 12
    monkeypatch.undo()
    await replace_outdated(vhost, WANTED)
    await everything_is_current(vhost)
    taken = await content(vhost, NAMES[0])
    first_times = list(dict.fromkeys(taken))
    assert first_times == [*(b"%d" % number for number in range(COUNT)), b"new"]


async def test_nothing_is_replaced_while_workers_run(stage, cast):
    async with await connect(stage.rabbit.url, "test") as connection, connection.channel() as channel:
        await channel.declare_queue("events.tried", durable=True, arguments={"x-queue-type": "quorum"})
        with pytest.raises(Exception, match="workers run"):
            await replace_outdated(stage.rabbit.url, bound_queues(8, {"tried": []}))
        await channel.queue_delete("events.tried")
