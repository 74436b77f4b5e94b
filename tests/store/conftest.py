"""The worker's store in a database of its own, on each driver."""

from itertools import count

import pytest

from query_api.reads import Reads
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
