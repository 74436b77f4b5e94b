"""The command API in a test's own process, what it keeps accounts in, and a clock of the test's own."""

import json
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import jwt
import pytest

from command_api.accounts.hashing import PARAMETERS
from command_api.accounts.services import AccountServices
from command_api.app import build_app
from events.accounts.event import Origin, account_stream
from events.log.event import GENESIS, hash_of
from events.log.stored import event_of
from service_kit.settings import Settings
from tests.conftest import DRIVERS

GOOD, OTHER = "violet tractor sings", "seven green lanterns"
ORIGIN = Origin("operator:test")
QUICK = replace(PARAMETERS, time_cost=1, memory_cost=8)
BOTH_DRIVERS = pytest.mark.parametrize("driver", DRIVERS, indirect=True)
_names = count()
_addresses = count(1)


def new_name() -> str:
    return f"ada{next(_names)}@example.com"


@dataclass
class Stage:
    """The command API in this process, and what it keeps accounts in."""

    settings: Settings
    store: Any
    services: AccountServices
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    opened: list[AccountServices] = field(default_factory=list)

    def clock(self) -> datetime:
        return self.time

    def later(self, **length: float) -> None:
        self.time += timedelta(**length)

    async def open(self, **changes) -> "Api":
        """Return a client of an API with these settings, at an address that nobody else has.

        It is not connected to the broker, which accounts do not need.
        """
        before = len(self.opened)
        app = build_app(self.settings.model_copy(update=changes), self.clock)
        for services in self.opened[before:]:
            self.stack.callback(services.directory.hasher.close)
        return Api(app, await self.client(app), self)

    async def client(self, app, address: str | None = None) -> httpx.AsyncClient:
        number = next(_addresses)
        address = address or f"10.0.{number // 250}.{number % 250 + 1}"
        transport = httpx.ASGITransport(app, client=(address, 1))
        return await self.stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://api")
        )

    async def account(self, name: str | None = None, *roles: str, **more) -> str:
        name = name or new_name()
        await self.services.directory.create(name, GOOD, roles or ("viewer",), ORIGIN, **more)
        return name

    async def events(self, stream: str) -> list[dict]:
        """Return a stream, whose chain is whole."""
        events = self.store[self.settings.mongo_db]["account_events"]
        found = await events.find({"person_id": stream}, sort=[("version", 1)]).to_list(None)
        previous = GENESIS
        for version, document in enumerate(found, 1):
            document["accepted_at"] = document["accepted_at"].replace(tzinfo=UTC)
            document["applied_at"] = document["applied_at"].replace(tzinfo=UTC)
            event = event_of(document)
            assert (event.version, event.prev, event.hash) == (version, previous, hash_of(event))
            previous = event.hash
        return found

    async def types(self, name: str) -> list[str]:
        return [event["type"] for event in await self.events(account_stream(name))]

    async def everything(self) -> str:
        """Return all that is kept, as text."""
        database = self.store[self.settings.mongo_db]
        names = ("accounts", "invitations", "refresh_families", "login_failures", "account_events")
        found = [await database[name].find(sort=[("_id", 1)]).to_list(None) for name in names]
        return json.dumps(found, default=repr)


@dataclass
class Api:
    app: object
    client: httpx.AsyncClient
    stage: Stage

    async def login(self, name: str, password: str = GOOD, **more) -> httpx.Response:
        body = {"name": name, "password": password, **more}
        return await self.client.post("/auth/login", json=body)

    async def tokens(self, name: str, password: str = GOOD, **more) -> dict:
        response = await self.login(name, password, **more)
        assert response.status_code == 200, response.text
        return response.json()

    async def refresh(self, token: str) -> httpx.Response:
        return await self.client.post("/auth/refresh", json={"refresh_token": token})


def claims(tokens: dict) -> dict:
    return jwt.decode(tokens["access_token"], options={"verify_signature": False})


def code(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()["type"].rpartition(":")[2]
