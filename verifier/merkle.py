"""Computes the Merkle tree hash of RFC 6962, section 2.1, over leaves that come one by one."""

import hashlib
from typing import Final

_LEAF: Final = b"\x00"
_NODE: Final = b"\x01"


class MerkleRoot:
    """Reckons the root while leaves are added; keeps one hash for each level of the tree.

    Leaves and nodes are hashed with different prefixes, so that neither passes for the other.
    """

    def __init__(self) -> None:
        # Full subtrees from left to right, each larger than the next: their numbers of leaves, and hashes.
        self._full: list[tuple[int, bytes]] = []

    def add(self, leaf: bytes) -> None:
        """Append a leaf."""
        size, node = 1, hashlib.sha256(_LEAF + leaf).digest()
        while self._full and self._full[-1][0] == size:
            node = _join(self._full.pop()[1], node)
            size *= 2
        self._full.append((size, node))

    def hex(self) -> str:
        """Return the root of the leaves so far, hexadecimal."""
        if not self._full:
            return hashlib.sha256(b"").hexdigest()
        *lefts, (_, node) = self._full
        for _, left in reversed(lefts):
            node = _join(left, node)
        return node.hex()


def _join(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()
