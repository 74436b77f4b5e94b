"""Files of people for imports, and what the API tells of them."""

import csv
import io
import json
from collections.abc import Iterable
from typing import Any

import httpx

from tests.default_schema import FIELD_NAMES
from tests.system import PATIENCE, eventually, new_person

CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": "application/x-ndjson"}


def people(count: int, **changes: Any) -> list[dict[str, Any]]:
    """Return bodies of people that no other test has used."""
    return [new_person(**changes) for _ in range(count)]


def csv_of(
    rows: Iterable[dict[str, Any]],
    columns: Iterable[str] = FIELD_NAMES,
    *,
    delimiter: str = ",",
    end: str = "\r\n",
) -> bytes:
    """Return people as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(
        text, list(columns), delimiter=delimiter, lineterminator=end, extrasaction="ignore", restval=""
    )
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def ndjson_of(rows: Iterable[dict[str, Any]]) -> bytes:
    """Return people as NDJSON."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


async def send(
    client: httpx.AsyncClient, body: Any, headers: dict[str, str] = CSV, **query: Any
) -> dict[str, Any]:
    """Import a body; return the answer."""
    response = await client.post("/people/import", content=body, headers=headers, params=query)
    assert response.status_code == 202, response.text
    told: dict[str, Any] = response.json()
    if "dry_run" in query:  # nothing of it is kept
        assert "location" not in response.headers
    else:
        assert response.headers["location"].endswith(f"/imports/{told['import_id']}")
    return told


async def finished(client: httpx.AsyncClient, import_id: str, within: float = PATIENCE) -> dict[str, Any]:
    """Wait until every row of an import is decided; return what is told of it."""

    async def settled() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"/imports/{import_id}?consistency=strong")).json()
        return found if found["state"] == "finished" else None

    told: dict[str, Any] = await eventually(settled, within=within, pause=0.1)
    return told


async def errors(client: httpx.AsyncClient, import_id: str) -> list[dict[str, Any]]:
    """Return what was refused of an import."""
    response = await client.get(f"/imports/{import_id}/errors?consistency=strong")
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]


async def exported(client: httpx.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """Return the people that an export gives."""
    response = await client.get("/people/export", params={"consistency": "strong", **query})
    assert response.status_code == 200, response.text
    return [json.loads(line) for line in response.text.splitlines()]
