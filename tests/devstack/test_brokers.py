"""Data of one broker becomes that of three, and never the other way."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import aio_pika
import pytest
from aiormq.exceptions import ChannelNotFoundEntity

from devstack.servers.ports import free_ports
from devstack.servers.rabbit import FIRST_NODE, RabbitNode
from devstack.servers.rabbit_cluster import RabbitCluster
from operations.errors import SetupError
from service_kit.broker.connection import connect
from service_kit.broker.declaring import declare
from service_kit.broker.topology import COMMANDS, EVENT_LOG, EVENTS, queues
from tests.system import eventually

MESSAGES = 200


@pytest.fixture
def ports() -> list[int]:
    return free_ports(7)


def cluster(directory: Path, ports: list[int], nodes: int) -> RabbitCluster:
    epmd, *rest = ports
    return RabbitCluster(directory, list(zip(rest[::2], rest[1::2], strict=True))[:nodes], epmd_port=epmd)


async def _fill(url: str) -> None:
    async with await connect(url, "tests") as connection, connection.channel() as channel:
        await declare(connection, 8)
        for exchange in (COMMANDS, EVENTS):
            target = await channel.get_exchange(exchange)
            message = aio_pika.Message(b"kept", delivery_mode=2)
            await asyncio.gather(*(target.publish(message, str(n % 8)) for n in range(MESSAGES)))


async def _kept(url: str) -> int:
    """Return how many messages the stream still gives, read from its first."""
    async with await connect(url, "tests") as connection, connection.channel() as channel:
        await channel.set_qos(prefetch_count=100)
        log = await channel.get_queue(EVENT_LOG)
        count = 0
        async with asyncio.timeout(10), log.iterator(arguments={"x-stream-offset": "first"}) as messages:
            async for message in messages:
                await message.ack()
                count += 1
                if count == MESSAGES:
                    break
        return count


async def _waiting(url: str) -> int:
    """Return how many commands the queues give out."""
    async with await connect(url, "tests") as connection, connection.channel() as channel:
        async with asyncio.timeout(20):
            declared = [await channel.declare_queue(f"{COMMANDS}.{n}", passive=True) for n in range(8)]
        return sum(queue.declaration_result.message_count or 0 for queue in declared)


async def test_a_node_whose_folder_was_moved_or_copied_has_all_that_was_in_it(tmp_path, ports):
    """Also with the original beside it, to which it must not write; and in names that Erlang splits."""
    paths = [tmp_path / name for name in ("stä te", "a rather long name " * 5 + "é", "copy")]
    paths[0].mkdir()
    rabbit = cluster(paths[0], ports, 1)
    rabbit.start()
    await _fill(rabbit.url)
    names = paths[0] / "mnesia" / FIRST_NODE / "coordination" / FIRST_NODE / "names.dets"
    await eventually(lambda: _is_on_disk(names))
    rabbit.stop()
    for before, now, put in zip(paths, paths[1:], (Path.rename, shutil.copytree), strict=False):
        put(before, now)
        left = contents(before)
        # As a loss of power leaves them: the broker takes the new ones.
        for secret in ("password", "home/.erlang.cookie"):
            (now / secret).write_bytes(b"")
        rabbit = cluster(now, ports, 1)
        try:
            rabbit.start()
            await eventually(lambda url=rabbit.url: _has_all(_waiting, url))
            await eventually(lambda url=rabbit.url: _has_all(_kept, url))
        finally:
            rabbit.stop()
        assert contents(before) == left


async def _has_all(count: Callable[[str], Awaitable[int]], url: str) -> bool:
    """Return whether all messages are there; False while the broker opens what it has."""
    with suppress(ChannelNotFoundEntity):
        return await count(url) == MESSAGES
    return False


async def _is_on_disk(names: Path) -> bool:
    """Return whether the first stream's coordinator is, without which RabbitMQ 3.10 cannot open it again."""
    return names.exists() and b"rabbit_stream_coordinator" in names.read_bytes()  # noqa: ASYNC240


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_that_the_broker_cannot_use_is_one_sentence(tmp_path, ports):
    with pytest.raises(SetupError, match=r'for the characters " € in that name: rename the folder'):
        cluster(tmp_path / 'a "€"', ports, 1)


async def test_a_brokers_declaredand_messages_grow_to_three_nodes(tmp_path, ports):
    rabbit = cluster(tmp_path, ports, 1)
    try:
        rabbit.start()
        await _fill(rabbit.url)
        rabbit.stop()
        rabbit = cluster(tmp_path, ports, 3)
        rabbit.start()
        assert rabbit.url.count("127.0.0.1:") == 3
        names = {node.name for node in rabbit.nodes}
        members = rabbit.members()
        assert {name: set(held) for name, (_, held) in members.items()} == {
            queue.name: names for queue in queues(8)
        }
        told = rabbit.ctl("list_queues", "--quiet", "--no-table-headers", "name", "messages", node=2)
        counts = dict(line.split() for line in told.splitlines())
        assert sum(int(counts[f"{COMMANDS}.{n}"]) for n in range(8)) == MESSAGES
        assert await _kept(rabbit.url) == MESSAGES
    finally:
        rabbit.stop()
    assert not any(child.running for child in rabbit.children)
    with pytest.raises(SetupError, match="is that of 3 nodes, which cannot run as 1"):
        cluster(tmp_path, ports, 1).start()


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_clusters_data_is_refused_to_fewer_nodes(tmp_path, ports, nodes):
    for number in ("", "-1", "-2"):
        (tmp_path / "mnesia" / f"rollcall{number}@localhost" / "quorum").mkdir(parents=True)
    smaller = cluster(tmp_path, ports, nodes)
    with pytest.raises(SetupError, match=rf"is that of 3 nodes, which cannot run as {nodes}: start as many"):
        smaller.start()
    assert not any(child.running for child in smaller.children)


def test_a_node_alone_refuses_a_clusters_data_too(tmp_path, ports):
    for number in ("", "-1"):
        (tmp_path / "mnesia" / f"rollcall{number}@localhost").mkdir(parents=True)
    node = RabbitNode(tmp_path, amqp_port=ports[0], dist_port=ports[1], epmd_port=ports[2])
    with pytest.raises(SetupError, match="is that of 2 nodes"):
        node.start()
