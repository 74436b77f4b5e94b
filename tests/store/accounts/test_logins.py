"""Logging in: what it gives, what fails alike, and what failures cost."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta

import jwt
from prometheus_client import REGISTRY

from command_api.accounts import login_throttle as throttle
from events.accounts.event import account_stream
from service_kit.mongo import connection as mongo
from tests.store.accounts.stage import BOTH_DRIVERS, GOOD, ORIGIN, OTHER, Api, claims, code, new_name


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
    await stage.services.directory.set_disabled(disabled, ORIGIN, disabled=True)
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
    assert event["actor"] == "anonymous"
    assert event["data"] == {
        "reason": "no-such-account",
        "failures": "1",
        "left_out": "0",
        "source_address": address,
        "user_agent": api.client.headers["user-agent"],
    }
    assert password not in await stage.everything()


async def test_of_a_flood_of_made_up_names_most_is_only_counted(stage, monkeypatch):
    monkeypatch.setattr(throttle, "_AT_ONCE", 3)
    monkeypatch.setattr(throttle, "_PER_SECOND", 0.0)
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
    monkeypatch.setattr(throttle, "FREE_PER_ADDRESS", 6)
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


async def test_a_one_time_password_ends_after_a_day_and_is_on_record(stage, api):
    name = await stage.account(None, must_change=True)
    stage.later(hours=23, minutes=59)
    assert code(await api.login(name)) == "password-change-required"
    stage.later(minutes=2)
    late = await api.login(name, new_password=OTHER)
    assert (late.status_code, code(late)) == (401, "invalid-credentials")
    assert (await stage.events(account_stream(name)))[-1]["data"]["reason"] == "password-ended"
    await stage.services.directory.reset_password(name, GOOD, ORIGIN, must_change=True)
    await api.tokens(name, new_password=OTHER)
    stage.later(days=2)
    await api.tokens(name, OTHER)
    made, *_, reset = [e for e in await stage.events(account_stream(name)) if "must_change" in e["data"]]
    for event, kind in ((made, "account.created"), (reset, "account.password_reset")):
        assert (event["type"], event["data"]["must_change"]) == (kind, "true")
        ends_at = datetime.fromisoformat(event["data"]["password_ends_at"])
        assert timedelta(hours=23) < ends_at - event["applied_at"] <= timedelta(hours=24)


async def test_a_one_time_password_of_before_whose_age_nobody_knows_is_over(stage, api):
    name = await stage.account(None, must_change=True)
    # Written as the API reads: a majority has it.
    accounts = mongo.writing(stage.store, stage.settings.mongo_db)["accounts"]
    await accounts.update_one({"_id": name}, {"$unset": {"password_ends_at": ""}})
    assert code(await api.login(name, new_password=OTHER)) == "invalid-credentials"


async def elsewhere(stage, api) -> Api:
    """Return the same API for a client at another address."""
    return Api(api.app, await stage.client(api.app), stage)


async def test_who_fails_elsewhere_keeps_no_owner_waiting(stage, api, monkeypatch):
    name = await stage.account()
    home = await elsewhere(stage, api)
    device = (await home.tokens(name))["device"]
    for _ in range(5):
        assert (await api.login(name, OTHER)).status_code == 401
    assert (await api.login(name)).status_code == 429
    await home.tokens(name)
    # From so many addresses that the name itself must wait, a device that it knows need not.
    monkeypatch.setattr(throttle, "FREE_PER_NAME", 8)
    for _ in range(4):
        await (await elsewhere(stage, api)).login(name, OTHER)
    assert (await home.login(name)).status_code == 429
    assert (await home.tokens(name, device=device))["device"] == device
    assert [event["data"]["locked"] for event in await locks(stage, name)] == [
        "account-at-address",
        "account",
    ]
    # Nor where the address has failed too often, but by its own failures.
    monkeypatch.setattr(throttle, "FREE_PER_ADDRESS", 1)
    assert (await home.login(new_name(), OTHER)).status_code == 401
    assert (await home.login(name)).status_code == 429
    for _ in range(5):
        assert (await home.login(name, OTHER, device=device)).status_code == 401
    assert (await home.login(name, device=device)).status_code == 429
    # What is made up, another account's, or of before the password was changed is no device.
    other = (await (await elsewhere(stage, api)).tokens(await stage.account()))["device"]
    for unknown in ("made-up", other):
        assert (await home.login(name, device=unknown)).status_code == 429
    stage.later(hours=2)
    await home.tokens(name, new_password=OTHER, device=device)
    assert (await home.tokens(name, OTHER, device=device))["device"] != device


async def locks(stage, name) -> list[dict]:
    found = await stage.events(account_stream(name))
    return [event for event in found if event["type"] == "account.locked"]


async def test_a_name_that_strangers_try_now_and_then_never_waits_for_long(stage, api, monkeypatch):
    monkeypatch.setattr(throttle, "FREE_PER_NAME", 3)
    name = await stage.account()
    for _ in range(9):
        await (await elsewhere(stage, api)).login(name, OTHER)
        stage.later(seconds=50)
    refused = await (await elsewhere(stage, api)).login(name)
    assert refused.status_code == 200 or int(refused.headers["retry-after"]) < 120
    stage.later(seconds=120)
    await (await elsewhere(stage, api)).tokens(name)


async def test_logins_that_succeed_count_for_their_account_too(stage, api, monkeypatch):
    monkeypatch.setattr(throttle, "FREE_LOGINS", 3)
    name = await stage.account()
    device = None
    for _ in range(3):
        device = (await (await elsewhere(stage, api)).tokens(name))["device"]
    refused = await api.login(name, device=device)
    assert (refused.status_code, code(refused), refused.headers["retry-after"]) == (
        429,
        "too-many-attempts",
        "1",
    )
    await api.tokens(await stage.account())
    stage.later(seconds=1)
    await api.tokens(name, device=device)


async def test_an_address_that_must_wait_has_nothing_written(stage, api, monkeypatch):
    monkeypatch.setattr(throttle, "FREE_PER_ADDRESS", 2)
    name = await stage.account()
    for _ in range(2):
        await api.login(new_name(), OTHER)
    before = await stage.everything()
    answers = [await api.login(who, password) for who in (name, new_name()) for password in (GOOD, OTHER)]
    assert {answer.status_code for answer in answers} == {429}
    assert await stage.everything() == before


async def test_an_account_knows_so_many_devices_and_no_more(stage, api):
    name = await stage.account()
    first = (await api.tokens(name))["device"]
    for number in range(20):
        stage.later(minutes=1)
        device = (await api.tokens(name))["device"]
        known = (await stage.services.directory.get(name)).devices
        assert len(known) == min(number + 2, 20)
    assert (await api.tokens(name, device=device))["device"] == device
    assert (await api.tokens(name, device=first))["device"] != first
    kept = await stage.everything()
    assert first not in kept and device not in kept


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
