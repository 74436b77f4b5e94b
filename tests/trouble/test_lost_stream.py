"""A stream of which RabbitMQ has only the name: removed, declared anew, and filled from the log."""

import asyncio
import shutil
import time

import pytest

from devstack import first_start, supervisor
from devstack.servers import broken_members
from devstack.servers.ports import free_ports
from devstack.servers.rabbit import RabbitNode
from service_kit.broker.connection import connected
from service_kit.broker.declaring import declare
from service_kit.broker.topology import EVENT_LOG
from tests.system import TOPOLOGIES, eventually
from tests.trouble.keepers import checked, supervised
from tests.trouble.test_feed import assert_in_order, commands, grown, whole_again

__all__ = ["commands"]
pytestmark = pytest.mark.long
MINUTE = 2.0
GONE = "\tdown"


@pytest.fixture
def soon(stage, monkeypatch):
    """Let a minute pass in two seconds."""
    monkeypatch.setattr(broken_members, "DOWN_SECONDS", MINUTE)
    monkeypatch.setattr(supervisor, "_ASK_EVERY_S", 0.5)
    patience = stage.directory / "rollcall-patience"
    patience.write_text("2")
    yield
    patience.unlink(missing_ok=True)


async def lost(stage) -> None:
    """Have the broker killed, and its stream's coordinator not on its disk, as soon after the stream was made."""
    await asyncio.to_thread(stage.rabbit.kill)
    for path in stage.rabbit.directory.glob("mnesia/*/coordination"):
        shutil.rmtree(path)
    await asyncio.to_thread(stage.rabbit.start)
    await is_lost(stage.rabbit)


async def is_lost(rabbit) -> None:
    async def told():
        word = await asyncio.to_thread(broken_members.ask, rabbit)
        return word and word.lost

    await eventually(told)


def stream(rabbit) -> str:
    told = rabbit.ctl("list_queues", "--quiet", "--no-table-headers", "name", "type", "state")
    return next(line for line in told.splitlines() if line.startswith(EVENT_LOG))


@pytest.mark.parametrize("stage", TOPOLOGIES[:1], indirect=True, scope="session")
@pytest.mark.parametrize("keeper", [supervised, checked])
async def test_a_stream_that_is_down_for_good_is_removed_and_filled_again(
    stage, cast, commands, soon, keeper
):
    people = await grown(commands, 3)
    await whole_again(stage, people)
    await lost(stage)
    pid = stage.rabbit.server.pid
    for service in cast.values():
        assert service.process.poll() is None
    watching = asyncio.create_task(keeper(stage, cast, **({"every": 1} if keeper is checked else {})))
    try:
        assert_in_order(await whole_again(stage, people, within=180), people)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    # A new start was tried first.
    assert stage.rabbit.server.pid != pid
    assert stream(stage.rabbit).endswith("stream\trunning")
    for service in cast.values():
        await service.wait_ready()
    logs = stage.rabbit.directory.rglob("*.log")
    assert any("removes the stream events.log" in path.read_text(errors="replace") for path in logs)
    more = await grown(commands, 1)
    assert_in_order(await whole_again(stage, more), more)


async def test_a_broker_that_was_killed_just_after_its_first_start_is_set_up_again(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(broken_members, "DOWN_SECONDS", MINUTE)
    amqp, dist, epmd = free_ports(3)
    rabbit = RabbitNode(tmp_path, amqp_port=amqp, dist_port=dist, epmd_port=epmd)
    try:
        for _ in range(5):
            await asyncio.to_thread(rabbit.start)
            async with connected(rabbit.url, "test") as connection:
                await declare(connection, 2)
            await asyncio.to_thread(rabbit.kill)
            await asyncio.to_thread(rabbit.start)
            if GONE in await asyncio.to_thread(stream, rabbit):
                break
        await is_lost(rabbit)
        await asyncio.to_thread(first_start.set_up_queues, rabbit.url, 2, pause=time.sleep, nodes=[rabbit])
        assert stream(rabbit).endswith("stream\trunning")
        assert "REMOVED" in capsys.readouterr().err
        # One that the node knows is not removed, whoever says so.
        await asyncio.to_thread(broken_members.remove_stream, rabbit)
        assert stream(rabbit).endswith("stream\trunning")
        assert "REMOVED" not in capsys.readouterr().err
    finally:
        await asyncio.to_thread(rabbit.stop)
