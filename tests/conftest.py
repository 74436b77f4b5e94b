"""Fixtures: the servers and services that all tests share, started once."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from service_kit import mongo
from service_kit.settings import Settings
from tests.system import TOPOLOGIES, Service, System

pytest.register_assert_rewrite("tests.ledger")


@pytest.fixture(scope="session", params=TOPOLOGIES)
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """MongoDB and RabbitMQ, initialised; on each topology in turn."""
    started = System.start(tmp_path_factory.mktemp("system"), request.param)
    try:
        started.initialise()
        yield started
    finally:
        started.stop()


@pytest_asyncio.fixture(scope="session")
async def services(system: System) -> dict[str, Service]:
    """One process of each service, ready."""
    running = {name: system.service(name) for name in ("command_api", "query_api", "workers")}
    for service in running.values():
        service.spawn()
    for service in running.values():
        await service.wait_ready()
    return running


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


@pytest_asyncio.fixture(scope="session", params=["pymongo", "motor"])
async def mongo_client(request: pytest.FixtureRequest, system: System) -> AsyncIterator[object]:
    """A client of each driver that is supported."""
    settings = Settings(
        mongo_uri=system.mongo.uri,
        amqp_url=system.rabbit.url,
        mongo_driver=request.param,
        jwt_key_file=system.directory / "jwt.key",
    )
    client = mongo.connect(settings, "tests")
    yield client
    await mongo.close(client)
