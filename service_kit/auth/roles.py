"""The roles of accounts and the scopes of each, as the reference and both OpenAPI documents show them."""

from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Final

SCOPES: Final = (
    "people:read",
    "people:write",
    "people:delete",
    "audit:read",
    "events:read",
    "ops",
)
AUDIT_SCOPE: Final = "audit:read"
"""Who has it sees former values, anything of deleted people, and where changes came from."""
ROLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "viewer": ("people:read", "events:read"),
        "editor": ("people:read", "people:write", "people:delete", "events:read"),
        "auditor": ("people:read", "audit:read", "events:read"),
        "admin": SCOPES,
    }
)


def scopes_of(roles: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes that roles give together, in the order of `SCOPES`; an unknown role gives none."""
    given = {scope for role in roles for scope in ROLES.get(role, ())}
    return tuple(scope for scope in SCOPES if scope in given)


def known_roles(text: str) -> tuple[str, ...]:
    """Return the roles in a list separated by spaces or commas, each once.

    Raises:
        ValueError: One is unknown, or there is none.
    """
    return known_words(text, ROLES, "role")


def known_words(text: str, known: Collection[str], what: str) -> tuple[str, ...]:
    """Return the words in a list separated by spaces or commas, each once.

    Args:
        text: The list.
        known: The words to choose from.
        what: What each of them is, for the message.

    Raises:
        ValueError: One is unknown, or there is none.
    """
    words = tuple(dict.fromkeys(text.replace(",", " ").split()))
    unknown = [word for word in words if word not in known]
    if unknown or not words:
        wrong = f"{', '.join(unknown)} is no {what}" if unknown else f"no {what} is named"
        raise ValueError(f"{wrong}: choose from {' '.join(known)}")
    return words


def roles_table() -> str:
    """Return the roles and their scopes as a table in Markdown."""
    rows = [f"| `{role}` | {' '.join(f'`{scope}`' for scope in scopes)} |" for role, scopes in ROLES.items()]
    return "\n".join(["| role | scopes |", "|---|---|", *rows])
