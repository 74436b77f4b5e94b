"""What an account's roles give at a login, also those that are not known any more."""

from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import AsyncMock, MagicMock, Mock

import jwt
import pytest
from structlog.testing import capture_logs

from command_api.accounts.logins import Issuer, Logins
from command_api.accounts.services import keep_accounts
from command_api.accounts.store import Account
from events.accounts.event import Origin
from operations.accounts.signing_keys import ensure_signing_key
from service_kit.auth.roles import BUILT_IN, roles_with
from service_kit.auth.signing import KeyRing
from service_kit.settings import Settings

NOW = datetime(2026, 11, 29, tzinfo=UTC)
CLERKS = roles_with({"clerk": ("people:read", "payroll:read")})


def logins_of(tmp_path, roles, *given: str) -> Logins:
    """Return logins with one account, which any password opens."""
    account = Account("ada@example.com", "hash", given, False, False, 0, 0, NOW, ())
    directory = SimpleNamespace(
        find=AsyncMock(return_value=account),
        told=AsyncMock(return_value=account),
        hasher=SimpleNamespace(verify=AsyncMock(return_value=True), is_outdated=lambda _: False),
        store=AsyncMock(),
        account_log=AsyncMock(),
        fact=Mock(),
        now=NOW,
    )
    ensure_signing_key(tmp_path / "keys", "EdDSA")
    issuer = Issuer(KeyRing(tmp_path / "keys", "EdDSA"), "rollcall", "rollcall")
    return Logins(directory, AsyncMock(), AsyncMock(), issuer, roles)


async def scope_and_log(logins: Logins) -> tuple[str, list]:
    with capture_logs() as said:
        tokens = await logins.login("ada@example.com", "x", None, Origin("anonymous"))
    claims = jwt.decode(tokens.access_token, options={"verify_signature": False})
    assert claims["scope"] == tokens.scope
    return tokens.scope, said


async def test_a_role_of_the_file_gives_its_scopes(tmp_path):
    logins = logins_of(tmp_path, CLERKS, "clerk", "viewer")
    assert await scope_and_log(logins) == ("people:read events:read payroll:read", [])


async def test_a_role_that_is_no_more_gives_nothing_and_is_told_once_without_a_name(tmp_path):
    scope, said = await scope_and_log(logins_of(tmp_path, BUILT_IN, "clerk", "viewer"))
    assert scope == "people:read events:read"
    assert said == [
        {
            "event": "an account has roles that are not known here",
            "roles": ("clerk",),
            "log_level": "warning",
        }
    ]


@pytest.mark.parametrize(("role", "roles"), [("admin", BUILT_IN), ("clerk", BUILT_IN), ("", CLERKS)])
def test_who_signs_up_has_a_role_that_there_is_and_never_all(role, roles):
    settings = Settings(amqp_url="amqp://a:b@localhost/", signup_role=role)
    known = [one for one in roles.by_name if one != "admin"]
    with pytest.raises(SystemExit) as ended:
        keep_accounts(settings, Mock(), Mock(), lambda: NOW, roles)
    assert str(ended.value) == f"cannot start: ROLLCALL_SIGNUP_ROLE: choose from {' '.join(known)}"


def test_who_signs_up_may_have_a_role_of_the_file():
    settings = Settings(amqp_url="amqp://a:b@localhost/", signup_role="clerk")
    accounts = keep_accounts(settings, MagicMock(), Mock(), lambda: NOW, CLERKS)
    assert accounts is not None
    accounts.directory.hasher.close()
    assert accounts.signup_role == "clerk"
