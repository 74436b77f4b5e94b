"""Three brokers: every queue on all of them, one of them lost under load, two of them lost."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
import pytest_asyncio

from service_kit.broker.topology import EVENT_LOG, queues
from tests import ledger
from tests.system import Service, System, eventually, new_person
from tests.trouble.conftest import stream_is_on_disk
from tests.trouble.load import Load
from tests.trouble.test_broker import is_unready, refused_in_time

WAIT = {"Prefer": "wait=20"}
BROKERS = 3
ACCEPTED_AGAIN = 60.0
"""Seconds; on a quiet machine it takes five."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Three brokers that no other tests use."""
    started = System.start(tmp_path_factory.mktemp("cluster"), members=1, brokers=BROKERS)
    try:
        started.initialise()
        yield started
    finally:
        started.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def troupe(cluster: System) -> dict[str, Service]:
    """A command API and two workers on them."""
    running = {"command_api": "command_api", "workers": "workers", "second": "workers"}
    troupe = {name: cluster.service(module) for name, module in running.items()}
    for service in troupe.values():
        service.spawn()
    for service in troupe.values():
        await service.wait_ready()
    await stream_is_on_disk(cluster, BROKERS)
    return troupe


async def test_every_queue_and_the_stream_have_a_member_on_each_broker(cluster, troupe):
    names = {node.name for node in cluster.brokers.nodes}
    members = cluster.brokers.members()
    shared = {queue.name for queue in queues(8) if queue.name != EVENT_LOG}
    own = {"events.images", "events.images.dead"}  # of the subscriber that removes images
    assert {name for name in members if members[name][0] == "quorum"} == shared | own
    assert members[EVENT_LOG][0] == "stream"
    for name, (_, held) in members.items():
        assert (len(held), set(held)) == (BROKERS, names), name


async def applied_in_time(commands: httpx.AsyncClient) -> bool:
    response = await commands.post("/people", json=new_person(), headers=WAIT)
    assert response.status_code in (201, 202), response.text
    return response.status_code == 201


@pytest.mark.parametrize("index", range(BROKERS))
async def test_one_broker_killed_under_load_loses_nothing(cluster, troupe, index):
    node = cluster.brokers.nodes[index]
    async with Load(cluster, troupe["command_api"].port) as load:
        await load.goes_on()
        cluster.brokers.kill(index)
        try:
            await load.goes_on(within=ACCEPTED_AGAIN)
        finally:
            cluster.brokers.start_node(index)
            await asyncio.to_thread(node.wait_ready)
        await load.goes_on(within=ACCEPTED_AGAIN)
    await ledger.settled(cluster, load.accepted)
    await asyncio.to_thread(ledger.check, cluster, load.accepted)
    assert cluster.brokers.clustered()
    assert load.gap < ACCEPTED_AGAIN


async def test_two_of_three_lost_is_503_until_they_return(cluster, troupe):
    one, two, _ = range(BROKERS)
    async with cluster.client(troupe["command_api"]) as commands:
        async with Load(cluster, troupe["command_api"].port) as load:
            await load.goes_on()
            cluster.brokers.kill(one)
            cluster.brokers.kill(two)
            try:
                await eventually(lambda: refused_in_time(commands))
                answers = await asyncio.gather(*(refused_in_time(commands) for _ in range(20)))
                assert all(answers)
                for service in troupe.values():
                    await eventually(lambda service=service: is_unready(service, "."))
            finally:
                cluster.brokers.start_node(one)
                cluster.brokers.start_node(two)
            await load.goes_on()
            # Brokers that start take a busy machine longer than one answer waits.
            await eventually(lambda: applied_in_time(commands))
            await asyncio.to_thread(cluster.brokers.wait_ready)
        await ledger.settled(cluster, load.accepted)
    await asyncio.to_thread(ledger.check, cluster, load.accepted)
    for service in troupe.values():
        await service.wait_ready()
