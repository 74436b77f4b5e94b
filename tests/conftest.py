"""Fixtures: the servers and services that all tests share, started once."""

import os
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import hypothesis
import pytest
import pytest_asyncio
from hypothesis import HealthCheck
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from service_kit.mongo import connection as mongo
from service_kit.seals.kek import KekFile, Keks, load_keks
from service_kit.settings import Settings
from tests import fake_cloudinary
from tests.system import TOPOLOGIES, Service, System

pytest.register_assert_rewrite("tests.ledger")
# A busy machine may take its time over any example.
hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis.settings.load_profile("busy")
DRIVERS = ("pymongo", "motor")
# Whoever has an account does not want pictures of tests in it.
os.environ.pop("CLOUDINARY_URL", None)


_LONGEST = (
    "feed-replica-set",
    "path-replica-set",
    "path-sharded",
    "trouble-replica-set",
    "store-sharded",
    "trouble-sharded",
    "tests/devstack/test_up.py",
    "tests/trouble/test_broker_cluster.py",
    "store-replica-set",
    "tests/compose/test_compose_runs.py",
    "tests/compose/test_image.py",
    "tests/devstack/test_brokers.py",
)
"""The groups that begin first, longest first, so that the processes end together."""
_OF_THE_FEED = ("/test_feed.py", "/test_live_feed.py", "/test_old_queues.py")
"""Files of `trouble` that wait for the broker most of the time: they have a stage to themselves."""
_TOPOLOGY = re.compile(rf"\[.*?({'|'.join(TOPOLOGIES)})\b")


def servers(nodeid: str) -> str:
    """Return which servers a test uses: those of its folder on one topology, or its file's own."""
    file = nodeid.partition("::")[0]
    on = _TOPOLOGY.search(nodeid)
    folder = file.split("/")[1]
    if on is None or folder not in ("path", "store", "trouble"):
        return file
    return f"{'feed' if file.endswith(_OF_THE_FEED) else folder}-{on[1]}"


class ByServers(LoadScopeScheduling):
    """Several processes run the tests; what shares servers is one process's alone."""

    def _split_scope(self, nodeid: str) -> str:
        return servers(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByServers:
    """Give each process its groups."""
    return ByServers(config, log)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run be of one topology."""
    parser.addoption("--topology", choices=TOPOLOGIES, help="leave out tests on the other topology")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not wanted, and put the groups in the order in which they are given out."""
    if wanted := config.getoption("topology"):
        left_out = [item for item in items if (on := _TOPOLOGY.search(item.nodeid)) and on[1] != wanted]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]
    order = [*_LONGEST, *dict.fromkeys(servers(item.nodeid) for item in items)]
    items.sort(key=lambda item: order.index(servers(item.nodeid)))


@pytest.fixture(scope="session", params=TOPOLOGIES)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """MongoDB and RabbitMQ, initialised; on each topology in turn."""
    started = System.start(tmp_path_factory.mktemp("system"), request.param)
    try:
        started.initialise()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def keks(system: System) -> Keks:
    """The key-encryption keys of every service on the system's servers."""
    return load_keks(KekFile(system.kek_file))


@pytest_asyncio.fixture(scope="session")
async def services(system: System) -> dict[str, Service]:
    """One process of each service, ready."""
    return await system.start_services()


@pytest_asyncio.fixture(scope="session")
async def commands(system: System, services: dict[str, Service]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the command API with every scope."""
    async with system.client(services["command_api"]) as client:
        yield client


@pytest_asyncio.fixture(scope="session")
async def queries(system: System, services: dict[str, Service]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the query API with every scope."""
    async with system.client(services["query_api"]) as client:
        yield client


@pytest.fixture(scope="session")
def worker(services: dict[str, Service]) -> Service:
    """The worker process."""
    return services["workers"]


@pytest.fixture(scope="session")
def patient() -> Iterator[None]:
    """Give clients that tests make half a minute for an operation.

    A machine under load may stand still for longer than a service lets a caller wait. A test that asks
    how long that is sets a deadline of its own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mongo, "SELECTION_MS", 30_000)
        patch.setattr(mongo, "OPERATION_MS", 30_000)
        yield


@pytest_asyncio.fixture(scope="session")
async def mongo_clients(system: System, patient: None) -> AsyncIterator[dict[str, object]]:
    """A client of each driver that is supported."""
    clients = {}
    for driver in DRIVERS:
        settings = Settings(
            mongo_uri=system.mongo.uri,
            amqp_url=system.rabbit.url,
            mongo_driver=driver,
            jwt_key_file=system.directory / "jwt.key",
        )
        clients[driver] = mongo.connect(settings, "tests")
    yield clients
    for client in clients.values():
        await mongo.close(client)


# Not a parameter of the session: servers would be started for each combination of it with a topology.
@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> str:
    """The name of each driver in turn."""
    name: str = request.param
    return name


@pytest.fixture
def mongo_client(driver: str, mongo_clients: dict[str, object]) -> object:
    """A client of each driver in turn."""
    return mongo_clients[driver]


@pytest.fixture(scope="session")
def cloudinary() -> Iterator[fake_cloudinary.Cloudinary]:
    """An account at a server that speaks Cloudinary's API; well behaved, until a test changes its mood."""
    with fake_cloudinary.running() as account:
        yield account
