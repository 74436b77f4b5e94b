"""Measures `read`: one person by id, pages of 50 by last name; beside bare FastAPI with the same queries."""

from __future__ import annotations

import http.client
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from typing import Any
from urllib.parse import urlencode

import orjson
from pymongo.write_concern import WriteConcern

from bench.accept import measured
from bench.load import Job, request
from bench.payloads import SCHEMA, stored_fields
from bench.results import Row, Sample, compare, in_turns, note
from bench.sizes import Sizes
from bench.stack import PEOPLE, Running, Stack
from events.person.decider import PersonState
from service_kit.ids import new_id
from service_kit.read_model import person_document

BY_ID_WANTED, PAGE_WANTED, DEEP_WANTED = 0.75, 0.7, 1.15
DEPTH = 32
BY_ID_REQUESTS = 10_000
PAGE_REQUESTS = 200
DEEP_SAMPLES = 300
_BATCH = 2_000


def read(stack: Stack, sizes: Sizes) -> list[Row]:
    """Fill the read model once; run both sides in turns on it."""
    ids = fill(stack, PEOPLE, sizes.people)
    service = stack.service("query_api", PEOPLE)
    floor = stack.floor("floor_read", PEOPLE)
    rows = [
        _by_id(stack, sizes, service, floor, ids),
        *_pages(stack, sizes, service, floor),
    ]
    stack.weigh("query_api", service)
    stack.end(service)
    stack.end(floor)
    return rows


def fill(stack: Stack, database: str, count: int) -> list[str]:
    """Put people into the read model, as the worker would, and return their ids."""
    note(f"  storing {count:,} people")
    stack.fresh(database)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    documents = (_document(number, start + timedelta(seconds=number)) for number in range(count))
    ids: list[str] = []
    with stack.client() as client:
        people = client[database].get_collection("people", write_concern=WriteConcern(w=stack.copies))
        while batch := list(islice(documents, _BATCH)):
            people.insert_many(batch, ordered=False)
            ids += [document["_id"] for document in batch]
    return ids


def _document(number: int, time_: datetime) -> dict[str, Any]:
    state = PersonState(
        new_id(), "active", 1, f"{number:064x}", stored_fields(number), created_at=time_, updated_at=time_
    )
    return person_document(state, SCHEMA)


def _by_id(stack: Stack, sizes: Sizes, service: Running, floor: Running, ids: list[str]) -> Row:
    chosen = random.Random(7).choices(ids, k=BY_ID_REQUESTS)
    requests = [request("GET", f"/people/{person_id}", token=stack.token) for person_id in chosen]

    def run(running: Running) -> Sample:
        return measured(stack, Job(running.port, requests, DEPTH, sizes.seconds), running, 200)

    run(floor)
    sides = in_turns("read by id", sizes.pairs, lambda _: run(service), lambda _: run(floor))
    return compare(stack.named("read by id"), *sides, BY_ID_WANTED)


def _pages(stack: Stack, sizes: Sizes, service: Running, floor: Running) -> list[Row]:
    wanted = random.Random(7).sample(range(1, sizes.deep_page + 1), min(PAGE_REQUESTS, sizes.deep_page))
    requests: dict[Running, list[bytes]] = {}
    for running, walk in ((service, walk_ours), (floor, _walk_floor)):
        targets = list(islice(walk(running.port, stack.token), sizes.deep_page))
        requests[running] = [request("GET", targets[page - 1], token=stack.token) for page in wanted]
        if running is service:
            deep = _deep(service, stack, targets[0], targets[-1], sizes.deep_page)

    def run(running: Running) -> Sample:
        return measured(stack, Job(running.port, requests[running], DEPTH, sizes.seconds), running, 200)

    sides = in_turns("page of 50", sizes.pairs, lambda _: run(service), lambda _: run(floor))
    return [compare(stack.named("page of 50"), *sides, PAGE_WANTED), deep]


def walk_ours(port: int, token: str) -> Iterator[str]:
    """Give the target of each page in turn, up to the last."""
    target = "/people?limit=50"
    while True:
        yield target
        following = _get(port, target, token)["next"]
        if following is None:
            return
        target = f"/people?{urlencode({'limit': 50, 'cursor': following})}"


def _walk_floor(port: int, token: str) -> Iterator[str]:
    target = "/people"
    while True:
        yield target
        target = f"/people?{urlencode(_get(port, target, token)['next'])}"


_open: dict[int, http.client.HTTPConnection] = {}


def _get(port: int, target: str, token: str) -> Any:
    connection = _open.setdefault(port, http.client.HTTPConnection("127.0.0.1", port, timeout=10))
    connection.request("GET", target, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    content = response.read()
    if response.status != http.client.OK:
        raise RuntimeError(f"{response.status} from {target}: {content[:300]!r}")
    return orjson.loads(content)


def _deep(service: Running, stack: Stack, first: str, deep: str, number: int) -> Row:
    """Return how long the deep page takes, beside the first one, asked in turns by one client."""
    times: dict[str, list[float]] = {first: [], deep: []}
    for _ in range(DEEP_SAMPLES):
        for target, seen in times.items():
            began = time.perf_counter()
            _get(service.port, target, stack.token)
            seen.append((time.perf_counter() - began) * 1000)
    medians = {"first_ms": median(times[first]), "deep_ms": median(times[deep])}
    ratio = medians["deep_ms"] / medians["first_ms"]
    return Row(
        stack.named(f"page {number:,} beside page 1"),
        f"{medians['deep_ms']:.2f} ms",
        f"{medians['first_ms']:.2f} ms",
        f"{ratio:.2f}",
        f"≤ {DEEP_WANTED:.2f}",
        ratio <= DEEP_WANTED,
        {**medians, "ratio": ratio},
    )
