"""Access records in memory: who asked for what about whom, and how a batch of them is encoded."""

import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from events.access.batch import packed

PURPOSE_HEADER: Final = "Rollcall-Purpose"
MAX_PURPOSE: Final = 200
"""Characters of a purpose that are kept."""
MOST_PEOPLE: Final = 1_000
"""People of one record whose ids are kept; of those beyond, the number."""
_LEVEL: Final = 1
_SECRET: Final = frozenset({"ticket"})
_STEERING: Final = frozenset({"cursor"})
"""Of what only names a place on the way through a list, the value is not kept."""
_REFUSED: Final = frozenset({401, 403})
_UNPRINTABLE: Final = re.compile(r"[^\w\s!-~¡-ÿ]|[\r\n\t]")


@dataclass(slots=True)
class AccessRecord:
    """One read of personal data, or one that was refused.

    Attributes:
        at: When it was answered, seconds since 1970.
        method: Of the request.
        route: The route's template.
        status: Of the answer.
        subject: Who asked; None where no token said so.
        address: From where.
        purpose: The header's bytes; empty if there was none.
        query: The query string.
        path: The values in the path, by name.
        people: The ids of the people whom it showed.
        position: An export's place in the feed.
        lines: Of an export that has ended, how many lines were sent.
        whole: Whether that was all of it.
        begun: The record of that export's beginning.
        times: How many requests it stands for.
        number: 1, 2, 3 … within the process, once it is kept.
    """

    at: float
    method: str
    route: str
    status: int
    subject: str | None
    address: str | None
    purpose: bytes = b""
    query: bytes = b""
    path: Mapping[str, Any] = field(default_factory=dict)
    people: Sequence[str] = ()
    position: str | None = None
    lines: int | None = None
    whole: bool | None = None
    begun: "AccessRecord | None" = None
    times: int = 1
    number: int = 0


@dataclass(slots=True)
class EncodedRecords:
    """A batch's records, encoded.

    Attributes:
        records: JSON, compressed.
        people: The ids of people, in the order of the records, packed.
        values: JSON of what is to be sealed, by a record's number; None if there is nothing.
        subjects: Who asked.
    """

    records: bytes
    people: bytes
    values: bytes | None
    subjects: set[str]


def encode(records: Iterable[AccessRecord]) -> EncodedRecords:
    """Return records as a batch holds them."""
    lines: list[dict[str, Any]] = []
    people: list[bytes] = []
    values: dict[str, dict[str, Any]] = {}
    subjects = set()
    for record in records:
        ids = packed(_people_of(record))
        names, sealed = _values_of(record)
        line: dict[str, Any] = {
            "number": record.number,
            "at": int(record.at * 1000),
            "method": record.method,
            "route": record.route,
            "status": record.status,
        }
        line |= {
            name: value
            for name, value in (
                ("subject", record.subject),
                ("address", record.address),
                ("filters", names),
                ("shown", len(ids) // 16),
                ("left_out", max(0, len(record.people) - MOST_PEOPLE)),
                ("position", record.position),
                ("lines", record.lines),
                ("whole", record.whole),
                ("of", record.begun and record.begun.number),
                ("times", record.times if record.times > 1 else None),
            )
            if value or value is False or (name == "lines" and value == 0)
        }
        lines.append(line)
        people.append(ids)
        if record.subject is not None:
            subjects.add(record.subject)
        if sealed:
            values[str(record.number)] = sealed
    return EncodedRecords(
        zlib.compress(orjson.dumps(lines), _LEVEL),
        b"".join(people),
        orjson.dumps(values) if values else None,
        subjects,
    )


def decode(records: bytes) -> list[dict[str, Any]]:
    """Return a batch's records as `encode` wrote them, without ids and values."""
    lines: list[dict[str, Any]] = orjson.loads(zlib.decompress(records))
    return lines


def _people_of(record: AccessRecord) -> Sequence[str]:
    """Return the ids of the people whom a record is about: also of who was asked for in vain."""
    own = record.path.get("person_id")
    people = record.people[:MOST_PEOPLE]
    if own is None or (record.status in _REFUSED and record.subject is None) or people:
        return people
    return (str(own),)


def _values_of(record: AccessRecord) -> tuple[list[str], dict[str, Any]]:
    """Return the names of what was filtered by, and what is to be sealed.

    Of a request that was refused, nobody has looked at its parameters: a name may be anything there.
    """
    sealed: dict[str, Any] = {}
    if record.purpose:
        text = record.purpose.decode("utf-8", "replace")[:MAX_PURPOSE]
        sealed["purpose"] = _UNPRINTABLE.sub("\ufffd", text)
    if record.status in _REFUSED:
        return [], sealed
    values: dict[str, str] = {name: str(value) for name, value in record.path.items() if name != "person_id"}
    names = set(values)
    if record.query:
        for name, value in parse_qsl(record.query.decode("latin-1"), keep_blank_values=True):
            if name not in _SECRET:
                names.add(name)
                if name not in _STEERING:
                    values[name] = f"{values[name]},{value}" if name in values else value
    if values:
        sealed["values"] = values
    return sorted(names), sealed
