"""Signing up, and what the routes say that cannot be done."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from pydantic import SecretStr

from devstack.servers.ports import free_ports
from events.accounts.errors import AccountExists, InvalidInvitation
from events.accounts.event import account_stream
from events.errors import StoreUnavailable
from service_kit.auth.signing import KeyRing
from service_kit.auth.tokens import issue_token
from service_kit.mongo import connection as mongo
from service_kit.mongo.transport_keys import TransportKeys
from tests.store.accounts.stage import BOTH_DRIVERS, GOOD, ORIGIN, OTHER, code, new_name
from tests.system import eventually


def body(name: str, password: str = GOOD, **more) -> dict:
    return {"name": name, "password": password, **more}


@BOTH_DRIVERS
async def test_signing_up_is_closed_for_the_invited_or_open(stage, api):
    invitation = await stage.services.directory.invite(("editor",), timedelta(days=1), ORIGIN)
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
        (body("Anonymous", invitation=invitation), 422),
        (body(taken, invitation=invitation), 409),
        (body(name.upper(), invitation=invitation), 201),
        (body(new_name(), invitation=invitation), 403),
    ]
    for content, status in tries:
        response = await api.client.post("/auth/signup", json=content)
        assert response.status_code == status, (content, response.text)
        assert GOOD not in response.text
    assert "people:write" in (await api.tokens(name))["scope"]
    over = await stage.services.directory.invite(("admin",), timedelta(days=1), ORIGIN)
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


def cut(store, method: str, *, after: bool):
    """Return a store whose process is cut off once, around one of its methods."""

    class Cut:
        def __getattr__(self, name):
            return getattr(store, name)

    async def once(*arguments):
        if after:
            await getattr(store, method)(*arguments)
        raise StoreUnavailable("cut")

    broken = Cut()
    setattr(broken, method, once)
    return broken


@pytest.mark.parametrize(
    ("method", "after"),
    [("insert", False), ("insert", True), ("use_invitation", False), ("use_invitation", True)],
)
async def test_an_invitation_is_used_by_an_account_that_came_to_be_or_by_none(stage, api, method, after):
    directory = stage.services.directory
    invitation = await directory.invite(("editor",), timedelta(days=1), ORIGIN)
    first, other, origin = new_name(), new_name(), ORIGIN
    broken = replace(directory, store=cut(directory.store, method, after=after))
    with pytest.raises(StoreUnavailable):
        await broken.create_invited(invitation, first, GOOD, origin)
    came_to_be = (method, after) == ("use_invitation", True)
    assert (await api.login(first)).status_code == (200 if came_to_be else 401)
    assert (first in [account.name for account in await directory.all()]) is came_to_be
    if came_to_be:
        with pytest.raises(InvalidInvitation):
            await directory.create_invited(invitation, other, GOOD, origin)
        with pytest.raises(AccountExists):
            await directory.create_invited(invitation, first, OTHER, origin)
        assert (await stage.types(first))[0] == "account.created"
        return
    # Nobody but who has the invitation may still make an account of that name.
    if (method, after) != ("insert", False):
        with pytest.raises(AccountExists):
            await directory.create(first, OTHER, ("viewer",), origin)
    again = await directory.create_invited(invitation, first, OTHER, origin)
    assert (again.name, again.awaits, again.pending) == (first, None, ())
    await api.tokens(first, OTHER)
    assert (await api.login(first, GOOD)).status_code == 401
    assert (await stage.types(first)).count("account.created") == 1
    with pytest.raises(InvalidInvitation):
        await directory.create_invited(invitation, other, GOOD, origin)


async def test_of_one_invitation_one_account_comes_and_the_names_of_the_others_stay_free(stage, api):
    directory = stage.services.directory
    invitation = await directory.invite(("editor",), timedelta(days=1), ORIGIN)
    names = [new_name() for _ in range(5)]
    results = await asyncio.gather(
        *(directory.create_invited(invitation, name, GOOD, ORIGIN) for name in names), return_exceptions=True
    )
    (made,) = [name for name, one in zip(names, results, strict=True) if not isinstance(one, Exception)]
    assert {type(one) for one in results if isinstance(one, Exception)} == {InvalidInvitation}
    for name in names:
        assert (await api.login(name)).status_code == (200 if name == made else 401)
    for name in set(names) - {made}:
        await directory.create(name, OTHER, ("viewer",), ORIGIN)
        await api.tokens(name, OTHER)


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


async def test_without_mongodb_logins_fail_clearly_and_commands_go_on(stage, keks, tmp_path, monkeypatch):
    kept = {"mongo_db": "rollcall", "transport_cache": tmp_path / "transport-keys"}
    transport = TransportKeys(stage.store, "rollcall", keks, stage.clock, kept["transport_cache"], makes=True)
    await transport.read()
    monkeypatch.setattr(mongo, "SELECTION_MS", 200)
    monkeypatch.setattr(mongo, "OPERATION_MS", 200)
    (nobody,) = free_ports(1)
    api = await stage.open(mongo_uri=SecretStr(f"mongodb://127.0.0.1:{nobody}/"), **kept)
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

    async def ready() -> bool:
        return (await api.client.get("/readyz")).status_code == 200

    async with api.app.router.lifespan_context(api.app):
        await eventually(accepted)
        await eventually(ready)
