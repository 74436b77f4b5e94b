"""Accounts through the routes of the command API, on a real database, with a clock of the test's own."""

import asyncio
import json
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import jwt
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY
from pydantic import SecretStr

from command_api.accounts import building, gate
from command_api.accounts.building import Desk, open_desk
from command_api.accounts.hashing import PARAMETERS, Hasher
from command_api.app import build_app
from events.account_errors import AccountNotFound
from events.accounts import Origin, account_stream
from events.errors import StoreUnavailable
from events.facts import GENESIS, seal
from events.stored import event_of
from local.ports import free_ports
from local.signing_keys import ensure_signing_key
from service_kit import mongo
from service_kit.settings import Settings
from service_kit.signing import KeyRing
from service_kit.tokens import issue_token
from tests.conftest import DRIVERS
from tests.system import eventually

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
    desk: Desk
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    opened: list[Desk] = field(default_factory=list)

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
        for desk in self.opened[before:]:
            self.stack.callback(desk.directory.hasher.close)
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
        await self.desk.directory.create(name, GOOD, roles or ("viewer",), ORIGIN, **more)
        return name

    async def events(self, stream: str) -> list[dict]:
        """Return a stream, whose chain is whole."""
        events = self.store[self.settings.mongo_db]["events"]
        found = await events.find({"person_id": stream}, sort=[("version", 1)]).to_list(None)
        previous = GENESIS
        for version, document in enumerate(found, 1):
            document["accepted_at"] = document["accepted_at"].replace(tzinfo=UTC)
            document["applied_at"] = document["applied_at"].replace(tzinfo=UTC)
            event = event_of(document)
            assert (event.version, event.prev, event.hash) == (version, previous, seal(event))
            previous = event.hash
        return found

    async def types(self, name: str) -> list[str]:
        return [event["type"] for event in await self.events(account_stream(name))]

    async def everything(self) -> str:
        """Return all that is kept, as text."""
        database = self.store[self.settings.mongo_db]
        names = ("accounts", "invitations", "refresh_families", "login_failures", "events")
        return json.dumps([await database[name].find().to_list(None) for name in names], default=repr)


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
async def stage(driver, databases, monkeypatch):
    monkeypatch.setattr(building, "Hasher", lambda: Hasher(QUICK))
    settings = databases[driver]
    store = mongo.connect(settings, "tests")
    made = Stage(settings, store, open_desk(store, settings.mongo_db, lambda: made.time))

    def noted(client, database, clock) -> Desk:
        made.opened.append(desk := open_desk(client, database, clock))
        return desk

    monkeypatch.setattr(building, "open_desk", noted)

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
        made.desk.directory.hasher.close()
        await mongo.close(store)


@pytest_asyncio.fixture
async def api(stage) -> Api:
    return await stage.open()


def claims(tokens: dict) -> dict:
    return jwt.decode(tokens["access_token"], options={"verify_signature": False})


