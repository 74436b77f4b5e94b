"""Going on after a login, and its end."""

import asyncio

import pytest

from events.accounts.errors import AccountNotFound
from events.accounts.event import account_stream
from tests.store.accounts.stage import BOTH_DRIVERS, ORIGIN, OTHER, code


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
    assert (await api.refresh(first)).json()["refresh_token"] == third
    stage.later(seconds=1)
    # The first one again: somebody has stolen it. Nothing of that login is good any more.
    stolen = await api.refresh(first)
    assert (stolen.status_code, code(stolen)) == (401, "unauthenticated")
    for token in (third, second):
        assert (await api.refresh(token)).status_code == 401
    assert (await stage.types(name))[-1] == "account.refresh_reused"
    assert (await stage.types(name)).count("account.refresh_reused") == 1


@BOTH_DRIVERS
async def test_tabs_that_refresh_at_once_are_not_logged_out_within_the_grace(stage, api):
    name = await stage.account()
    first = (await api.tokens(name))["refresh_token"]
    tabs = await asyncio.gather(*(api.refresh(first) for _ in range(3)))
    (second,) = {answer.json()["refresh_token"] for answer in tabs}
    stage.later(seconds=3)
    third = (await api.refresh(second)).json()["refresh_token"]
    stage.later(seconds=6)
    fourth = (await api.refresh(third)).json()["refresh_token"]
    late = await asyncio.gather(*(api.refresh(token) for token in (first, second, third)))
    assert [answer.status_code for answer in late] == [200, 200, 200]
    assert {answer.json()["refresh_token"] for answer in late} == {fourth}
    stage.later(seconds=30)
    assert (await api.refresh(fourth)).status_code == 200
    assert "account.refresh_reused" not in await stage.types(name)
    # Whoever logs out with a token of a moment ago ends the login, too.
    gone = await api.client.post("/auth/logout", json={"refresh_token": fourth})
    assert gone.status_code == 204
    assert (await stage.types(name))[-1] == "account.logged_out"


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
    directory = stage.services.directory
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
