"""Reads MongoDB's address, as far as it can be judged before anybody is asked."""

from typing import Final

from pymongo.errors import ConfigurationError
from pymongo.uri_parser import SRV_SCHEME, parse_uri

WANTED: Final = (
    "it wants the form mongodb://user:password@host:port/?options, with reserved characters as %XX"
)


def is_connection_string(uri: str) -> bool:
    """Return whether the driver can read a connection string; one that asks the DNS is not looked into."""
    if uri.startswith(SRV_SCHEME):
        return True
    try:
        parse_uri(uri, warn=True)
    except (ConfigurationError, ValueError):
        return False
    return True
