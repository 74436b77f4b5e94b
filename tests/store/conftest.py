"""The worker's store in a database of its own, on each driver."""

from collections.abc import AsyncIterator
from itertools import count

import pytest
import pytest_asyncio

from query_api.reads import Reads
from service_kit import mongo
from service_kit.settings import Settings
from tests.store.log import Log
from workers.store import Store

_databases = count()


@pytest.fixture(scope="session")
def stores(mongo_clients, system) -> dict[str, Store]:
    """The worker's collections in a database for each driver."""
    stores = {}
    for driver, client in mongo_clients.items():
        name = f"store{next(_databases)}"
        system.initialise(name)
        stores[driver] = Store(client, name)
    return stores


@pytest.fixture
def store(driver, stores) -> Store:
    """The worker's collections; tests share them and keep to documents of their own."""
    return stores[driver]


@pytest.fixture
def empty(mongo_client, system) -> tuple[Store, Reads]:
    """Both sides of an initialised database that no other test uses."""
    name = f"store{next(_databases)}"
    system.initialise(name)
    return Store(mongo_client, name), Reads(mongo_client, name)


@pytest_asyncio.fixture
async def log(system) -> AsyncIterator[Log]:
    name = f"log{next(_databases)}"
    system.initialise(name)
    settings = Settings(
        mongo_uri=system.mongo.uri, amqp_url=system.rabbit.url, jwt_key_file=system.directory / "jwt.key"
    )
    client = mongo.connect(settings, "tests")
    yield Log(system, Store(client, name), name)
    await mongo.close(client)
