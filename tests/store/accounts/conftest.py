"""A stage for accounts, with each driver, and the command API on it."""

import pytest
import pytest_asyncio

from command_api.accounts import services as building
from command_api.accounts.hashing import Hasher
from command_api.accounts.services import AccountServices, open_account_services
from operations.accounts.signing_keys import ensure_signing_key
from service_kit.mongo import connection as mongo
from service_kit.settings import Settings
from tests.conftest import DRIVERS
from tests.store.accounts.stage import QUICK, Api, Stage


@pytest.fixture(scope="session")
def databases(system, tmp_path_factory) -> dict[str, Settings]:
    """The settings for each driver; they share a database, and a folder with a key."""
    folder = tmp_path_factory.mktemp("keys") / "signing"
    ensure_signing_key(folder, "EdDSA")
    system.initialise("accounts")
    return {
        driver: Settings(
            mongo_uri=system.mongo.uri,
            amqp_url=system.rabbit.url,
            mongo_driver=driver,
            mongo_db="accounts",
            signing_keys=folder,
            kek_file=system.kek_file,
            jwt_algorithm="EdDSA",
            signup="invite",
        )
        for driver in DRIVERS
    }


@pytest.fixture
def driver(request: pytest.FixtureRequest) -> str:
    """The usual driver, or each in turn for the tests that say so."""
    name: str = getattr(request, "param", DRIVERS[0])
    return name


@pytest_asyncio.fixture
async def stage(driver, databases, patient, monkeypatch):
    monkeypatch.setattr(building, "Hasher", lambda: Hasher(QUICK))
    settings = databases[driver]
    store = mongo.connect(settings, "tests")
    made = Stage(settings, store, open_account_services(store, settings.mongo_db, lambda: made.time))

    def noted(client, database, clock) -> AccountServices:
        made.opened.append(services := open_account_services(client, database, clock))
        return services

    monkeypatch.setattr(building, "open_account_services", noted)

    def connect(wanted: Settings, name: str):
        if wanted.mongo_uri == settings.mongo_uri:
            return store
        made.stack.push_async_callback(mongo.close, other := real_connect(wanted, name))
        return other

    real_connect = mongo.connect
    monkeypatch.setattr(mongo, "connect", connect)
    try:
        async with made.stack:
            yield made
    finally:
        made.services.directory.hasher.close()
        await mongo.close(store)


@pytest_asyncio.fixture
async def api(stage) -> Api:
    return await stage.open()
