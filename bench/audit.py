"""Measures `export` and `history`: the whole log as NDJSON and CSV; one person's history among very many."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median, quantiles
from typing import Any

from pymongo.write_concern import WriteConcern

from bench.payloads import changes, stored_fields
from bench.results import Row, at_least, at_most, note
from bench.sealing import put_keys, sealed
from bench.sizes import Sizes
from bench.stack import Running, Stack
from events.log.event import EVENT_SCHEMA, GENESIS
from service_kit.ids import new_id
from service_kit.seals.person_key import PersonKey

AUDIT = "bench_audit"
EXPORT_WANTED = 30_000.0
HISTORY_WANTED_MS = 20.0
HISTORY_REQUESTS = 2_000
_BATCH = 2_000
_CHUNK = 1 << 18
_FORMS = {"NDJSON": "application/x-ndjson", "CSV": "text/csv"}


def export(stack: Stack, sizes: Sizes) -> list[Row]:
    """Export the same log in each form, several times."""
    ids = _fill(stack, sizes.audited)
    service = stack.service("query_api", AUDIT)
    rows = []
    for form, media_type in _FORMS.items():
        rates = []
        for _ in range(sizes.pairs):
            before, began = stack.cpu(service), time.perf_counter()
            lines = lines_of(stack, service, "/events", media_type) - (form == "CSV")
            rates.append(lines / (time.perf_counter() - began))
            if lines != 2 * len(ids):
                raise RuntimeError(f"{lines:,} lines of {2 * len(ids):,} events")
            used = {who: (at - before[who]) / lines * 1e6 for who, at in stack.cpu(service).items()}
            words = ", ".join(f"{who} {us:.1f}" for who, us in used.items())
            note(
                f"  export {form} of {lines:,} events {rates[-1]:8,.0f}/s   processor time each, µs: {words}"
            )
        what = stack.named(f"export, {form}")
        rows.append(at_least(what, median(rates), EXPORT_WANTED, "/s", rates=rates))
    stack.weigh("query_api", service)
    stack.end(service)
    return rows


def history(stack: Stack, sizes: Sizes) -> list[Row]:
    """Ask for the histories of people at random, one after the other."""
    ids = _fill(stack, sizes.audited)
    service = stack.service("query_api", AUDIT)
    times = []
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    for person_id in random.Random(7).choices(ids, k=HISTORY_REQUESTS):
        began = time.perf_counter()
        get(connection, f"/people/{person_id}/history", stack.token).read()
        times.append((time.perf_counter() - began) * 1000)
    connection.close()
    stack.end(service)
    p99 = quantiles(times, n=100)[98]
    note(f"  history: median {median(times):.2f} ms, p99 {p99:.2f} ms")
    what = stack.named(f"history among {len(ids):,}, p99")
    return [at_most(what, p99, HISTORY_WANTED_MS, "ms", median=median(times), requests=len(times))]


def _fill(stack: Stack, people: int) -> list[str]:
    """Put two events of each of so many people into the log, as if workers had, and return the ids.

    Their hashes are made up: nothing here looks at them.
    """
    with stack.client() as client:
        events = client[AUDIT].get_collection("events", write_concern=WriteConcern(w=stack.copies))
        if events.estimated_document_count() == 2 * people:
            return [document["_id"] for document in client[AUDIT]["bench_ids"].find()]
        note(f"  storing {2 * people:,} events")
        stack.fresh(AUDIT)
        ids = [new_id() for _ in range(people)]
        keys = {person_id: PersonKey.new() for person_id in ids}
        for begin in range(0, people, 10 * _BATCH):
            put_keys(client, AUDIT, {one: keys[one] for one in ids[begin : begin + 10 * _BATCH]}, stack.keks)
        documents = (sealed(one, keys[one["person_id"]]) for one in _documents(ids))
        while batch := list(islice(documents, _BATCH)):
            events.insert_many(batch, ordered=False)
        kept = client[AUDIT]["bench_ids"]
        for begin in range(0, people, 10 * _BATCH):
            kept.insert_many([{"_id": one} for one in ids[begin : begin + 10 * _BATCH]])
    return ids


def _documents(ids: list[str]) -> Iterator[dict[str, Any]]:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for version, type_, data in ((1, "person.created", stored_fields), (2, "person.updated", changes)):
        for number, person_id in enumerate(ids):
            time_ = start + timedelta(days=version, milliseconds=7 * number)
            command_id = new_id()
            yield {
                "_id": new_id(),
                "person_id": person_id,
                "version": version,
                "type": type_,
                "schema": EVENT_SCHEMA,
                "data": data(number),
                "command_id": command_id,
                "actor": f"clerk-{number % 50}",
                "accepted_at": time_,
                "applied_at": time_ + timedelta(milliseconds=5),
                "correlation_id": command_id,
                "prev": GENESIS if version == 1 else f"{number:064x}",
                "hash": f"{number + version - 1:064x}",
                "source_address": "203.0.113.7",
                "user_agent": "people-ui/3.2",
            }


def lines_of(stack: Stack, service: Running, target: str, media_type: str) -> int:
    """Read an export and return how many lines it has."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    response = get(connection, target, stack.token, media_type)
    lines = 0
    while chunk := response.read(_CHUNK):
        lines += chunk.count(b"\n")
    connection.close()
    return lines


def get(
    connection: http.client.HTTPConnection, target: str, token: str, accept: str = "*/*"
) -> http.client.HTTPResponse:
    connection.request("GET", target, headers={"Authorization": f"Bearer {token}", "Accept": accept})
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise RuntimeError(f"{response.status} from {target}: {response.read()[:300]!r}")
    return response
