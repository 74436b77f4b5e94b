"""Both APIs as `./run up` sets them: their own keys sign tokens, and they keep accounts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from operations.accounts.signing_keys import add_signing_key
from tests.system import Service, System
from tests.transport import share_keys

PASSWORD = "violet tractor sings"


@dataclass
class Kept:
    """Both APIs as `./run up` sets them, with accounts of their own."""

    services: dict[str, Service]
    keys: Path
    environment: dict[str, str]

    def url(self, module: str) -> str:
        return self.services[module].url

    def login(self, name: str, password: str = PASSWORD, **more) -> httpx.Response:
        body = {"name": name, "password": password, **more}
        return httpx.post(f"{self.url('command_api')}/auth/login", json=body, timeout=20)

    def bearer(self, name: str) -> dict[str, str]:
        response = self.login(name)
        assert response.status_code == 200, response.text
        return {"Authorization": f"Bearer {response.json()['access_token']}"}


@pytest_asyncio.fixture(scope="session")
async def kept(
    system: System, services: dict[str, Service], tmp_path_factory: pytest.TempPathFactory
) -> Kept:
    """Both APIs, ready; their database is no other test's. The workers of the others apply what is sent."""
    folder = tmp_path_factory.mktemp("served")
    keys, roles = folder / "signing", folder / "roles.json"
    roles.write_text('{"clerk": ["payroll:read", "people:read"]}')
    add_signing_key(keys, datetime.now(UTC) - timedelta(hours=1), "EdDSA")
    system.initialise("kept")
    common = {
        "ROLLCALL_JWT_KEY_FILE": "",
        "ROLLCALL_JWT_ALGORITHM": "EdDSA",
        "ROLLCALL_JWT_TYP": "at+jwt",
        "ROLLCALL_MONGO_DB": "kept",
        "ROLLCALL_SIGNUP": "invite",
        "ROLLCALL_ROLES": str(roles),
    }
    signing = {"ROLLCALL_SIGNING_KEYS": str(keys)}
    commands = system.service("command_api", **common, **signing)
    jwks = f"{commands.url}/.well-known/jwks.json"
    queries = system.service("query_api", **common, ROLLCALL_JWKS_URL=jwks)
    services = {"command_api": commands, "query_api": queries}
    share_keys(system, "kept")
    for service in services.values():
        service.spawn()
    for service in services.values():
        await service.wait_ready()
    return Kept(services, keys, {**commands.environment, **signing})


@pytest.fixture
def here(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """The same, with their environment for the command line."""
    for name, value in kept.environment.items():
        monkeypatch.setenv(name, value)
    return kept
