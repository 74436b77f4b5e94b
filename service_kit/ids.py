"""Owns how ids are made: time-ordered ones for new things, derived ones for repeatable requests."""

from typing import Final
from uuid import UUID, uuid5

import uuid_utils

_IDEMPOTENCY: Final = UUID("6b0f7b0c-54a1-5d1e-9a3c-0d2a1f6f4b11")


def new_id() -> str:
    """Return a UUID version 7 (RFC 9562): sorts by the time of its making."""
    return str(uuid_utils.uuid7())


def derived_id(*parts: str) -> str:
    """Return the UUID version 5 of the parts: the same parts, the same id."""
    return str(uuid5(_IDEMPOTENCY, "\x1f".join(parts)))
