"""Proves that an exported log is what it was, with nothing of Rollcall: no services, no database.

    python -m verifier LOG.ndjson [--checkpoints DIR --public-key FILE]

It reads JSON, recomputes every hash, and follows the chain of each person's events; with checkpoints it also
finds what was cut off, taken out or rewritten as a whole. It imports the standard library and `cryptography`
alone, and writes nothing but its findings.
"""

from verifier.canonical import Unreadable, canonical
from verifier.chains import GENESIS, Head, Link, Recorded, Verdict, walk
from verifier.checkpoints import Checkpoint, digest, key_id, public_keys, sign
from verifier.findings import Finding
from verifier.folder import Chain, read_chain
from verifier.heads import KnownHeads, head_line
from verifier.lines import link_of, read_lines
from verifier.merkle import MerkleRoot

__all__ = [
    "GENESIS",
    "Chain",
    "Checkpoint",
    "Finding",
    "Head",
    "KnownHeads",
    "Link",
    "MerkleRoot",
    "Recorded",
    "Unreadable",
    "Verdict",
    "canonical",
    "digest",
    "head_line",
    "key_id",
    "link_of",
    "public_keys",
    "read_chain",
    "read_lines",
    "sign",
    "walk",
]
