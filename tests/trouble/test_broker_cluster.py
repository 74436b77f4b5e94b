"""Three brokers: every queue on all of them, one of them lost under load, two of them lost."""

import asyncio
from collections.abc import Iterator

import pytest
import pytest_asyncio

from service_kit.topology import EVENT_LOG, queues
from tests.system import Service, System, eventually, new_person
from tests.trouble import cluster_stage
from tests.trouble.cluster_stage import BROKERS, Crowd, coordinator_is_on_disk, settled
from tests.trouble.test_broker import readiness, refused_in_time

WAIT = {"Prefer": "wait=20"}
ACCEPTED_AGAIN = 15.0


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Three brokers that no other tests use."""
    started = cluster_stage.start(tmp_path_factory.mktemp("cluster"))
    try:
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
    await coordinator_is_on_disk(cluster)
    return troupe


async def test_every_queue_and_the_stream_have_a_member_on_each_broker(cluster, troupe):
    names = {node.name for node in cluster.rabbit.nodes}
    members = cluster.rabbit.members()
    assert {name for name in members if members[name][0] == "quorum"} == {
        queue.name for queue in queues(8) if queue.name != EVENT_LOG
    }
    assert members[EVENT_LOG][0] == "stream"
    for name, (_, held) in members.items():
        assert (len(held), set(held)) == (BROKERS, names), name


async def unready(service: Service) -> bool:
    status, parts = await readiness(service)
    return status == 503 and parts["rabbitmq"] != "ok"


@pytest.mark.parametrize("index", range(BROKERS))
async def test_one_broker_killed_under_load_loses_nothing(cluster, troupe, index):
    node = cluster.rabbit.nodes[index]
    async with Crowd(cluster, troupe["command_api"].port) as crowd:
        await crowd.goes_on(within=10)
        cluster.rabbit.kill(index)
        try:
            await crowd.goes_on(within=ACCEPTED_AGAIN)
        finally:
            cluster.rabbit.start_node(index)
            await asyncio.to_thread(node.wait_ready)
        await crowd.goes_on(within=ACCEPTED_AGAIN)
    await settled(cluster, crowd.accepted)
    assert cluster.rabbit.clustered()
    assert crowd.gap < ACCEPTED_AGAIN


async def test_two_of_three_lost_is_503_until_they_return(cluster, troupe):
    one, two, _ = range(BROKERS)
    async with cluster.client(troupe["command_api"]) as commands:
        async with Crowd(cluster, troupe["command_api"].port) as crowd:
            await crowd.goes_on(within=10)
            cluster.rabbit.kill(one)
            cluster.rabbit.kill(two)
            try:
                await eventually(lambda: refused_in_time(commands))
                answers = await asyncio.gather(*(refused_in_time(commands) for _ in range(20)))
                assert all(answers)
                for service in troupe.values():
                    await eventually(lambda service=service: unready(service))
            finally:
                cluster.rabbit.start_node(one)
                cluster.rabbit.start_node(two)
            await crowd.goes_on(within=60)
            response = await commands.post("/people", json=new_person(), headers=WAIT)
            assert response.status_code == 201
            await asyncio.to_thread(cluster.rabbit.wait_ready)
        await settled(cluster, crowd.accepted)
    for service in troupe.values():
        await service.wait_ready()
