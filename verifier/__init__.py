"""Proves that an exported log is what it was, with nothing of Rollcall: no services, no database.

    python -m verifier LOG.ndjson [--checkpoints DIR --public-key FILE]

It reads JSON, recomputes every hash, and follows the chain of each person's events; with checkpoints it also
finds what was cut off, taken out or rewritten as a whole. Of values that were laid open it proves that they
are those that were sealed; those that were withheld stay visible as names. It needs no key. It imports the
standard library and `cryptography` alone, and writes nothing but its findings.
"""

from verifier.canonical import OlderLog, Unreadable, canonical
from verifier.chains import GENESIS, Head, Link, Recorded, Verdict, walk
from verifier.checkpoints import Checkpoint, digest, key_id, public_keys, sign
from verifier.findings import Finding
from verifier.folder import Chain, read_chain
from verifier.heads import KnownHeads, head_line
from verifier.lines import link_of, read_lines
from verifier.merkle import MerkleRoot
from verifier.values import Judgement, commitment, is_older, judge, root

__all__ = [
    "GENESIS",
    "Chain",
    "Checkpoint",
    "Finding",
    "Head",
    "Judgement",
    "KnownHeads",
    "Link",
    "MerkleRoot",
    "OlderLog",
    "Recorded",
    "Unreadable",
    "Verdict",
    "canonical",
    "commitment",
    "digest",
    "head_line",
    "is_older",
    "judge",
    "key_id",
    "link_of",
    "public_keys",
    "read_chain",
    "read_lines",
    "root",
    "sign",
    "walk",
]