def code(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    return response.json()["type"].rpartition(":")[2]


@BOTH_DRIVERS
async def test_a_login_gives_tokens_for_ten_minutes_that_nobody_keeps(stage, api):
    name = await stage.account(None, "editor", "auditor")
    response = await api.login(name.upper())
    assert response.headers["cache-control"] == "no-store"
    tokens = response.json()
    assert (tokens["token_type"], tokens["expires_in"]) == ("Bearer", 600)
    found = claims(tokens)
    assert (found["sub"], found["exp"] - found["iat"]) == (name, 600)
    assert found["scope"] == tokens["scope"]
    assert tokens["scope"] == "people:read people:write people:delete audit:read events:read"
    keys = await api.client.get("/.well-known/jwks.json")
    assert keys.headers["cache-control"] == "public, max-age=60"
    (key,) = jwt.PyJWKSet.from_dict(keys.json()).keys
    assert jwt.get_unverified_header(tokens["access_token"])["kid"] == key.key_id
    assert "d" not in keys.json()["keys"][0]
    assert await stage.types(name) == ["account.created", "account.logged_in"]
    kept = await stage.everything()
    for secret in (GOOD, tokens["access_token"], *tokens["refresh_token"].split(".")[1:]):
        assert secret not in kept


async def test_who_is_unknown_wrong_or_disabled_gets_the_same_answer_for_the_same_work(stage, api):
    name, disabled = await stage.account(), await stage.account()
    await stage.desk.directory.set_disabled(disabled, ORIGIN, disabled=True)
    answers, checks = [], []
    for who, password in ((name, OTHER), (new_name(), GOOD), (disabled, GOOD)):
        before = REGISTRY.get_sample_value("rollcall_password_checks_total")
        response = await api.login(who, password)
        checks.append(REGISTRY.get_sample_value("rollcall_password_checks_total") - before)
        answers.append((response.status_code, response.json(), response.headers["www-authenticate"]))
    assert checks == [1, 1, 1]
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0][0], answers[0][1]["type"]) == (401, "urn:rollcall:problem:invalid-credentials")
    failures = [(await stage.events(account_stream(who)))[-1]["data"]["reason"] for who in (name, disabled)]
    assert failures == ["wrong-password", "disabled"]


async def test_names_that_are_no_account_s_are_not_written_down(stage, api):
    password = "my-password-in-the-wrong-field"
    assert code(await api.login(password)) == "invalid-credentials"
    address = api.client._transport.client[0]
    (event,) = await stage.events(f"address:{address}")
    assert (event["actor"], event["source_address"]) == ("anonymous", address)
    assert event["data"] == {"reason": "no-such-account", "failures": "1", "left_out": "0"}
    assert password not in await stage.everything()


async def test_of_a_flood_of_made_up_names_most_is_only_counted(stage, monkeypatch):
    monkeypatch.setattr(gate, "_AT_ONCE", 3)
    monkeypatch.setattr(gate, "_PER_SECOND", 0.0)
    api = await stage.open()
    for number in range(1, 6):
        client = await stage.client(api.app, f"2001:db8:0:{number}::1")
        assert (await Api(api.app, client, stage).login(new_name())).status_code == 401
    logged = [len(await stage.events(f"address:2001:db8:0:{number}::/64")) for number in range(1, 6)]
    assert logged == [1, 1, 1, 0, 0]
    counted = await stage.store[stage.settings.mongo_db]["login_failures"].find_one({"_id": "left-out"})
    assert counted["failures"] >= 2


@BOTH_DRIVERS
async def test_failures_cost_more_and_more_time_and_a_success_ends_that(stage, api):
    name, stranger = await stage.account(), new_name()
    elsewhere = Api(api.app, await stage.client(api.app), stage)
    for who, where in ((name, api), (stranger, elsewhere)):
        assert [(await where.login(who, OTHER)).status_code for _ in range(5)] == [401] * 5
        locked = await where.login(who)
        assert (locked.status_code, code(locked)) == (429, "too-many-attempts")
        assert locked.headers["retry-after"] == "1"
    # From another address too; the delay is the account's.
    assert (await elsewhere.login(name)).status_code == 429
    stage.later(seconds=1)
    assert (await api.login(name, OTHER)).status_code == 401
    stage.later(seconds=1.5)
    assert (await api.login(name)).headers["retry-after"] == "1"
    stage.later(seconds=0.5)
    await api.tokens(name)
    assert (await api.login(name, OTHER)).status_code == 401
    types = Counter(await stage.types(name))
    assert types == {
        "account.created": 1,
        "account.login_failed": 7,
        "account.locked": 1,
        "account.logged_in": 1,
    }


async def test_many_at_once_are_no_faster_than_one_after_the_other(stage, api):
    name = await stage.account()
    answers = await asyncio.gather(*(api.login(name, OTHER) for _ in range(12)))
    looked_at = [answer for answer in answers if answer.status_code == 401]
    assert len(looked_at) <= 5
    assert all(answer.status_code in (401, 429, 503) for answer in answers)


