"""Paths with values in which a slash is escaped: it divides nothing (RFC 3986, section 2.2).

A server hands on the path with every escape undone, in which that slash looks like any other.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

_SLASH: Final = "%2F"


def has_escaped_slash(scope: Mapping[str, Any]) -> bool:
    """Return whether a request's path has a slash that is a value's."""
    return b"%2F" in (scope.get("raw_path") or b"").upper()


def routed_path(scope: Mapping[str, Any]) -> str:
    """Return a request's path as routes are matched with it: what is a value's slash stays escaped."""
    if not has_escaped_slash(scope):
        return str(scope["path"])
    return "/".join(part.replace("/", _SLASH) for part in _parts(scope))


def values_at_end(scope: Mapping[str, Any], count: int) -> list[str]:
    """Return the last parts of a request's path, each as it was before it was escaped.

    Args:
        scope: The request's (ASGI).
        count: How many there are at least.
    """
    parts = _parts(scope) if scope.get("raw_path") else str(scope["path"]).split("/")
    while not parts[-1]:  # a slash at the end is none
        parts.pop()
    return parts[-count:]


def _parts(scope: Mapping[str, Any]) -> list[str]:
    return [unquote(part) for part in bytes(scope["raw_path"]).decode("latin-1").split("/")]
