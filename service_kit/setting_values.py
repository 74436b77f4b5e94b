"""Reads the settings that are lists or pairs out of one text; what is no text is left as it is."""

import re
from ipaddress import ip_network

from service_kit.http.rates import Quota
from service_kit.slots import AtOnce

_REGION = re.compile(r"[A-Z]{2}")
_FOLDER = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
_ORIGIN = re.compile(r"https?://[a-z0-9.\-\[\]:]+", re.ASCII)


def require_region(text: str) -> str:
    """Return a region of phone numbers.

    Raises:
        ValueError: It has not the form of one.
    """
    if not _REGION.fullmatch(text):
        raise ValueError("must be two capital letters, CO say")
    return text


def require_folder(text: str) -> str:
    """Return the path of a folder.

    Raises:
        ValueError: It is none.
    """
    if not _FOLDER.fullmatch(text):
        raise ValueError("must be names of letters (A-Z, a-z), digits, _ and -, with / between them")
    return text


def read_quota(value: object) -> object:
    """Return the quota that `requests/seconds` names."""
    return Quota.read(value) if isinstance(value, str) else value


def read_at_once(value: object) -> object:
    """Return how many at once `in all/of one subject` names."""
    return AtOnce.read(value) if isinstance(value, str) else value


def read_mapping(value: object) -> object:
    """Return the words that each name stands for: `name=word,word name=word`.

    Raises:
        ValueError: A pair is none.
    """
    if not isinstance(value, str):
        return value
    mapping = {}
    for pair in value.split():
        name, equals, rest = pair.partition("=")
        words = tuple(filter(None, rest.split(",")))
        if not (name and equals and words):
            raise ValueError(f"{pair[:80]} is no role: want theirs=ours")
        mapping[name] = words
    return mapping


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
