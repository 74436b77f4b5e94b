"""The versions to which a command may be applied, and their form on the wire."""

from typing import Annotated

from pydantic import BeforeValidator, Field


def _read_versions(versions: object) -> object:
    """Read versions off the wire: numbers with commas between them, since no attribute is a list.

    Commands of before named one, as a number (`expectedversion`).
    """
    if isinstance(versions, str):
        return [number for number in versions.split(",") if number]
    return [versions] if isinstance(versions, int) else versions


def written_versions(versions: frozenset[int] | None) -> str | None:
    """Return versions as they go over the wire: numbers with commas between them; None for any version."""
    return None if versions is None else ",".join(map(str, sorted(versions)))


Versions = Annotated[frozenset[Annotated[int, Field(ge=0)]], BeforeValidator(_read_versions)]
