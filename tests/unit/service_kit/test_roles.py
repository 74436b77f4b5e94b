"""Roles and scopes: those that are built in, those of a file, and those that the person schema names."""

import json

import pytest

from events.person.schema.errors import WrongFile
from events.person.schema.reading import default_schema, parse_schema
from service_kit.auth.roles import ADMIN, BUILT_IN, ROLES, SCOPES, roles_with
from service_kit.auth.roles_file import MAX_BYTES, MOST_ROLES, MOST_SCOPES, load_roles, parse_roles

PAID = parse_schema(
    json.dumps(
        {
            "version": 1,
            "type": "object",
            "properties": {
                "name": {"type": "string", "format": "name"},
                "salary": {"type": "integer", "rollcall": {"read": "payroll:read", "write": "payroll:write"}},
            },
        }
    )
)
"""A schema that names two scopes."""


def faults_of(text) -> list[str]:
    with pytest.raises(WrongFile) as caught:
        parse_roles(text if isinstance(text, str | bytes) else json.dumps(text))
    return [str(fault) for fault in caught.value.faults]


def test_roles_give_scopes_together_and_unknown_ones_none():
    assert BUILT_IN.scopes_of(("viewer", "auditor")) == ("people:read", "audit:read", "events:read")
    assert BUILT_IN.scopes_of((ADMIN,)) == SCOPES
    assert BUILT_IN.scopes_of(("gone",)) == BUILT_IN.scopes_of(()) == ()
    assert BUILT_IN.unknown(("gone", "viewer", "left")) == ("gone", "left")
    assert dict(BUILT_IN.by_name) == ROLES
    assert BUILT_IN.known_roles("editor,auditor editor") == ("editor", "auditor")
    for text in ("", "root", "viewer root"):
        with pytest.raises(ValueError, match="choose from viewer editor auditor admin"):
            BUILT_IN.known_roles(text)


def test_a_file_adds_roles_and_scopes_and_takes_none_away():
    roles = roles_with({"clerk": ("payroll:read", "people:read"), "viewer": ("notes:read",)})
    assert list(roles.by_name) == [*ROLES, "clerk"]
    assert roles.scopes == (*SCOPES, "payroll:read", "notes:read")
    assert roles.by_name["clerk"] == ("people:read", "payroll:read")
    assert roles.by_name["viewer"] == ("people:read", "events:read", "notes:read")
    assert roles.by_name["editor"] == ROLES["editor"]
    assert roles.by_name[ADMIN] == roles.scopes
    assert roles.known_roles("clerk viewer") == ("clerk", "viewer")
    assert roles.known_scopes("payroll:read,ops") == ("payroll:read", "ops")
    with pytest.raises(ValueError, match="pay is no scope: choose from people:read .* notes:read"):
        roles.known_scopes("pay")
    assert "| `clerk` | `people:read` `payroll:read` |" in roles.table()


def test_a_scope_that_the_schema_names_is_known_and_given_to_administrators_alone(tmp_path):
    roles = load_roles(None, PAID)
    assert roles.scopes == (*SCOPES, "payroll:read", "payroll:write")
    assert roles.scopes_of((ADMIN,)) == roles.scopes
    assert roles.scopes_of(("viewer", "editor", "auditor")) == tuple(
        scope for scope in SCOPES if scope not in ("people:erase", "people:report", "ops")
    )
    (tmp_path / "roles.json").write_text('{"clerk": ["payroll:write"]}')
    assert load_roles(tmp_path / "roles.json", PAID).scopes_of(("clerk",)) == ("payroll:write",)


def test_without_a_file_there_is_what_is_built_in():
    assert load_roles(None, default_schema()) == BUILT_IN
    assert parse_roles("{}") == {}


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("[]", ["the file is an array: write an object"]),
        ("{", ["the file is no JSON in line 1, column 2: Expecting property name enclosed in double quotes"]),
        (b'{"a": ["\xff"]}', ["the file is not UTF-8: save it as UTF-8"]),
        (
            '{"a": ["ops"], "a": ["ops"]}',
            ['the file has "a" twice in one object: leave one of them'],
        ),
        ({"ops": ["ops"]}, ["ops has the name of a scope: choose another name for the role"]),
        ({"clerk": []}, ["clerk has no scopes: list at least one, or leave the role out"]),
        (
            {"clerk": "ops"},
            [
                'clerk is "ops": write an array of at most 100, each a scope such as payroll:read',
            ],
        ),
        ({"clerk": [3]}, ["clerk[0] is 3, which is no text: write a scope such as payroll:read"]),
        ({"clerk": ["ops", "ops"]}, ['clerk[1] is "ops" once more: leave it out']),
        (
            {"clerk": ["Pay", "x:" + "y" * 80], "a b": ["ops"]},
            [
                'clerk[0] is "Pay", which is no scope: write a scope such as payroll:read',
                "clerk[1] has 82 characters: write a scope such as payroll:read",
                '["a b"] is no name of a role: '
                "write a-z, 0-9, _, . and -, a letter first, at most 64 characters",
            ],
        ),
        (
            {f"r{number}": ["ops"] for number in range(MOST_ROLES + 1)},
            [f"the file has 101 roles: write at most {MOST_ROLES}"],
        ),
        (
            {"clerk": [f"a:b{number}" for number in range(MOST_SCOPES + 1)]},
            ["clerk has 101 items: write an array of at most 100, each a scope such as payroll:read"],
        ),
    ],
)
def test_a_file_that_is_wrong_has_a_line_for_each_fault(text, faults):
    assert faults_of(text) == faults


def test_a_file_that_cannot_be_had_or_is_wrong_ends_the_start(tmp_path):
    path = tmp_path / "roles.json"
    for content, said in (
        (None, f"cannot start: the file of roles {path}: No such file or directory"),
        ("x" * (MAX_BYTES + 1), f"cannot start: the file of roles {path} is larger than 64 KB"),
        (
            '{"ops": [], "Clerk": ["ops"]}',
            f"cannot start: the file of roles {path} is wrong:\n"
            "  ops has the name of a scope: choose another name for the role\n"
            "  ops has no scopes: list at least one, or leave the role out\n"
            "  Clerk is no name of a role: "
            "write a-z, 0-9, _, . and -, a letter first, at most 64 characters",
        ),
    ):
        if content is not None:
            path.write_text(content)
        with pytest.raises(SystemExit) as ended:
            load_roles(path, default_schema())
        assert str(ended.value) == said
