"""Roles of a file and scopes of the person schema, from the command line to a token and what it opens."""

import json

import httpx
import jwt

from operations.__main__ import main
from tests.path.conftest import PASSWORD


def add(here, capsys, name: str, roles: str) -> None:
    """Make an account whose password is not asked for again."""
    assert main(["accounts", "add", name, "--roles", roles]) == 0, capsys.readouterr().err
    once = capsys.readouterr().out.strip()
    assert here.login(name, once, new_password=PASSWORD).status_code == 200


def test_an_account_with_a_role_of_the_file_has_its_scopes(here, capsys):
    add(here, capsys, "the-clerk", "clerk")
    tokens = here.login("the-clerk").json()
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert claims["scope"] == tokens["scope"] == "people:read payroll:read"
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    for module, path, status in (
        ("query_api", "/people?limit=1", 200),
        ("query_api", "/dead-letters", 403),
    ):
        assert httpx.get(f"{here.url(module)}{path}", headers=bearer, timeout=20).status_code == status
    for module in here.services:
        described = httpx.get(f"{here.url(module)}/openapi.json").json()["info"]["description"]
        assert "| `clerk` | `people:read` `payroll:read` |" in described


def test_a_role_that_the_services_do_not_know_gives_nothing_and_is_told(here, capsys, monkeypatch, tmp_path):
    (tmp_path / "roles.json").write_text('{"gone": ["ops"]}')
    monkeypatch.setenv("ROLLCALL_ROLES", str(tmp_path / "roles.json"))
    add(here, capsys, "the-left", "viewer gone")
    assert here.login("the-left").json()["scope"] == "people:read events:read"
    said = [
        line
        for line in here.services["command_api"].words().splitlines()
        if "roles that are not known" in line
    ]
    assert [json.loads(line)["roles"] for line in said] == [["gone"]] * 2
    assert "the-left" not in "".join(said)


def test_a_token_can_have_a_scope_that_the_schema_names(here, capsys, monkeypatch, tmp_path):
    assert main_status(["token", "--scopes", "pay:read"]) == 2
    (tmp_path / "schema.json").write_text(
        '{"version": 1, "type": "object", "properties": '
        '{"pay": {"type": "integer", "rollcall": {"read": "pay:read"}}}}'
    )
    monkeypatch.setenv("ROLLCALL_PERSON_SCHEMA", str(tmp_path / "schema.json"))
    capsys.readouterr()
    assert main_status(["token", "--scopes", "pay:read,payroll:read"]) == 0
    token = capsys.readouterr().out.strip()
    assert jwt.decode(token, options={"verify_signature": False})["scope"] == "pay:read payroll:read"


def main_status(words: list[str]) -> int:
    """Return the exit status of a verb, also of one that is used wrongly."""
    try:
        return main(words)
    except SystemExit as ended:
        return int(ended.code or 0)