async def test_an_address_that_fails_with_many_names_waits_and_an_own_account_does_not_help(
    stage, api, monkeypatch
):
    monkeypatch.setattr(gate, "FREE_PER_ADDRESS", 6)
    own = await stage.account()
    for attempt in range(6):
        assert (await api.login(new_name(), OTHER)).status_code == 401
        if attempt < 5:
            await api.tokens(own)
    address = api.client._transport.client[0]
    assert (await stage.events(f"address:{address}"))[-1]["type"] == "account.locked"
    assert (await api.login(own)).status_code == 429
    elsewhere = Api(api.app, await stage.client(api.app), stage)
    await elsewhere.tokens(own)


async def test_a_one_time_password_must_be_changed_at_the_first_login(stage, api):
    name = await stage.account(None, must_change=True)
    refused = await api.login(name)
    assert (refused.status_code, code(refused)) == (403, "password-change-required")
    weak = await api.login(name, new_password="passwordpassword")
    assert (weak.status_code, weak.json()["errors"][0]["field"]) == (422, "new_password")
    # Whoever comes first: it is good for once.
    answers = await asyncio.gather(*(api.login(name, new_password=f"{OTHER} {n}") for n in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 401, 401]
    (first,) = [n for n, answer in enumerate(answers) if answer.status_code == 200]
    assert code(await api.login(name)) == "invalid-credentials"
    await api.tokens(name, f"{OTHER} {first}")
    counts = Counter(await stage.types(name))
    assert (counts["account.password_changed"], counts["account.logged_in"]) == (1, 2)
    assert counts["account.login_failed"] == 3


@BOTH_DRIVERS
async def test_a_refresh_token_is_good_once_and_a_lost_answer_can_be_had_again(stage, api):
    name = await stage.account()
    first = (await api.tokens(name))["refresh_token"]
    answers = await asyncio.gather(*(api.refresh(first) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {200}
    (second,) = {answer.json()["refresh_token"] for answer in answers}
    assert answers[0].headers["cache-control"] == "no-store"
    stage.later(seconds=10)
    assert (await api.refresh(first)).json()["refresh_token"] == second
    third = (await api.refresh(second)).json()["refresh_token"]
    assert len({first, second, third}) == 3
    # The first one again: somebody has stolen it. Nothing of that login is good any more.
    stolen = await api.refresh(first)
    assert (stolen.status_code, code(stolen)) == (401, "unauthenticated")
    for token in (third, second):
        assert (await api.refresh(token)).status_code == 401
    assert (await stage.types(name))[-1] == "account.refresh_reused"
    assert (await stage.types(name)).count("account.refresh_reused") == 1


async def test_a_login_ends_after_a_week_without_use(stage, api):
    tokens = await api.tokens(await stage.account())
    stage.later(days=6)
    tokens = (await api.refresh(tokens["refresh_token"])).json()
    stage.later(days=7)
    assert (await api.refresh(tokens["refresh_token"])).status_code == 401


async def test_logout_ends_one_login_and_says_nothing_of_tokens_that_are_none(stage, api):
    name = await stage.account()
    gone, kept = await api.tokens(name), await api.tokens(name)
    family = gone["refresh_token"].partition(".")[0]
    for token in (gone["refresh_token"], gone["refresh_token"], "x", f"{family}.{'0' * 64}"):
        response = await api.client.post("/auth/logout", json={"refresh_token": token})
        assert (response.status_code, response.content) == (204, b"")
    assert (await api.refresh(gone["refresh_token"])).status_code == 401
    assert (await api.refresh(kept["refresh_token"])).status_code == 200
    assert (await stage.types(name)).count("account.logged_out") == 1


async def test_changes_of_an_account_take_effect_at_the_next_refresh(stage, api):
    name = await stage.account()
    directory = stage.desk.directory
    tokens = await api.tokens(name)
    await directory.set_roles(name, ("admin",), ORIGIN)
    tokens = (await api.refresh(tokens["refresh_token"])).json()
    assert "ops" in tokens["scope"].split()
    await directory.set_disabled(name, ORIGIN, disabled=True)
    assert (await api.refresh(tokens["refresh_token"])).status_code == 401
    await directory.set_disabled(name, ORIGIN, disabled=False)
    assert (await api.refresh(tokens["refresh_token"])).status_code == 401
    tokens = await api.tokens(name)
    await directory.reset_password(name, OTHER, ORIGIN, must_change=False)
    assert (await api.refresh(tokens["refresh_token"])).status_code == 401
    events = await stage.events(account_stream(name))
    changes = [event for event in events if event["actor"] == ORIGIN.actor]
    assert [event["type"].partition(".")[2] for event in changes] == [
        "created",
        "roles_set",
        "disabled",
        "enabled",
        "password_reset",
    ]
    assert changes[1]["data"] == {"roles": "admin", "before": "viewer"}
    with pytest.raises(AccountNotFound):
        await directory.set_roles("nobody", ("admin",), ORIGIN)


@BOTH_DRIVERS
async def test_changes_at_once_are_all_made_and_all_told(stage):
    name = await stage.account()
    directory = stage.desk.directory
    await asyncio.gather(
        directory.set_roles(name, ("editor",), ORIGIN),
        directory.set_disabled(name, ORIGIN, disabled=True),
        directory.reset_password(name, OTHER, ORIGIN, must_change=True),
    )
    account = await directory.get(name)
    assert (account.roles, account.disabled, account.must_change) == (("editor",), True, True)
    assert (account.epoch, account.revision) == (3, 4)  # no change was lost in another
    assert sorted(await stage.types(name)) == [
        "account.created",
        "account.disabled",
        "account.password_reset",
        "account.roles_set",
    ]


async def test_an_event_that_could_not_be_logged_is_logged_later_and_once(stage, api):
    class Away:
        async def append(self, _fact):
            raise StoreUnavailable("MongoDB: away")

    name = await stage.account()
    broken = replace(stage.desk.directory, journal=Away())
    with pytest.raises(StoreUnavailable):
        await broken.set_roles(name, ("auditor",), ORIGIN)
    assert await stage.types(name) == ["account.created"]
    account = await stage.desk.directory.store.find(name)
    (waiting,) = account.pending
    await asyncio.gather(*(stage.desk.directory.told(account) for _ in range(3)))
    await stage.desk.directory.journal.append(waiting)
    assert await stage.types(name) == ["account.created", "account.roles_set"]
    assert (await stage.desk.directory.get(name)).pending == ()
    assert "audit:read" in (await api.tokens(name))["scope"]


async def test_a_hash_of_other_parameters_is_renewed_at_login(stage, api):
    weak = Hasher(replace(QUICK, memory_cost=16))
    name = new_name()
    await replace(stage.desk.directory, hasher=weak).create(name, GOOD, ("viewer",), ORIGIN)
    before = await stage.desk.directory.get(name)
    await api.tokens(name)
    after = await stage.desk.directory.get(name)
    assert before.password != after.password
    assert not stage.desk.directory.hasher.is_outdated(after.password)
    tokens = await api.tokens(name)
    assert (await api.refresh(tokens["refresh_token"])).status_code == 200
    weak.close()


def body(name: str, password: str = GOOD, **more) -> dict:
    return {"name": name, "password": password, **more}


@BOTH_DRIVERS
async def test_signing_up_is_closed_for_the_invited_or_open(stage, api):
    invitation = await stage.desk.directory.invite(("editor",), timedelta(days=1), ORIGIN)
    taken, name = await stage.account(), new_name()
    closed = await stage.open(signup="closed")
    refused = await closed.client.post("/auth/signup", json=body(name, invitation=invitation))
    assert (refused.status_code, code(refused)) == (403, "signup-closed")
    tries = [
        (body(name), 403),
        (body(name, invitation="x.y"), 403),
        (body(name, invitation=f"{invitation}x"), 403),
        (body(name, "passwordpassword", invitation=invitation), 422),
        (body(name, "short", invitation=invitation), 422),
        (body("a b", invitation=invitation), 422),
        (body(taken, invitation=invitation), 409),
        (body(name.upper(), invitation=invitation), 201),
        (body(new_name(), invitation=invitation), 403),
    ]
    for content, status in tries:
        response = await api.client.post("/auth/signup", json=content)
        assert response.status_code == status, (content, response.text)
        assert GOOD not in response.text
    assert "people:write" in (await api.tokens(name))["scope"]
    over = await stage.desk.directory.invite(("admin",), timedelta(days=1), ORIGIN)
    stage.later(days=1)
    response = await api.client.post("/auth/signup", json=body(new_name(), invitation=over))
    assert code(response) == "invalid-invitation"
    (event,) = await stage.events(f"invitation:{invitation.partition('.')[0]}")
    assert (event["type"], event["data"]["roles"]) == ("account.invited", "editor")
    created = (await stage.events(account_stream(name)))[0]
    assert (created["actor"], created["data"]["invitation"]) == (name, invitation.partition(".")[0])
    assert invitation.partition(".")[2] not in await stage.everything()

    opened = await stage.open(signup="open", signup_role="auditor")
    made = await opened.client.post("/auth/signup", json=body(other := new_name()))
    assert (made.status_code, made.json()) == (201, {"name": other, "roles": ["auditor"]})


async def test_bodies_that_are_none_are_problems_that_repeat_nothing(api):
    for path in ("/auth/signup", "/auth/login", "/auth/refresh", "/auth/logout"):
        for content, status in (
            (b"{", 400),
            (b'{"password": "hunter2"}', 422),
            (b'{"name": {"$ne": null}, "password": ["hunter2"], "refresh_token": {"$gt": ""}}', 422),
            (b'"' + b"x" * 70_000 + b'"', 413),
        ):
            response = await api.client.post(
                path, content=content, headers={"Content-Type": "application/json"}
            )
            assert response.status_code == status, (path, content[:40])
            assert "hunter2" not in response.text
        response = await api.client.post(path, content=b"name=x", headers={"Content-Type": "text/plain"})
        assert response.status_code == 415


async def test_without_own_keys_or_without_mongodb_no_accounts_are_kept(stage, databases, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("s" * 64)
    elsewhere = {"signing_keys": None, "jwt_key_file": secret, "jwt_algorithm": "HS256"}
    for changes, keys in ((elsewhere, 501), ({"mongo_uri": None}, 200)):
        api = await stage.open(**changes)
        response = await api.login("ada")
        assert (response.status_code, code(response)) == (501, "no-accounts")
        assert (await api.client.get("/.well-known/jwks.json")).status_code == keys


async def test_without_mongodb_logins_fail_clearly_and_commands_go_on(stage, monkeypatch):
    monkeypatch.setattr(mongo, "SELECTION_MS", 200)
    monkeypatch.setattr(mongo, "OPERATION_MS", 200)
    (nobody,) = free_ports(1)
    api = await stage.open(mongo_uri=SecretStr(f"mongodb://127.0.0.1:{nobody}/"))
    response = await api.login("ada")
    assert (response.status_code, code(response)) == (503, "store-unavailable")
    assert response.headers["retry-after"]
    signer = KeyRing(stage.settings.signing_keys, "EdDSA").signer
    token = issue_token(
        key=signer.private,
        kid=signer.kid,
        algorithm="EdDSA",
        issuer="rollcall",
        audience="rollcall",
        subject="ada",
        scopes=["people:delete"],
        ttl_seconds=60,
    )
    headers = {"Authorization": f"Bearer {token}"}

    async def accepted() -> bool:
        gone = await api.client.delete("/people/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c", headers=headers)
        return gone.status_code == 202

    async with api.app.router.lifespan_context(api.app):
        await eventually(accepted)
        assert (await api.client.get("/readyz")).status_code == 200
