"""What each service's user of the broker is refused: what only another service has business to do."""

import asyncio

import aio_pika
import aiormq
import pytest

from service_kit.broker.connection import connect
from service_kit.broker.topology import COMMANDS, DEAD, EVENT_LOG, EVENTS, EVENTS_AGAIN, WORKERS
from service_kit.broker.users import COMMAND_USER, QUERY_USER, RIGHTS, SUBSCRIBER_USER, WORKER_USER
from tests.path.test_live import create
from tests.system import TOPOLOGIES, eventually

pytestmark = pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True, scope="session")


async def _ignore(_message) -> None:
    """Take nothing."""


async def publish(channel, exchange: str, key: str) -> None:
    target = await channel.get_exchange(exchange, ensure=False) if exchange else channel.default_exchange
    await target.publish(aio_pika.Message(b"forged"), key)


async def consume(channel, queue: str) -> None:
    await (await channel.get_queue(queue, ensure=False)).consume(_ignore)


async def consume_stream(channel, queue: str) -> None:
    await channel.set_qos(prefetch_count=1)
    arguments = {"x-stream-offset": "next"}
    await (await channel.get_queue(queue, ensure=False)).consume(_ignore, arguments=arguments)


async def purge(channel, queue: str) -> None:
    await (await channel.get_queue(queue, ensure=False)).purge()


async def delete(channel, queue: str) -> None:
    await channel.queue_delete(queue)


async def declare(channel, queue: str) -> None:
    await channel.declare_queue(queue, durable=True, arguments={"x-queue-type": "quorum"})


async def bind(channel, queue: str, exchange: str) -> None:
    await (await channel.get_queue(queue, ensure=False)).bind(exchange, "#")


_EVERYBODYS = [
    (declare, "other"),
    (publish, "amq.topic", "x"),
]
FORBIDDEN = {
    QUERY_USER: [
        *_EVERYBODYS,
        *((publish, exchange, "0") for exchange in (COMMANDS, EVENTS, EVENTS_AGAIN, DEAD)),
        *((publish, "", queue) for queue in ("commands.0", EVENT_LOG)),
        *((consume, queue) for queue in ("commands.0", DEAD, WORKERS)),
        *((delete, queue) for queue in ("commands.0", EVENT_LOG, DEAD)),
        *((purge, queue) for queue in ("commands.0", DEAD)),
        (declare, "events.query"),
    ],
    COMMAND_USER: [
        *_EVERYBODYS,
        *((publish, exchange, "person.created") for exchange in (EVENTS, DEAD)),
        *((publish, "", queue) for queue in ("commands.0", EVENT_LOG, "events.images")),
        *((consume, queue) for queue in ("commands.0", WORKERS, "events.images")),
        (consume_stream, EVENT_LOG),
        *((delete, queue) for queue in ("commands.0", EVENT_LOG, WORKERS, "events.images")),
        (purge, "commands.0"),
        (bind, "events.images.dead", EVENTS),
        (declare, "events.command"),
    ],
    SUBSCRIBER_USER: [
        *_EVERYBODYS,
        *((publish, exchange, "0") for exchange in (COMMANDS, EVENTS, EVENTS_AGAIN, DEAD)),
        *((publish, "", queue) for queue in ("commands.0", EVENT_LOG)),
        *((consume, queue) for queue in ("commands.0", DEAD, WORKERS, "events.images")),
        *((delete, queue) for queue in ("commands.0", EVENT_LOG, "events.images", "events.images.dead")),
        (declare, "commands.9"),
    ],
    WORKER_USER: [(declare, "other"), (publish, "amq.topic", "x"), (declare, "amq.gen-x")],
}
"""What each user tries, in vain."""


def named(one) -> str:
    return one if isinstance(one, str) else " ".join([one[0].__name__, *one[1:]])


@pytest.mark.parametrize(
    ("user", "act"), [(user, act) for user, acts in FORBIDDEN.items() for act in acts], ids=named
)
async def test_a_user_is_refused_what_is_another_services_business(system, services, user, act):
    attempt, *names = act
    async with await connect(system.rabbit.url_of(user), "tests") as connection:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        with pytest.raises(aiormq.exceptions.ChannelAccessRefused):
            async with asyncio.timeout(10):
                await attempt(channel, *names)


def test_every_user_that_the_broker_knows_is_tried(system):
    known = {line.split("\t")[0] for line in system.rabbit.ctl("-q", "list_users").splitlines()[1:]}
    assert known == set(RIGHTS)
    assert set(FORBIDDEN) == known - {"rollcall"}


async def test_services_do_their_work_with_these_rights(system, services, commands, queries):
    """The rights are those under which the tests of all services run."""
    person_id = await create(commands)

    async def shown():
        return (await queries.get(f"/people/{person_id}")).status_code == 200

    await eventually(shown)
    for name, user in (("command_api", COMMAND_USER), ("query_api", QUERY_USER), ("workers", WORKER_USER)):
        assert f"//{user}:" in services[name].environment["ROLLCALL_AMQP_URL"]
