"""The worker's store in a database of its own, on each driver."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from pymongo import MongoClient

from query_api.people.queries import Reads
from service_kit.mongo import connection as mongo
from service_kit.mongo.collections import keys_database, load_collections
from service_kit.seals.wrapping import SECRETS
from service_kit.settings import Settings
from tests.claims import secret_row
from tests.store.given import KEKS, store_in
from tests.store.log import Log
from tests.system import System, eventually, everywhere
from workers.store import Store

_numbers = count()


class Databases:
    """Initialised databases of the system, each one test's at a time.

    One of a sharded cluster takes the servers seconds to make, and a moment to empty.
    """

    def __init__(self, system: System, session: pytest.Session) -> None:
        self._system = system
        self._session = session
        self._free: list[str] = []

    def make(self) -> str:
        """Return the name of one that is new."""
        name = f"store{next(_numbers)}"
        self._system.initialise(name)
        return name

    @asynccontextmanager
    async def empty(self) -> AsyncIterator[str]:
        """Keep one for as long as the block runs, in which no member shows anything."""
        if self._free:
            name = self._free.pop()
            with MongoClient[dict[str, Any]](self._system.mongo.uri, w="majority") as client:
                for collection in load_collections():
                    client[collection.home(name)][collection.name].delete_many({})
            await eventually(lambda: everywhere(self._system))
        else:
            name = self.make()
        failed = self._session.testsfailed
        yield name
        # Who knows what a test that failed has left at work?
        if self._session.testsfailed == failed:
            self._free.append(name)


@pytest.fixture(scope="session")
def databases_of_tests(request, system) -> Databases:
    return Databases(system, request.session)


@pytest.fixture(scope="session")
def stores(mongo_clients, databases_of_tests) -> dict[str, Store]:
    """The worker's collections in a database for each driver."""
    return {driver: store_in(client, databases_of_tests.make()) for driver, client in mongo_clients.items()}


@pytest.fixture
def store(driver, stores) -> Store:
    """The worker's collections; tests share them and keep to documents of their own."""
    return stores[driver]


@pytest_asyncio.fixture
async def empty(mongo_client, databases_of_tests) -> AsyncIterator[tuple[Store, Reads]]:
    """Both sides of an initialised database in which there is nothing."""
    async with databases_of_tests.empty() as name:
        yield store_in(mongo_client, name), Reads(mongo_client, name)


@pytest_asyncio.fixture
async def log(system, databases_of_tests, patient) -> AsyncIterator[Log]:
    settings = Settings(
        mongo_uri=system.mongo.uri, amqp_url=system.rabbit.url, jwt_key_file=system.directory / "jwt.key"
    )
    client = mongo.connect(settings, "tests")
    async with databases_of_tests.empty() as name:
        with MongoClient[dict[str, Any]](system.mongo.uri, w="majority") as rows:
            rows[keys_database(name)][SECRETS].insert_one(secret_row(KEKS))
        yield Log(system, store_in(client, name), name)
    await mongo.close(client)
