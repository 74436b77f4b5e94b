"""Which methods each address of both APIs has: what `OPTIONS` and `Allow` tell, whichever API is asked.

Behind the proxy both APIs are one, so each must name the other's methods, too.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

PREFIX: Final = "/command"
"""Behind the proxy, what begins so is the command API's alone."""

_PAGES: Final = ("/", "/docs", "/docs/{name}", "/openapi.json", "/healthz", "/readyz", "/metrics")
COMMAND: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_PAGES, ("GET",)),
    "/schema": ("GET",),
    "/people": ("POST",),
    "/people/import": ("POST",),
    "/people/{person_id}": ("PATCH", "DELETE"),
    "/people/{person_id}/revert": ("POST",),
    "/people/{person_id}/erase": ("POST",),
    "/people/{person_id}/hold": ("PUT", "DELETE"),
    "/people/{person_id}/image": ("PATCH", "DELETE"),
    "/people/{person_id}/image/upload-ticket": ("POST",),
    "/people/{person_id}/image/confirm": ("POST",),
    "/images/uploads": ("POST",),
    "/dead-letters/messages": ("GET",),
    "/dead-letters/messages/{id}": ("GET", "DELETE"),
    "/dead-letters/messages/retry": ("POST",),
    "/dead-letters/messages/{id}/retry": ("POST",),
    "/dead-letters/{person_id}": ("DELETE",),
    "/dead-letters/{person_id}/retry": ("POST",),
    "/dead-letters/{person_id}/{command_id}": ("DELETE",),
    "/auth/signup": ("POST",),
    "/auth/login": ("POST",),
    "/auth/refresh": ("POST",),
    "/auth/logout": ("POST",),
    "/.well-known/jwks.json": ("GET",),
}
QUERY: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(_PAGES, ("GET",)),
    "/schema": ("GET",),
    "/people": ("GET",),
    "/people/export": ("GET",),
    # By whatever the person schema makes unique, alone or together.
    **{f"/people/by-{{kind}}{'/{value}' * values}": ("GET",) for values in range(1, 6)},
    "/people/{person_id}": ("GET",),
    "/people/{person_id}/commands/{command_id}": ("GET",),
    "/people/{person_id}/history": ("GET",),
    "/people/{person_id}/accesses": ("GET",),
    "/accesses": ("GET",),
    "/events": ("GET",),
    "/events/open": ("POST",),
    "/events/stream": ("GET",),
    "/events/stream/tickets": ("POST",),
    "/imports/{import_id}": ("GET",),
    "/imports/{import_id}/errors": ("GET",),
    "/dead-letters": ("GET",),
    "/dead-letters/{person_id}": ("GET",),
    "/images/{image_id}": ("GET",),
    "/images/{image_id}/thumbnail": ("GET",),
    "/asyncapi.json": ("GET",),
}


@dataclass(frozen=True, slots=True)
class _Address:
    form: re.Pattern[str]
    command: frozenset[str]
    query: frozenset[str]


def _form(template: str) -> re.Pattern[str]:
    """Return what matches the paths of a template."""
    return re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))


_ADDRESSES: Final = [
    _Address(_form(template), frozenset(COMMAND.get(template, ())), frozenset(QUERY.get(template, ())))
    # `/people/import` is also of the form of `/people/{person_id}`: the more exact one is meant.
    for template in sorted({*COMMAND, *QUERY}, key=lambda template: template.count("{"))
]


def methods_at(path: str) -> tuple[str, ...]:
    """Return the methods of an address in alphabetical order; none if neither API has it.

    Args:
        path: Of the request, without a slash at its end; `*` for the server as a whole (RFC 9110, 9.3.7).
    """
    if path == "*":
        return _told(frozenset().union(*(one.command | one.query for one in _ADDRESSES)))
    inside = path == PREFIX or path.startswith(f"{PREFIX}/")
    if inside:
        path = path.removeprefix(PREFIX) or "/"
    for address in _ADDRESSES:
        methods = address.command if inside else address.command | address.query
        if methods and address.form.fullmatch(path):
            return _told(methods)
    return ()


def _told(methods: frozenset[str]) -> tuple[str, ...]:
    return tuple(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))
