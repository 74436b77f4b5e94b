"""Tells schemathesis how bodies are sent that it does not know, and what values the formats of ours have."""

import json
import re
from datetime import date
from typing import Any

import schemathesis
from hypothesis import strategies as st

from events.person.schema import FIELDS

_LETTERS = st.text(st.characters(categories=("Lu", "Ll", "Lo")), min_size=1, max_size=40)
_NAMES = st.builds("{}{}{}".format, _LETTERS, st.sampled_from([" ", "-", "'", ". "]), _LETTERS)
_DIGITS = st.integers(10**5, 10**9)
_DATES = st.dates(min_value=date(1850, 1, 1), max_value=date(2025, 12, 31))
FORMATS: dict[str, st.SearchStrategy[str]] = {
    "name": _NAMES,
    "text": st.builds("{} # {}".format, _NAMES, _DIGITS),
    "phone": st.builds("300{}".format, st.integers(10**6, 10**7 - 1)),
    "document-number": st.builds(str, _DIGITS) | st.builds("AB-{}".format, _DIGITS),
    "birth-date": _DATES.map(str) | _DATES.map("{:%d-%m-%Y}".format),
    "time-zone": st.sampled_from(["UTC", "America/Bogota", "-05:00", "Asia/Kathmandu"]),
    **{
        field.name.replace("_", "-"): st.sampled_from(
            [word for words in field.words.values() for word in words]
        )
        for field in FIELDS
        if field.format == "code"
    },
}

for _name, _strategy in FORMATS.items():
    schemathesis.openapi.format(f"rollcall-{_name}", _strategy)
schemathesis.openapi.format("email", st.builds("m{}@example.com".format, _DIGITS))


@schemathesis.hook
def filter_headers(_context: Any, headers: dict[str, Any] | None) -> bool:
    """Leave out conditions that are none of this API's: they are refused, whatever the schema says of texts."""
    condition = (headers or {}).get("If-Match")
    return condition is None or re.fullmatch(r'"\d{1,9}"', str(condition)) is not None


@schemathesis.serializer("application/x-ndjson", "text/csv")
def as_text(_context: Any, value: Any) -> bytes:
    """Send a text as it is, and what is none as JSON."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")
