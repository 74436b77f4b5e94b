"""Tells schemathesis what no OpenAPI document says: values of our formats, forms of bodies, what goes together."""

import itertools
import json
from datetime import UTC, date, datetime
from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation.meta import TestPhase

from tests.default_schema import SCHEMA
from tests.pictures import halves, saved

_LETTERS = st.text(st.characters(categories=("Lu", "Ll", "Lo")), min_size=1, max_size=40)
_NAMES = st.builds("{}{}{}".format, _LETTERS, st.sampled_from([" ", "-", "'", ". "]), _LETTERS)
# As long as a schema lets them be: what is longer is left out.
_LONG = st.integers(1, 10).map(lambda length: 25 * length * "ñ")
_DIGITS = st.integers(10**5, 10**9)
_DATES = st.dates(min_value=date(1850, 1, 1), max_value=date(2025, 12, 31))
FORMATS: dict[str, st.SearchStrategy[str]] = {
    "name": _NAMES | _LONG,
    "text": st.builds("{} # {}".format, _NAMES, _DIGITS) | _LONG,
    "phone": st.builds("300{}".format, st.integers(10**6, 10**7 - 1)),
    "document-number": st.builds(str, _DIGITS) | st.builds("AB-{}".format, _DIGITS),
    "birth-date": _DATES.map(str) | _DATES.map("{:%d-%m-%Y}".format),
    "entity-tags": st.sampled_from(['"1"', '"3"', '"1", "2"', 'W/"1"', '"1",W/"a"', "*"]),
    "time-zone": st.sampled_from(["UTC", "America/Bogota", "-05:00", "Asia/Kathmandu"]),
    **{
        field.name.replace("_", "-"): st.sampled_from(
            [word for words in field.words.values() for word in words]
        )
        for field in SCHEMA.fields
        if field.format == "code"
    },
}

for _name, _strategy in FORMATS.items():
    schemathesis.openapi.format(f"rollcall-{_name}", _strategy)
schemathesis.openapi.format("email", st.builds("m{}@example.com".format, _DIGITS))
for _form in ("png", "jpeg", "webp"):
    schemathesis.openapi.media_type(f"image/{_form}", st.just(saved(halves(), _form)))


@schemathesis.hook
def before_init_operation(_context: Any, operation: Any) -> None:
    """Send an operation to the server that it names; of itself schemathesis knows one for a whole document."""
    for server in operation.definition.raw.get("servers", ()):
        operation.base_url = server["url"]


_PASTS = ("version", "as_of", "min_version")
"""Of these, one alone goes with a request."""
_STEERING = {"consistency", "tz", "fields", "include", "sort", "limit", "count"}
_TOLD = {"id", "document_id", "version"}
"""Parameters whose values another answer gives."""
_BEGAN = datetime.now(UTC).isoformat()
_NUMBERS = itertools.count(10**12)


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """Bring what keeps to its schema to what no schema can say."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    pasts = [name for name in _PASTS if name in case.query]
    # A cursor belongs to the page before, and to all that was asked there.
    for name in (*pasts[1:], "cursor"):
        case.query.pop(name, None)
    number = next(_NUMBERS)
    if "Idempotency-Key" in case.headers:
        # With other content, the same key is refused.
        case.headers["Idempotency-Key"] = f"{number}{case.headers['Idempotency-Key']}"[:255]
    if case.meta.phase.name is not TestPhase.STATEFUL:
        return
    operation = case.operation.definition.raw["operationId"]
    if operation == "createPerson":
        case.body |= {"document_id": str(number), "email": f"m{number}@example.com"}
    # Filters that are made up choose nobody.
    for name in case.query.keys() - _STEERING - _TOLD:
        del case.query[name]
    if operation == "listPeople":
        # Other people belong to other tests.
        case.query["created_from"] = _BEGAN


@schemathesis.serializer("application/x-ndjson", "text/csv")
def as_text(_context: Any, value: Any) -> bytes:
    """Send a text as it is, and what is none as JSON."""
    if isinstance(value, bytes):
        return value
    return (value if isinstance(value, str) else json.dumps(value)).encode("utf-8", "surrogatepass")
