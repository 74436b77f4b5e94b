"""Says what a wrapped row of the keys' database is bound to, for whoever wraps, opens or re-wraps one. Pure.

Every row there is `{_id, kek, key}` and perhaps more: `key` is wrapped under the key-encryption key `kek`. A
row whose key was destroyed stays, without both.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

KEYS: Final = "keys"
TRANSPORT: Final = "transport"
SECRETS: Final = "secrets"
ACCESS_KEYS: Final = "access_keys"

LABELS: Final[Mapping[str, bytes]] = MappingProxyType(
    {
        KEYS: b"rollcall.key.2",
        TRANSPORT: b"rollcall.transport.2",
        SECRETS: b"rollcall.secret.2",
        ACCESS_KEYS: b"rollcall.access.2",
    }
)
"""By collection, what its keys are for: so that a row which was moved to another one does not open there."""


def bound_to(collection: str, row_id: str) -> bytes:
    """Return what `Keks.wrap` and `Keks.unwrap` are told that a row's key belongs to.

    Args:
        collection: One of `LABELS`.
        row_id: The row's `_id`.
    """
    return LABELS[collection] + b"\0" + row_id.encode()
