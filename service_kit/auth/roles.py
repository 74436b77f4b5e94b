"""The roles of accounts and the scopes of each, as the reference and both OpenAPI documents show them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

SCOPES: Final = (
    "people:read",
    "people:write",
    "people:delete",
    "people:erase",
    "people:report",
    "audit:read",
    "events:read",
    "ops",
)
"""The scopes that the routes want."""
AUDIT_SCOPE: Final = "audit:read"
"""Who has it sees former values, anything of deleted people, and where changes came from."""
ERASE_SCOPE: Final = "people:erase"
"""Who has it erases people, and says who may not be erased."""
REPORT_SCOPE: Final = "people:report"
"""Who has it is told all that is kept about a person."""
ADMIN: Final = "admin"
"""The role that has every scope that there is."""
ROLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "viewer": ("people:read", "events:read"),
        "editor": ("people:read", "people:write", "people:delete", "events:read"),
        "auditor": ("people:read", "audit:read", "events:read"),
        ADMIN: SCOPES,
    }
)
"""The roles that are built in."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The roles and scopes that a process knows; `roles_with` makes them.

    Attributes:
        by_name: The scopes of each role.
        scopes: All scopes: those of the routes, then those that fields of a person want, then others.
    """

    by_name: Mapping[str, tuple[str, ...]]
    scopes: tuple[str, ...]

    def scopes_of(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the scopes that roles give together, in their order; an unknown role gives none."""
        given = {scope for name in names for scope in self.by_name.get(name, ())}
        return _in_order(given, self.scopes)

    def unknown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return those of some roles that are not known: what a file has had before, say."""
        return tuple(name for name in names if name not in self.by_name)

    def known_roles(self, text: str) -> tuple[str, ...]:
        """Return the roles in a list separated by spaces or commas, each once.

        Raises:
            ValueError: One is unknown, or there is none.
        """
        return _known_words(text.replace(",", " ").split(), self.by_name, "role")

    def known_scopes(self, text: str) -> tuple[str, ...]:
        """Return the scopes in a list separated by spaces or commas, each once.

        Raises:
            ValueError: One is unknown, or there is none.
        """
        return _known_words(text.replace(",", " ").split(), self.scopes, "scope")

    def scopes_for(self, mapping: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
        """Return the scopes that each role of another issuer gives here.

        Args:
            mapping: What each stands for: roles of ours, or scopes.

        Raises:
            ValueError: A word is neither.
        """
        given = {}
        for theirs, words in mapping.items():
            ours = _known_words(words, (*self.by_name, *self.scopes), "role or scope")
            given[theirs] = frozenset(scope for word in ours for scope in self.by_name.get(word, (word,)))
        return given

    def table(self) -> str:
        """Return the roles and their scopes as a table in Markdown."""
        rows = [
            f"| `{role}` | {' '.join(f'`{scope}`' for scope in scopes)} |"
            for role, scopes in self.by_name.items()
        ]
        return "\n".join(["| role | scopes |", "|---|---|", *rows])


def roles_with(added: Mapping[str, Sequence[str]], scopes: Iterable[str] = ()) -> Roles:
    """Return the built-in roles and those that are added.

    Args:
        added: Scopes by role. A built-in role gets them beside its own: nothing takes one away from it.
        scopes: Further scopes that somebody may be given: those that the person schema names. Of the built-in
            roles, `admin` alone has them.
    """
    named = (scope for one in added.values() for scope in one)
    known = tuple(dict.fromkeys((*SCOPES, *scopes, *named)))
    by_name = {
        role: known if role == ADMIN else _in_order({*ROLES.get(role, ()), *added.get(role, ())}, known)
        for role in dict.fromkeys((*ROLES, *added))
    }
    return Roles(MappingProxyType(by_name), known)


def _in_order(given: Collection[str], order: Iterable[str]) -> tuple[str, ...]:
    return tuple(scope for scope in order if scope in given)


def _known_words(words: Iterable[str], known: Collection[str], what: str) -> tuple[str, ...]:
    """Return words, each once.

    Args:
        words: Some words.
        known: The words to choose from.
        what: What each of them is, for the message.

    Raises:
        ValueError: One is unknown, or there is none.
    """
    chosen = tuple(dict.fromkeys(words))
    unknown = [word for word in chosen if word not in known]
    if unknown or not chosen:
        wrong = f"{', '.join(unknown)} is no {what}" if unknown else f"no {what} is named"
        raise ValueError(f"{wrong}: choose from {' '.join(known)}")
    return chosen


BUILT_IN: Final = roles_with({})
"""What there is without a file, and without a scope in the person schema."""
