"""Accounts through the real services: every route with every role, the command line, the log, new keys."""

import io
import json
import re
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest

from events.log.event import event_of_line, seal
from operations.__main__ import main
from operations.accounts.signing_keys import add_signing_key
from operations.terminal import user_name
from service_kit.auth.roles import ROLES
from tests.path.conftest import PASSWORD
from tests.system import ROOT, eventually
from tests.witness import Witness

PERSON = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
PLACES = {
    **dict.fromkeys(("person_id", "command_id", "image_id", "import_id"), PERSON),
    "document_type": "CC",
    "document_id": "123456",
    "email": "ana@example.com",
    "id": "0123456789abcdef",
}
ACCESS = (ROOT / "docs" / "reference" / "access.md").read_text(encoding="utf-8")


def run(monkeypatch, capsys, *line: str, typed: str = "") -> tuple[int, str, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    status = main(["accounts", *line])
    said = capsys.readouterr()
    return status, said.out, said.err


def add(monkeypatch, capsys, name: str, roles: str) -> None:
    line = ("add", name, "--roles", roles, "--stdin")
    status, out, err = run(monkeypatch, capsys, *line, typed=f"{PASSWORD}\n")
    assert (status, out) == (0, ""), err
    assert PASSWORD not in err


ANY = "any token"


def documented() -> dict[tuple[str, str], tuple[list[str] | str | None, set[str]]]:
    """Return the scopes, any of which will do, and the roles of each route, as the reference's table says."""
    found = {}
    for line in ACCESS.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 6 or not re.match(r"`[A-Z]+ /", cells[0]):
            continue
        scopes = {"none": None, "any token": ANY}.get(cells[1], re.findall(r"`([^`]+)`", cells[1]))
        roles = {role for role, mark in zip(ROLES, cells[2:], strict=True) if mark == "✓"}
        for method, path in re.findall(r"`([A-Z]+) (/[^`]*)`", cells[0]):
            found[method, path] = (scopes, roles)
    # The reference is of the shipped schema; in that of tests, an address is one person's, too.
    found["GET", "/people/by-email/{email}"] = found[
        "GET", "/people/by-document/{document_type}/{document_id}"
    ]
    return found


def test_every_route_lets_in_the_roles_that_the_reference_names_and_no_other(here, monkeypatch, capsys):
    """Every route of both APIs, with every role and with none."""
    headers: dict[str | None, dict[str, str]] = {None: {}}
    for role in ROLES:
        add(monkeypatch, capsys, f"the-{role}", role)
        headers[role] = here.bearer(f"the-{role}")
    table, seen = documented(), set()
    for module in here.services:
        with httpx.Client(base_url=here.url(module), timeout=20) as client:
            for path, operations in client.get("/openapi.json").json()["paths"].items():
                for method, operation in operations.items():
                    route = (method.upper(), path)
                    assert route in table, f"{route} is not in the reference's table"
                    seen.add(route)
                    scopes, allowed = table[route]
                    assert operation.get("security", []) == ([{"bearer": []}] if scopes else [])
                    if scopes == ANY:
                        assert allowed == set(ROLES)
                    elif scopes is not None:
                        assert all(f"`{scope}`" in operation["description"] for scope in scopes)
                        assert allowed == {r for r, given in ROLES.items() if {*scopes} & {*given}}
                    for role, bearer in headers.items():
                        target = path.format(**PLACES)
                        # What is never valid, where the answer would never end.
                        query = {"from": "never"} if path == "/events/stream" else {}
                        content = b"{}" if method in ("post", "put", "patch") else None
                        response = client.request(
                            method,
                            target,
                            params=query,
                            content=content,
                            headers={"Content-Type": "application/json", **bearer},
                        )
                        case = (role, *route, response.text[:200])
                        if role is None and scopes is not None:
                            assert response.status_code == 401, case
                        elif role is None or role in allowed:
                            assert response.status_code not in (401, 403, 405, 500, 501, 503), case
                        else:
                            assert response.status_code == 403, case
                            assert f'scope="{scopes[0]}"' in response.headers["www-authenticate"]
    assert seen == set(table), "the reference names routes that are not there"


def test_the_command_line_makes_and_changes_accounts(here, monkeypatch, capsys):
    def done(*line: str, **more) -> str:
        status, out, err = run(monkeypatch, capsys, *line, **more)
        assert status == 0, err
        return out.strip()

    once = done("add", "Grace@Example.com", "--roles", "viewer,auditor")
    assert here.login("grace@example.com", once).status_code == 403
    assert here.login("grace@example.com", once, new_password=PASSWORD).status_code == 200
    assert "grace@example.com\tviewer auditor\tactive" in done("list")
    done("set-roles", "grace@example.com", "--roles", "editor")
    assert "people:write" in here.login("grace@example.com").json()["scope"]
    done("disable", "grace@example.com")
    assert here.login("grace@example.com").status_code == 401
    assert "grace@example.com\teditor\tdisabled" in done("list")
    done("enable", "grace@example.com")
    statuses = [here.login("grace@example.com", "not the password").status_code for _ in range(8)]
    assert set(statuses) == {401, 429}
    once = done("reset-password", "grace@example.com")
    assert here.login("grace@example.com", once).status_code == 403
    invitation = done("invite", "--roles", "viewer", "--ttl", "1h")
    wanted = {"name": "hopper", "password": PASSWORD, "invitation": invitation}
    assert httpx.post(f"{here.url('command_api')}/auth/signup", json=wanted).status_code == 201

    for line, words in (
        (
            ("add", "hopper", "--roles", "viewer"),
            "There is an account hopper already. If its password is lost, `rollcall accounts reset-password "
            "hopper` gives it another; `rollcall accounts list` shows all accounts.",
        ),
        (("disable", "nobody"), "There is no account nobody."),
        (
            ("reset-password", "hopper", "--stdin"),
            "The password is not taken (must have 12 to 128 characters).",
        ),
    ):
        status, out, err = run(monkeypatch, capsys, *line, typed="short\n")
        assert (status, out, err.strip()) == (1, "", words)
    for line in (
        ("add", "x y", "--roles", "viewer"),
        ("add", "rollcall", "--roles", "viewer"),
        ("add", "xy", "--roles", "root"),
        ("add", "xy"),
        (),
    ):
        with pytest.raises(SystemExit) as refusal:
            main(["accounts", *line])
        assert refusal.value.code == 2


def test_a_token_from_the_command_line_is_the_users_own_and_on_record(here, monkeypatch, capsys):
    add(monkeypatch, capsys, "the-token-auditor", "auditor")
    queries = httpx.Client(
        base_url=here.url("query_api"), headers=here.bearer("the-token-auditor"), timeout=20
    )
    with queries as client:
        for words, subject in (((), user_name()), (("--sub", "Ada Lovelace"), "Ada Lovelace")):
            assert main(["token", "--scopes", "audit:read people:read", "--ttl", "15m", *words]) == 0
            printed = capsys.readouterr()
            assert (printed.err, printed.out.count("\n")) == ("", 1)
            made = jwt.decode(printed.out.strip(), options={"verify_signature": False})
            assert made["sub"] == subject
            params = {"person_id": f"token:{made['jti']}", "consistency": "strong"}
            (event,) = client.get("/events", params=params).json()["items"]
            assert (event["type"], event["actor"]["subject"]) == (
                "account.token_issued",
                f"operator:{user_name()}",
            )
            ends = datetime.fromtimestamp(made["exp"], UTC)
            assert abs(datetime.fromisoformat(event["data"].pop("expires_at")) - ends) <= timedelta(seconds=2)
            assert event["data"] == {"subject": subject, "scopes": "audit:read people:read"}
            bearer = {"Authorization": f"Bearer {printed.out.strip()}"}
            assert client.get("/events?limit=1", headers=bearer).status_code == 200
            assert printed.out.strip() not in client.get("/events").text


def test_auditors_find_what_happened_in_chains_that_verify(here, monkeypatch, capsys):
    add(monkeypatch, capsys, "the-other-auditor", "auditor")
    auditor = here.bearer("the-other-auditor")
    assert here.login("the-other-auditor", "not the password").status_code == 401
    with httpx.Client(base_url=here.url("query_api"), headers=auditor, timeout=20) as client:

        def events(**params) -> list[dict]:
            response = client.get("/events", params={"consistency": "strong", **params})
            assert response.status_code == 200, response.text
            return response.json()["items"]

        own = events(person_id="account:the-other-auditor", sort="applied_at")
        assert [event["type"] for event in own] == [
            "account.created",
            "account.logged_in",
            "account.login_failed",
        ]
        assert own[0]["actor"]["subject"].startswith("operator:")
        assert own[0]["data"] == {
            "roles": "auditor",
            "invitation": None,
            "must_change": "false",
            "password_ends_at": None,
        }
        assert own[2]["source_address"] == "127.0.0.1"
        (newest,) = events(type="account.*", limit=1)
        assert newest["event_id"] == own[2]["event_id"]
        assert own[1]["event_id"] in [
            e["event_id"] for e in events(type="account.logged_in", actor="the-other-auditor")
        ]
        assert events(type="person.*") == []
        assert client.get("/events", params={"person_id": "person:x"}).status_code == 422
        lines = client.get(
            "/events",
            params={"sort": "applied_at", "consistency": "strong"},
            headers={"Accept": "application/x-ndjson"},
        ).content.splitlines()
    found = [event_of_line(line) for line in lines]
    assert len(found) >= len(own)
    assert all(event.hash == seal(event) for event in found)
    assert PASSWORD not in json.dumps([line.decode() for line in lines])
    assert PASSWORD not in here.services["command_api"].words()


async def test_a_new_key_signs_and_tokens_of_the_old_one_stay_good(kept):
    directory = httpx.AsyncClient(base_url=kept.url("command_api"), timeout=20)
    async with directory as client, httpx.AsyncClient(base_url=kept.url("query_api"), timeout=20) as queries:
        login = {"name": "the-viewer", "password": PASSWORD}
        before = (await client.post("/auth/login", json=login)).json()
        headers = {"Authorization": f"Bearer {before['access_token']}"}
        assert (await queries.get("/people", headers=headers)).status_code == 200
        # Made five minutes ago: it has been published for long enough.
        add_signing_key(kept.keys, datetime.now(UTC) - timedelta(minutes=5), "EdDSA")

        async def published() -> list[str] | None:
            keys = (await client.get("/.well-known/jwks.json")).json()["keys"]
            return [key["kid"] for key in keys] if len(keys) == 2 else None

        old, new = await eventually(published)
        renewed = await client.post("/auth/refresh", json={"refresh_token": before["refresh_token"]})
        after = renewed.json()["access_token"]
        assert jwt.get_unverified_header(before["access_token"])["kid"] == old
        assert jwt.get_unverified_header(after)["kid"] == new
        for token, status in ((after, 403), (before["access_token"], 403), (f"{after}x", 401)):
            answer = await client.delete(f"/people/{PERSON}", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == status
        assert (await queries.get("/people?limit=1", headers=headers)).status_code == 200


def come_and_go(here, name: str) -> None:
    """Fail to log in, log in, refresh and log out."""
    assert here.login(name, "not the password").status_code == 401
    token = here.login(name).json()["refresh_token"]
    with httpx.Client(base_url=here.url("command_api"), timeout=20) as client:
        renewed = client.post("/auth/refresh", json={"refresh_token": token}).json()
        client.post("/auth/logout", json={"refresh_token": renewed["refresh_token"]})


@pytest.mark.parametrize("system", ["sharded"], indirect=True, scope="session")
def test_every_read_and_write_of_an_account_asks_one_shard(here, system, monkeypatch, capsys):
    add(monkeypatch, capsys, "the-traveller", "viewer")
    ours = {"accounts", "refresh_families", "account_events", "login_failures"}
    with closing(Witness(system, "kept")) as witness:
        # At first a router asks a shard that it believes to have them, and learns better.
        come_and_go(here, "the-traveller")
        for _ in range(5):
            with witness.watching() as seen:
                come_and_go(here, "the-traveller")
            # The reads of the test before may still come to secondaries.
            if {one.role for one in seen if one.collection in ours} == {"primary"}:
                break
        else:
            pytest.fail("what concerns an account is read from secondaries")
    verbs = {(one.collection, one.verb) for one in seen}
    assert {("accounts", "find"), ("refresh_families", "insert"), ("refresh_families", "update")} < verbs
    assert {("account_events", "insert"), ("login_failures", "update"), ("login_failures", "delete")} < verbs
    for collection in ("accounts", "refresh_families", "account_events"):
        assert len({one.shard for one in seen if one.collection == collection}) == 1, collection
