"""Which nodes a connection is tried to, and for how long."""

import asyncio
import time
from contextlib import asynccontextmanager

import aio_pika
import pytest

from devstack.servers.ports import free_ports
from events.errors import BrokerUnavailable
from service_kit.broker import connection as broker


class Silent:
    """Accepts connections and says nothing, as a node that hangs."""

    def __init__(self) -> None:
        self.asked = 0
        self._done = asyncio.Event()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked += 1
        await self._done.wait()
        writer.close()

    @asynccontextmanager
    async def listening(self):
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        yield server.sockets[0].getsockname()[1]
        self._done.set()
        server.close()
        await server.wait_closed()


async def test_nodes_that_hang_leave_time_for_the_others(monkeypatch):
    monkeypatch.setattr(broker, "CONNECT_TIMEOUT", 1.0)
    first, second = Silent(), Silent()
    async with first.listening() as one, second.listening() as two:
        began = time.monotonic()
        with pytest.raises(BrokerUnavailable, match="no answer in time"):
            await broker.connect(f"amqp://u:hunter2@127.0.0.1:{one},127.0.0.1:{two}/", "tests")
        assert 0.9 < time.monotonic() - began < 1.7
    assert (first.asked, second.asked) == (1, 1)


async def test_the_last_failure_is_told_and_no_password():
    ports = free_ports(3)
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    with pytest.raises(BrokerUnavailable) as failure:
        await broker.connect(f"amqp://u:hunter2@{hosts}/", "tests")
    assert any(f"127.0.0.1:{port}" in failure.value.detail for port in ports)
    assert "hunter2" not in failure.value.detail


async def test_a_connection_that_fails_is_closed(monkeypatch):
    made = []

    class Connection(aio_pika.Connection):
        def __init__(self, *arguments, **options) -> None:
            super().__init__(*arguments, **options)
            made.append(self)

    monkeypatch.setattr(aio_pika, "Connection", Connection)
    monkeypatch.setattr(broker, "CONNECT_TIMEOUT", 0.2)
    silent = Silent()
    async with silent.listening() as hangs:
        with pytest.raises(BrokerUnavailable):
            await broker.connect(f"amqp://u:p@127.0.0.1:{hangs},127.0.0.1:{free_ports(1)[0]}/", "tests")
    assert len(made) == 2
    assert all(connection.is_closed for connection in made)


async def test_clients_spread_over_the_nodes(monkeypatch):
    tried = []

    async def refuse(node: str, name: str, seconds: float):
        tried.append(node)
        raise BrokerUnavailable("away")

    monkeypatch.setattr(broker, "_connect_to", refuse)
    first = set()
    for _ in range(100):
        tried.clear()
        with pytest.raises(BrokerUnavailable):
            await broker.connect("amqp://h1,h2,h3", "tests")
        assert sorted(tried) == ["amqp://h1", "amqp://h2", "amqp://h3"]
        first.add(tried[0])
    assert len(first) == 3


async def test_an_end_that_the_client_turns_into_an_error_is_an_end(monkeypatch):
    begun = asyncio.Event()

    async def connect(url: str, name: str):
        try:
            begun.set()
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            raise BrokerUnavailable("the channel was closed") from None

    monkeypatch.setattr(broker, "connect", connect)
    task = asyncio.create_task(broker.keep_connected("amqp://h1", "tests", connect))
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=1)
    try:
        assert done and task.cancelled()
    finally:
        task.cancel()


async def test_a_task_that_is_asked_to_end_ends_whatever_the_client_makes_of_that():
    begun = asyncio.Event()

    async def for_ever() -> None:
        while True:
            try:
                with broker.broker_errors("trying"):
                    begun.set()
                    try:
                        await asyncio.sleep(60)
                    except asyncio.CancelledError:
                        raise aio_pika.exceptions.ChannelInvalidStateError from None
            except BrokerUnavailable:
                await asyncio.sleep(0)

    task = asyncio.create_task(for_ever())
    await begun.wait()
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done
    assert task.cancelled()
