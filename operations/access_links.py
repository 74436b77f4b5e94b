"""Makes links of batches of access records, as chains are judged by: each with the hash of what it holds."""

import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from events.access.batch import FIELDS, FOUND_BY, HELD, digest_of, hash_of, marks_of
from service_kit.access.records import decode
from verifier import Link


def link_of_batch(document: Mapping[str, Any]) -> Link:
    """Return the batch in a document, with the hash that it should have; none if it is not one of ours.

    What a batch is found by is held against what it holds: so nobody is left out of an answer unnoticed.
    """
    version = document.get("version")
    whole = version if isinstance(version, int) else 0
    sealed = ""
    try:
        if document.keys() <= FIELDS and document["_id"] == f"{document['person_id']}:{version}":
            times = {name: _aware(document[name]) for name in ("begun_at", "ended_at")}
            if _is_cut(document) or _holds_what_it_says(document):
                sealed = hash_of({**document, **times})
    except (KeyError, TypeError, ValueError, AttributeError, zlib.error):
        pass
    return Link(
        document["person_id"],
        whole,
        str(document.get("prev")),
        str(document.get("hash")),
        sealed,
        str(document["_id"]),
        cut=_is_cut(document),
    )


def _is_cut(document: Mapping[str, Any]) -> bool:
    """Return whether what a batch held was taken out."""
    return not document.keys() & {*HELD, *FOUND_BY}


def _holds_what_it_says(document: Mapping[str, Any]) -> bool:
    held = {name: document.get(name) for name in HELD}
    if any(digest_of(part) != document[f"{name}_sha256"] for name, part in held.items()):
        return False
    records = decode(document["records"])
    subjects = sorted({record["subject"] for record in records if "subject" in record})
    said = document["count"], document["subjects"], document["marks"]
    return said == (len(records), subjects, marks_of(document.get("people", b"")))


def _aware(time: object) -> datetime:
    if type(time) is not datetime:
        raise TypeError("no time")
    return time.replace(tzinfo=UTC)
