"""Shows access records as the API does: one view for each, from the batch that holds it. Pure."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from events.access.batch import unpacked
from events.times import rfc3339
from service_kit.access.records import decode
from service_kit.mongo.connection import Document
from service_kit.person_view import PersonView
from service_kit.seals.access_key import AccessKey

_ID_SIZE: Final = 16


def access_views(batch: Document, key: AccessKey | None) -> Iterator[dict[str, Any]]:
    """Yield a batch's accesses as the API shows them, newest first."""
    records = decode(batch["records"])
    sealed = _opened(batch, key)
    people, end = batch.get("people", b""), 0
    spans = []
    for record in records:
        begin, end = end, end + record.get("shown", 0) * _ID_SIZE
        spans.append((begin, end))
    _, _, process = batch["person_id"].partition(":")
    for record, (begin, end) in zip(reversed(records), reversed(spans), strict=True):
        own = sealed.get(str(record["number"]), {})
        yield {
            "id": f"{process}:{record['number']}",
            "number": record["number"],
            "at": rfc3339(
                datetime.fromtimestamp(record["at"] // 1000, UTC).replace(
                    microsecond=record["at"] % 1000 * 1000
                )
            ),
            "service": batch["service"],
            "subject": record.get("subject"),
            "address": record.get("address"),
            "method": record["method"],
            "route": record["route"],
            "status": record["status"],
            "outcome": _outcome(record["status"]),
            "purpose": own.get("purpose"),
            "filters": record.get("filters", []),
            "values": own.get("values"),
            "people": unpacked(people[begin:end]),
            "left_out": record.get("left_out", 0),
            "position": record.get("position"),
            "lines": record.get("lines"),
            "whole": record.get("whole"),
            "begun": f"{process}:{record['of']}" if "of" in record else None,
            "times": record.get("times", 1),
        }


def _opened(batch: Document, key: AccessKey | None) -> Mapping[str, Any]:
    """Return the values of a batch by a record's number; nothing once their key has ended.

    Raises:
        Damaged: They are not those that were sealed.
    """
    if key is None or batch.get("sealed") is None:
        return {}
    values: Mapping[str, Any] = orjson.loads(key.open(batch["_id"], batch["sealed"]))
    return values


def _outcome(status: int) -> str:
    if status < 400:
        return "answered"
    return "refused" if status in (401, 403) else "absent"


def seen_access(access: Mapping[str, Any], view: PersonView) -> dict[str, Any]:
    """Return an access as a caller sees it: without values of fields that the caller may not read."""
    values = access["values"]
    if values is not None and view.hidden:
        hidden = tuple(view.hidden)
        values = {name: value for name, value in values.items() if not name.startswith(hidden)}
    return {name: value for name, value in access.items() if name != "number"} | {"values": values}
