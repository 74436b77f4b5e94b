"""Reads the settings that are lists or pairs out of one text; what is no text is left as it is."""

import re
from ipaddress import ip_network

from service_kit.auth.roles import ROLES, SCOPES, known_words
from service_kit.http.rates import Quota

_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+", re.ASCII)


def read_words(value: object) -> object:
    """Return the words of a text, separated by commas or spaces."""
    return frozenset(value.replace(",", " ").split()) if isinstance(value, str) else value


def read_quota(value: object) -> object:
    """Return the quota that `requests/seconds` names."""
    return Quota.read(value) if isinstance(value, str) else value


def read_roles(value: object) -> object:
    """Return what each of an issuer's roles stands for: `theirs=ours,ours theirs=ours`.

    Raises:
        ValueError: A pair is none, or names no role and no scope of ours.
    """
    if not isinstance(value, str):
        return value
    roles = {}
    for pair in value.split():
        role, equals, words = pair.partition("=")
        if not (role and equals):
            raise ValueError(f"{pair[:80]} is no role: want theirs=ours")
        roles[role] = known_words(words, (*ROLES, *SCOPES), "role or scope")
    return roles


def read_origins(value: object) -> object:
    """Return the origins in a text, separated by commas or spaces.

    Raises:
        ValueError: One is no origin.
    """
    origins = tuple(value.replace(",", " ").split()) if isinstance(value, str) else value
    for origin in origins if isinstance(origins, tuple) else ():
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"{origin[:80]} is no origin: want https://host or https://host:port")
    return origins


def read_networks(value: object) -> object:
    """Return the addresses and networks in a text, separated by spaces; `*` is every one.

    Raises:
        ValueError: One is neither.
    """
    networks = tuple(value.split()) if isinstance(value, str) else value
    for network in networks if isinstance(networks, tuple) else ():
        try:
            if network != "*":
                ip_network(network)
        except ValueError:
            raise ValueError(f"{network[:80]} is no address or network: want 10.0.0.0/8") from None
    return networks
