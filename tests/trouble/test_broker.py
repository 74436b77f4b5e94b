"""The broker away, blocked, full, or with rubbish in its queues."""

import asyncio
import re
import time
from uuid import uuid4

import aio_pika
import httpx
import pytest

from devstack.services import readiness as local_readiness
from service_kit.broker.topology import COMMANDS, DEAD, partition_queue
from service_kit.seals.messages import read_sealed
from tests import ledger
from tests.system import TOPOLOGIES, eventually, new_person
from tests.transport import key_in

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES[:1], indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}


async def accepts(client: httpx.AsyncClient) -> bool:
    return (await client.post("/people", json=new_person())).status_code == 202


async def refused_in_time(client: httpx.AsyncClient) -> httpx.Response | None:
    """Send a person; return the answer if it is 503, which must come before the deadline."""
    began = time.monotonic()
    response = await client.post("/people", json=new_person())
    assert time.monotonic() - began < 6
    if response.status_code == 202:
        return None
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert response.json()["type"] == "urn:rollcall:problem:broker-unavailable"
    return response


async def readiness(service) -> tuple[int, dict]:
    async with httpx.AsyncClient() as client:
        response = await client.get(f"{service.url}/readyz")
    return response.status_code, response.json()["parts"]


async def is_unready(service, reason: str) -> bool:
    """Return whether a service says why it has no broker; what it says may be of a second ago."""
    status, parts = await readiness(service)
    return status == 503 and parts["rabbitmq"] != "ok" and re.search(reason, parts["rabbitmq"]) is not None


async def answering(service) -> tuple[int, dict] | None:
    try:
        return await readiness(service)
    except httpx.TransportError:
        return None


def described(service) -> str:
    """Return what `./run status` says of a service."""
    return local_readiness("127.0.0.1", service.port)


async def test_a_broker_that_is_down(stage, cast):
    async with stage.client(cast["command_api"]) as commands:
        stage.rabbit.kill()
        try:
            await eventually(lambda: refused_in_time(commands))
            assert await refused_in_time(commands)
            for name in ("command_api", "workers"):
                await eventually(lambda name=name: is_unready(cast[name], "."))
        finally:
            stage.rabbit.start()
        await eventually(lambda: accepts(commands))
        response = await commands.post("/people", json=new_person(), headers=WAIT)
        assert response.status_code == 201


async def test_a_query_api_waits_for_the_feed_before_it_is_ready_but_not_for_long(stage, cast):
    queries = cast["query_api"]
    stage.rabbit.kill()
    try:
        queries.stop()
        queries.spawn()
        status, parts = await eventually(lambda: answering(queries))
        assert (status, parts["stream"] != "ok") == (503, True)
        await queries.wait_ready()
        assert "stream: RabbitMQ" in described(queries)
    finally:
        stage.rabbit.start()
    queries.stop()
    queries.spawn()
    await queries.wait_ready()
    assert described(queries) == "ready"


async def test_a_broker_that_is_blocked_by_an_alarm(stage, cast):
    async with stage.client(cast["command_api"]) as commands:
        stage.rabbit.ctl("set_vm_memory_high_watermark", "0.00001")
        try:
            await eventually(lambda: refused_in_time(commands))
            answers = await asyncio.gather(*(refused_in_time(commands) for _ in range(20)))
            assert all(answers)

            async def blocked():
                status, parts = await readiness(cast["command_api"])
                assert status == 503
                return "blocked" in parts["rabbitmq"]

            await eventually(blocked)
        finally:
            stage.rabbit.ctl("set_vm_memory_high_watermark", "0.6")
        await eventually(lambda: accepts(commands))
        body, headers = new_person(), {**WAIT, "Idempotency-Key": str(uuid4())}

        async def applied():
            return (await commands.post("/people", json=body, headers=headers)).status_code == 201

        await eventually(applied)


async def test_a_command_that_no_queue_takes(stage, cast):
    connection = await aio_pika.connect(stage.rabbit.url)
    async with connection, connection.channel() as channel, stage.client(cast["command_api"]) as commands:
        queues = [await channel.declare_queue(partition_queue(n), passive=True) for n in range(8)]
        for number, queue in enumerate(queues):
            await queue.unbind(COMMANDS, str(number))
        try:
            assert await refused_in_time(commands)
            reason = r"commands\.\d: no confirm since 20\S+ \(RabbitMQ: publishing"
            await eventually(lambda: is_unready(cast["command_api"], reason))
            assert "not ready; rabbitmq: RabbitMQ: commands." in described(cast["command_api"])
        finally:
            for number, queue in enumerate(queues):
                await queue.bind(COMMANDS, str(number))
        assert await accepts(commands)
        # Nobody publishes into the others: a probe does.
        await cast["command_api"].wait_ready()


async def test_a_full_queue_refuses_and_its_commands_are_kept(stage, cast):
    worker = cast["workers"]
    worker.stop()
    policy = ("set_policy", "--apply-to", "queues", "full", r"^commands\.[0-9]+$", '{"max-length":3}')
    stage.rabbit.ctl(*policy)
    accepted = set()
    try:
        async with stage.client(cast["command_api"]) as commands:

            async def refused():
                response = await commands.post("/people", json=new_person())
                if response.status_code == 202:
                    accepted.add(response.json()["command_id"])
                return response.status_code == 503

            await eventually(refused, pause=0)
    finally:
        stage.rabbit.ctl("clear_policy", "full")
        worker.spawn()
        await worker.wait_ready()

    async def decided():
        return not await asyncio.to_thread(ledger.undecided, stage, accepted)

    assert accepted
    await eventually(decided)


@pytest.mark.parametrize("body", [b"\x00rubbish", b'{"specversion":"1.0","type":"person.explode"}', b""])
async def test_a_poison_message_is_put_aside_with_its_reason_and_the_rest_goes_on(stage, cast, body):
    connection = await aio_pika.connect(stage.rabbit.url)
    async with connection, connection.channel() as channel, stage.client(cast["command_api"]) as commands:
        commands_exchange = await channel.get_exchange(COMMANDS)
        poison = aio_pika.Message(body, message_id="poison-1", delivery_mode=2)
        for number in range(20):
            await commands_exchange.publish(poison, str(number % 8))
        answers = await asyncio.gather(
            *(commands.post("/people", json=new_person(), headers=WAIT) for _ in range(20))
        )
        assert {answer.status_code for answer in answers} == {201}

        dead = await channel.declare_queue(DEAD, passive=True)
        for _ in range(20):
            message = await eventually(lambda: dead.get(fail=False))
            await message.ack()
            kept = read_sealed(message.body)
            assert kept is not None
            # An id that is none of ours may be anybody's value.
            assert (kept.kept(key_in(stage, kept.key_id)), message.message_id) == (body, None)
            assert message.headers["x-rollcall-reason"]
            assert message.headers["x-rollcall-queue"].startswith("commands.")
        assert await dead.get(fail=False) is None


@pytest.mark.parametrize("module", ["command_api", "workers"])
@pytest.mark.parametrize("partitions", ["4", "16"])
async def test_a_broker_with_another_number_of_partitions_is_refused(stage, cast, module, partitions):
    service = stage.service(module, ROLLCALL_PARTITIONS=partitions)
    service.spawn()
    try:

        async def explained():
            try:
                status, parts = await readiness(service)
            except httpx.TransportError:
                return False
            words = f"set up with another number of partitions than {partitions}: set ROLLCALL_PARTITIONS as"
            return status == 503 and words in parts["rabbitmq"] and words in service.words()

        await eventually(explained)
    finally:
        service.kill()
        stage.services.remove(service)
