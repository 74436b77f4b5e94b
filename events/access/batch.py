"""The form of access records as they are kept: batches, each process's hash-chained in a stream of its own.

What is hashed of a batch are digests of what it holds. So its records, and the values that are sealed, may be
taken out when their time is over, and the chain stays whole. Pure.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from events.log.commitments import jcs
from events.times import rfc3339

ACCESSES: Final = "accesses"
"""The collection of the batches."""
ACCESS_HEADS: Final = "access_heads"
"""The collection that says up to where checkpoints have signed each stream of batches."""
KIND: Final = "access"
"""What the id of a stream of batches begins with, before a colon."""
BATCH_SCHEMA: Final = 1
HELD: Final = ("records", "people", "sealed")
"""What a batch holds, and the chain only names by its digest; after a cut it is gone."""
FOUND_BY: Final = ("marks", "subjects")
"""What a batch is found by: it follows from what the batch holds."""

_ID_SIZE: Final = 16
_EXACT: Final = 512
"""People of a batch that have a mark of their own, at most."""
_SHARED: Final = 4_096
"""People of a batch that have a mark each or share it, at most; and how many shared marks there are."""
_ANYBODY: Final = _SHARED
"""The one mark of a batch with more people: the shared ones are 0 to 4,095."""
_LOW_HALF: Final = bytes(value & 15 for value in range(256))
_HASHED: Final = (
    *("person_id", "version", "schema", "service", "begun_at", "ended_at", "count", "key"),
    *(f"{name}_sha256" for name in HELD),
    "prev",
)
FIELDS: Final = frozenset({"_id", "hash", *_HASHED, *HELD, *FOUND_BY})


def access_stream(process_id: str) -> str:
    """Return the id of the stream with the batches of one process."""
    return f"{KIND}:{process_id}"


def is_access_stream(text: str) -> bool:
    """Return whether a stream's id is one of access records."""
    return text.startswith(f"{KIND}:")


def hash_of(batch: Mapping[str, Any]) -> str:
    """Return the hash that a batch must bear: SHA-256 of its fields' JSON as RFC 8785 has it.

    Args:
        batch: As it is kept; its times in UTC.
    """
    content = {name: batch.get(name) for name in _HASHED}
    for name in ("begun_at", "ended_at"):
        content[name] = rfc3339(content[name])
    return hashlib.sha256(jcs(content)).hexdigest()


def digest_of(held: bytes | None) -> str | None:
    """Return what the chain says of a part that a batch holds; None if it holds none."""
    return None if held is None else hashlib.sha256(held).hexdigest()


def batch_of(
    *,
    stream: str,
    version: int,
    prev: str,
    service: str,
    span: tuple[datetime, datetime],
    count: int,
    held: Mapping[str, bytes | None],
    key: str | None,
    subjects: Iterable[str],
) -> dict[str, Any]:
    """Return a batch as it is kept.

    Args:
        stream: Of the process.
        version: 1, 2, 3 … within it.
        prev: Hash of the batch before it.
        service: What the process is.
        span: The times of the first and the last record, UTC, whole milliseconds.
        count: How many records there are.
        held: The parts of `HELD`.
        key: The id of the key that sealed values open with.
        subjects: Who read.
    """
    batch = {
        "_id": f"{stream}:{version}",
        "person_id": stream,
        "version": version,
        "schema": BATCH_SCHEMA,
        "service": service,
        "begun_at": span[0],
        "ended_at": span[1],
        "count": count,
        "key": key,
        **{f"{name}_sha256": digest_of(held[name]) for name in HELD},
        "prev": prev,
    }
    return {
        **batch,
        "hash": hash_of(batch),
        **{name: part for name, part in held.items() if part is not None},
        "marks": marks_of(held["people"] or b""),
        "subjects": sorted(set(subjects)),
    }


def packed(person_ids: Sequence[str]) -> bytes:
    """Return people's ids, which are UUIDs, as 16 bytes each; what is none is left out."""
    try:
        whole = bytes.fromhex("".join(person_ids).replace("-", ""))
    except ValueError:
        whole = b""
    if len(whole) == _ID_SIZE * len(person_ids):
        return whole
    return b"".join(map(_packed_one, person_ids))


def _packed_one(person_id: str) -> bytes:
    try:
        one = bytes.fromhex(person_id.replace("-", ""))
    except ValueError:
        return b""
    return one if len(one) == _ID_SIZE else b""


def unpacked(ids: bytes) -> list[str]:
    """Return the ids that `packed` made so."""
    texts = (ids[at : at + _ID_SIZE].hex() for at in range(0, len(ids), _ID_SIZE))
    return [f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}" for text in texts]


def marks_of(ids: bytes) -> list[int]:
    """Return what a batch is found by for each of the people in it.

    Of a few people, each has a mark of its own. Of more, a mark is shared by one person in 4,096: who looks
    for one then reads some batches in vain. Of so many that nearly all of those marks would be there, one
    stands for all: thousands of entries in an index, on each member, would tell nothing.

    Args:
        ids: As `packed` makes them.
    """
    tails = {ids[at + 8 : at + _ID_SIZE] for at in range(0, len(ids), _ID_SIZE)}
    if len(tails) <= _EXACT:
        return sorted(map(_own_mark, tails))
    if len(tails) > _SHARED:
        return [_ANYBODY]
    return sorted({tail[7] << 4 | _LOW_HALF[tail[6]] for tail in tails})


def marks_for(person_id: str) -> list[int]:
    """Return the marks of which a batch has one if the person is in it; none if that is no person's id."""
    one = _packed_one(person_id)
    return [_own_mark(one[8:]), one[15] << 4 | _LOW_HALF[one[14]], _ANYBODY] if one else []


def _own_mark(tail: bytes) -> int:
    return int.from_bytes(tail, "big", signed=True)
