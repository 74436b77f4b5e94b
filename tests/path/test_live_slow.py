"""A client that does not read: it is cut off, told so, resumes without a gap, and holds nobody back."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from devstack.servers.ports import free_ports
from query_api.feed.buffer import FeedBuffer
from query_api.feed.positions import Positions
from query_api.feed.reader import FeedReader
from query_api.feed.replays import Replays
from query_api.feed.routes import LiveDependencies, add_live_route
from service_kit.auth.roles import BUILT_IN
from service_kit.auth.tokens import TokenVerifier
from service_kit.broker import stream
from service_kit.broker.connection import connect
from service_kit.broker.publishing import Template, publish
from service_kit.http.web import PlainRoute, create_app
from service_kit.settings import Settings
from service_kit.slots import AtOnce, Slots
from tests.chained import ALL_KEYS
from tests.default_schema import SCHEMA
from tests.sse import following
from tests.system import TOPOLOGIES, eventually

pytestmark = pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True, scope="session")
STREAM = "events.slow"
AT_ONCE = AtOnce(9, 9)
EVENTS = 15_000
MAX_BYTES = 2_000_000
ID = "01890a5d-ac96-774b-bcce-b302099a8057"
BODY = b'{"id":"%b","type":"person.updated","subject":"%b","padding":"%b"}' % (
    ID.encode(),
    ID.encode(),
    b"x" * 1000,
)


@pytest.fixture
async def source(system):
    """An empty stream; call it to publish so many events."""
    async with await connect(system.rabbit.url, "tests") as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(STREAM, durable=True, arguments={"x-queue-type": "stream"})
        raw = await channel.get_underlay_channel()
        frames = Template(raw, "", STREAM, delivery_mode=2).frames(ID, BODY)

        async def more(count):
            for _ in range(0, count, 500):
                await publish(raw, [frames] * min(500, count), 15)

        yield more
        await queue.delete(if_unused=False, if_empty=False)


@asynccontextmanager
async def serving(system, feed):
    """The live feed alone, in this process, on a port; with little memory for it."""
    settings = Settings(amqp_url=system.rabbit.url, jwt_key_file=system.directory / "jwt.key")
    tail = FeedReader(system.rabbit.url, feed, Positions(time.monotonic), ALL_KEYS, STREAM)
    replays = Replays(system.rabbit.url, AT_ONCE, ALL_KEYS, STREAM)
    app = create_app("live", {})
    app.router.route_class = PlainRoute
    # Its clients have tokens.
    slots = Slots.shared(AT_ONCE, "clients", 1)
    add_live_route(
        app,
        LiveDependencies(feed, tail, replays, TokenVerifier(settings, BUILT_IN), None, slots, None, SCHEMA),
    )
    (port,) = free_ports(1)
    # Should the test fail early, its lazy client takes nothing, and is not waited for.
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=5))
    tasks = [asyncio.create_task(work) for work in (tail.run(), replays.run(), server.serve())]
    try:
        await eventually(lambda: started(server))
        yield port
    finally:
        feed.close()
        server.should_exit = True
        await tasks.pop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def started(server):
    return server.started


class Lazy:
    """A client that reads nothing until it is asked to."""

    def __init__(self, port, token):
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect(("127.0.0.1", port))
        lines = ("GET /events/stream HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", "", "")
        self._socket.sendall("\r\n".join(lines).encode())

    def read(self):
        """Return all that comes until the response's end."""
        self._socket.settimeout(60)
        parts = []
        while not parts or not parts[-1].endswith(b"0\r\n\r\n"):
            part = self._socket.recv(2**16)
            if not part:
                break
            parts.append(part)
        self._socket.close()
        return b"".join(parts)


async def begun(feed):
    return feed.next is not None


async def test_a_slow_client_is_cut_off_and_resumes_and_memory_stays_bounded(system, source, monkeypatch):
    monkeypatch.setattr(stream, "SILENCE_SECONDS", 3.0)
    feed = FeedBuffer(max_bytes=MAX_BYTES)
    async with serving(system, feed) as port:
        await eventually(lambda: begun(feed))
        token = system.token()
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20
        ) as client:
            lazy = Lazy(port, token)
            await eventually(lambda: followed(feed))
            publishing = asyncio.create_task(source(EVENTS))
            async with following(client, from_="first") as quick:
                places = [event.id for event in await quick.take(EVENTS, within=240)]
            await publishing
            assert places == list(range(EVENTS))
            assert sum(len(one.frame()) for one in feed.since(feed.floor)) <= MAX_BYTES

            text = await asyncio.to_thread(lazy.read)
            assert text.rstrip(b"0\r\n").endswith(b'event: cut\ndata: {"reason":"slow"}')
            names = [line[4:] for line in text.splitlines() if line.startswith(b"id: ") and line != b"id: -1"]
            had = [int(name.split(b"-")[0]) for name in names]
            assert had == list(range(len(had)))
            assert len(had) < EVENTS
            async with following(client, last=names[-1].decode()) as again:
                rest = [event.id for event in await again.take(EVENTS - len(had), within=240)]
            assert rest == list(range(len(had), EVENTS))


async def followed(feed):
    return feed.clients > 0
