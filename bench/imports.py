"""Measures `import`: very many rows of CSV from one client, with and without a worker; then their export."""

from __future__ import annotations

import csv
import http.client
import io
import json
import threading
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from bench import queues
from bench.audit import get, lines_of
from bench.results import Row, Sample, at_least, at_most, note
from bench.sizes import Sizes
from bench.stack import Running, Stack
from devstack.demo.people import demo_person
from events.person.schema.reading import default_schema

IMPORTED = "bench_imported"
IMPORT_WANTED = 6_000.0
EXPORT_WANTED = 30_000.0
MEMORY_WANTED_MB = 200.0
WAIT_WANTED_MS = 50.0
_FORMS = {"NDJSON": "application/x-ndjson", "CSV": "text/csv"}
_ROWS_AT_ONCE = 500


def imports(stack: Stack, sizes: Sizes) -> list[Row]:
    """Import so many rows without a worker, then with one; then export everybody."""
    rows = []
    for workers in (0, 1):
        queues.purge(stack.rabbit.url)
        stack.fresh(IMPORTED)
        service = stack.service("command_api", IMPORTED)
        running = [stack.service("workers", IMPORTED) for _ in range(workers)]
        words = "beside a worker" if workers else "no worker"
        sample, waits = _import(stack, service, sizes.imported)
        waits.sort()
        p99 = waits[len(waits) * 99 // 100]
        note(f"  import, {words}: {sample.rate:,.0f} rows/s; others waited {p99:.0f} ms (p99)")
        used = ", ".join(f"{who} {us:.0f}" for who, us in sample.cpu_us.items())
        note(f"    processor time each, µs: {used}")
        more = {"cpu_us": sample.cpu_us, "rows": sizes.imported}
        rows.append(at_least(f"import, {words}", sample.rate, IMPORT_WANTED, "/s", **more))
        rows.append(at_most(f"others while it imports, {words}, p99", p99, WAIT_WANTED_MS, "ms"))
        memory = service.resident_mb()["highest"]
        rows.append(at_most(f"memory: command_api, {words}", memory, MEMORY_WANTED_MB, "MB"))
        stack.end(service)
        if workers:
            rows += _applied(stack, sizes.imported, sample)
        for one in running:
            stack.end(one)
    return rows + _export(stack, sizes)


def _import(stack: Stack, service: Running, count: int) -> tuple[Sample, list[float]]:
    """Send the rows; return the rate, and how long health checks took meanwhile, in milliseconds."""
    body = list(_file(count))
    done, waits = threading.Event(), [0.0]
    asking = threading.Thread(target=_ask, args=(service.port, done, waits))
    before, began = stack.cpu(service), time.perf_counter()
    asking.start()
    try:
        connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=600)
        headers = {"Authorization": f"Bearer {stack.token}", "Content-Type": "text/csv"}
        connection.request("POST", "/people/import", iter(body), headers, encode_chunked=True)
        told = json.loads(connection.getresponse().read())
        connection.close()
    finally:
        done.set()
        asking.join()
    seconds = time.perf_counter() - began
    if told["accepted"] != count:
        raise RuntimeError(f"not all rows were accepted: {told}")
    used = {who: (at - before[who]) / count * 1e6 for who, at in stack.cpu(service).items()}
    return Sample(count / seconds, used, {"import_id": told["import_id"], "began": began}), waits


def _ask(port: int, done: threading.Event, waits: list[float]) -> None:
    """Ask for something small, again and again."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    while not done.wait(0.05):
        began = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        waits.append((time.perf_counter() - began) * 1000)
    connection.close()


def _applied(stack: Stack, count: int, sample: Sample) -> list[Row]:
    """Wait until all is applied; return how fast that was, and how long asking for the counts takes."""
    service = stack.service("query_api", IMPORTED)
    deadline = time.monotonic() + max(120.0, count / 500)
    path = f"/imports/{sample.more['import_id']}"
    times = []
    while True:
        began = time.perf_counter()
        status = _json(service, path, stack.token)
        times.append((time.perf_counter() - began) * 1000)
        if status["state"] == "finished":
            break
        if time.monotonic() > deadline:
            raise TimeoutError(f"not applied in time: {status}")
        time.sleep(0.5)
    stack.end(service)
    if status["applied"] != count:
        raise RuntimeError(f"not all rows were applied: {status}")
    rate = count / (time.perf_counter() - sample.more["began"])
    asked = median(times)
    note(f"  applied {rate:,.0f} rows/s, as the import itself tells; asking took {asked:.0f} ms (median)")
    return [at_most("import status, median", asked, WAIT_WANTED_MS, "ms", applied_per_second=rate)]


def _json(service: Running, path: str, token: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
    try:
        return json.loads(get(connection, path, token).read())
    finally:
        connection.close()


def _export(stack: Stack, sizes: Sizes) -> list[Row]:
    service = stack.service("query_api", IMPORTED)
    rows = []
    for form, media_type in _FORMS.items():
        began = time.perf_counter()
        count = lines_of(stack, service, "/people/export", media_type) - (form == "CSV")
        rate = count / (time.perf_counter() - began)
        if count != sizes.imported:
            raise RuntimeError(f"{count:,} lines of {sizes.imported:,} people")
        note(f"  export of people, {form}: {rate:,.0f}/s")
        rows.append(at_least(f"export of people, {form}", rate, EXPORT_WANTED, "/s"))
    stack.weigh("query_api", service)
    stack.end(service)
    return rows


def _file(count: int) -> Iterator[bytes]:
    """Yield a CSV file in pieces."""
    text = io.StringIO()
    writer = csv.DictWriter(text, default_schema().names, restval="")
    writer.writeheader()
    for number in range(count):
        writer.writerow(demo_person(number))
        if number % _ROWS_AT_ONCE == _ROWS_AT_ONCE - 1 or number == count - 1:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
