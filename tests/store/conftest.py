"""The worker's store in a database of its own, on each driver."""

from itertools import count

import pytest_asyncio

from query_api.reads import Reads
from workers.store import Store

_databases = count()


@pytest_asyncio.fixture(scope="session")
async def store(mongo_client, system) -> Store:
    """The worker's collections; tests share them and keep to documents of their own."""
    name = f"store{next(_databases)}"
    system.initialise(name)
    return Store(mongo_client, name)


@pytest_asyncio.fixture
async def empty(mongo_client, system) -> tuple[Store, Reads]:
    """Both sides of an initialised database that no other test uses."""
    name = f"store{next(_databases)}"
    system.initialise(name)
    return Store(mongo_client, name), Reads(mongo_client, name)
