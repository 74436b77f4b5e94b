"""Makes links of stored events, as chains are judged by: each with the hash that its content has."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from bson.int64 import Int64

from events.log.stored import BESIDE
from operations.errors import SetupError
from verifier import Link, is_older, judge

NOT_HASHED: Final = (BESIDE, "sealed")
"""What of a document no hash covers, and a walk need not read."""
_ABSENT: Final = dict.fromkeys(("causation_id", "traceparent", "person_schema"))


def link_of_document(document: Mapping[str, Any]) -> Link:
    """Return the event in a document of the log, whatever else is in there, with the hash of its content.

    Every field that is there counts but those that no hash covers, so one that was added is found, too.
    What is hashed are the bytes of `events.log.event.canonical`, by a faster way; a test holds that.

    Raises:
        SetupError: It is of schema 1.
    """
    content = {**_ABSENT, **document}
    try:
        event_id = content.pop("_id")
        stated = content.pop("hash")
        for name in NOT_HASHED:
            content.pop(name, None)
        content["accepted_at"] = _rfc3339(content["accepted_at"])
        content["applied_at"] = _rfc3339(content["applied_at"])
        if "event_id" not in content and type(event_id) is str and type(content["version"]) in _WHOLE:
            content["event_id"] = event_id
            sealed = hashlib.sha256(orjson.dumps(content, _plain, _OPTIONS)).hexdigest()
            fault = judge(content).fault
            person_id, version, prev = content["person_id"], content["version"], content["prev"]
            if fault and is_older(content):
                raise SetupError(
                    "The log has events of schema 1, which this version of Rollcall does not read: verify it "
                    "with the version that wrote it."
                )
            return Link(person_id, version, prev, stated, sealed, event_id, fault=fault)
    except (KeyError, AttributeError, TypeError):
        pass
    return _link_without_seal(document)


def _link_without_seal(document: Mapping[str, Any]) -> Link:
    """Return the event in a document that none of our events can be: without the hash that it should have."""
    version = document.get("version")
    # Versions that are stored as fractions sort among the whole ones.
    place = int(version) if isinstance(version, int | float) and abs(version) < 2**53 else 0
    prev, stated = str(document.get("prev")), str(document.get("hash"))
    return Link(document["person_id"], place, prev, stated, "", str(document["_id"]))


_QUOTED: Final = 28
_WHOLE: Final = (int, Int64)
_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME


def _rfc3339(time: object) -> str:
    """Return a time without a zone in the form of `events.times.rfc3339`, in a third of the time."""
    if type(time) is not datetime:
        raise TypeError("no time")
    quoted = orjson.dumps(time)
    # 2026-01-31T08:00:00.123000 in quotes; of whole seconds, the fraction is left out.
    text = quoted[1:24] if len(quoted) == _QUOTED else quoted[1:20] + b".000"
    return text.decode() + "Z"


def _plain(value: object) -> int:
    """Return a long whole number as a plain one; no other type is in an event of ours."""
    if isinstance(value, Int64):
        return int(value)
    raise TypeError(f"no {type(value).__name__} is in an event")
