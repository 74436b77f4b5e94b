"""Changes of accounts: made, told in the log, and what was left over of them."""

import asyncio
from dataclasses import replace

import pytest

from command_api.accounts.hashing import Hasher
from events.errors import StoreUnavailable
from tests.store.accounts.stage import BOTH_DRIVERS, GOOD, ORIGIN, OTHER, QUICK, code, new_name


@BOTH_DRIVERS
async def test_changes_at_once_are_all_made_and_all_told(stage):
    name = await stage.account()
    directory = stage.services.directory
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
    broken = replace(stage.services.directory, account_log=Away())
    with pytest.raises(StoreUnavailable):
        await broken.set_roles(name, ("auditor",), ORIGIN)
    assert await stage.types(name) == ["account.created"]
    account = await stage.services.directory.store.find(name)
    (waiting,) = account.pending
    await asyncio.gather(*(stage.services.directory.told(account) for _ in range(3)))
    await stage.services.directory.account_log.append(waiting)
    assert await stage.types(name) == ["account.created", "account.roles_set"]
    assert (await stage.services.directory.get(name)).pending == ()
    assert "audit:read" in (await api.tokens(name))["scope"]


async def test_a_hash_of_other_parameters_is_renewed_at_login(stage, api):
    weak = Hasher(replace(QUICK, memory_cost=16))
    name = new_name()
    await replace(stage.services.directory, hasher=weak).create(name, GOOD, ("viewer",), ORIGIN)
    before = await stage.services.directory.get(name)
    await api.tokens(name)
    after = await stage.services.directory.get(name)
    assert before.password != after.password
    assert not stage.services.directory.hasher.is_outdated(after.password)
    tokens = await api.tokens(name)
    assert (await api.refresh(tokens["refresh_token"])).status_code == 200
    weak.close()


async def test_an_owner_s_new_password_wants_the_old_one_and_ends_every_login_before(stage, api):
    name = await stage.account()
    logins = [await api.tokens(name) for _ in range(3)]
    refused = await api.login(name, OTHER, new_password=OTHER)
    assert (refused.status_code, code(refused)) == (401, "invalid-credentials")
    fresh = await api.tokens(name, GOOD, new_password=OTHER)
    for before in logins:
        assert (await api.refresh(before["refresh_token"])).status_code == 401
    assert (await api.refresh(fresh["refresh_token"])).status_code == 200
    assert (await api.login(name, GOOD)).status_code == 401
    await api.tokens(name, OTHER)
    assert (await stage.types(name)).count("account.password_changed") == 1
    stage.later(days=4_000)
    await api.tokens(name, OTHER)  # nobody has to change one that is good
