"""Loads the file that adds roles and scopes to the built-in ones."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from events.person.schema.declarations import PersonSchema
from events.person.schema.errors import Fault, WrongFile
from events.person.schema.objects import SchemaObject, shown
from events.person.schema.parsing import parse_document, require_object
from events.person.schema.scopes import LONGEST_SCOPE, is_scope
from service_kit.auth.roles import SCOPES, Roles, roles_with
from service_kit.declared_files import read_declared

MAX_BYTES: Final = 2**16
"""Of the file."""
MOST_ROLES: Final = 100
MOST_SCOPES: Final = 100
"""Of one role."""
LONGEST_ROLE: Final = 64
"""Characters of a role's name."""
_ROLE: Final = re.compile(r"[a-z][a-z0-9_.-]*")
_KIND: Final = "a scope such as payroll:read"


def load_roles(path: Path | None, schema: PersonSchema) -> Roles:
    """Return the roles and scopes that a process knows.

    Args:
        path: The file with what is added; None where nothing is.
        schema: The scopes that it names are known, too.

    Raises:
        SystemExit: As of `read_declared`.
    """
    added = {} if path is None else read_declared(path, "the file of roles", MAX_BYTES, parse_roles)
    return roles_with(added, schema.scopes)


def parse_roles(text: str | bytes) -> dict[str, tuple[str, ...]]:
    """Return the scopes by role that the text of a file declares.

    Args:
        text: JSON, an object: `{"payroll": ["people:read", "payroll:read"]}`; of bytes, UTF-8.

    Raises:
        WrongFile: It declares no roles; all its faults are told.
    """
    content = require_object(parse_document(text))
    if len(content) > MOST_ROLES:
        raise WrongFile([Fault("the file", f"has {len(content):,} roles", f"write at most {MOST_ROLES}")])
    return _read_roles(content)


def _read_roles(content: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    faults: list[Fault] = []
    file = SchemaObject(content, "", faults)
    roles = {}
    for role in content:
        if role in SCOPES:
            file.fault(role, "has the name of a scope", "choose another name for the role")
        elif not _ROLE.fullmatch(role) or len(role) > LONGEST_ROLE:
            instead = f"write a-z, 0-9, _, . and -, a letter first, at most {LONGEST_ROLE} characters"
            file.fault(role, "is no name of a role", instead)
        roles[role] = _scopes(file, role)
    if faults:
        raise WrongFile(faults)
    return roles


def _scopes(file: SchemaObject, role: str) -> tuple[str, ...]:
    """Return the scopes of a role; their faults are kept."""
    scopes: list[str] = []
    for at, scope in file.numbered_texts(role, _KIND, LONGEST_SCOPE, MOST_SCOPES):
        if scope in scopes:
            file.item_fault(role, at, f"is {shown(scope)} once more", "leave it out")
        elif scope not in SCOPES and not is_scope(scope):
            file.item_fault(role, at, f"is {shown(scope)}, which is no scope", f"write {_KIND}")
        scopes.append(scope)
    if file.content[role] == []:
        file.fault(role, "has no scopes", "list at least one, or leave the role out")
    return tuple(scopes)
