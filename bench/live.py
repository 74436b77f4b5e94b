"""Measures `live`: how old an event is when each of 100 clients has it; memory for 1,000 idle ones."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from bench import queues
from bench.follow import Followed, FollowJob
from bench.load import in_process
from bench.payloads import as_sealed, create_commands, update_commands
from bench.results import Row, at_most, note
from bench.sizes import Sizes
from bench.stack import OURS, Running, Stack
from bench.visible import FIRST_NEW, RATE, UPDATED_PEOPLE, cpu_of, wait_for_events

LIMIT_MS = 100.0
CLIENTS = 100
IDLE_CLIENTS, IDLE_MB = 1_000, 150.0
LEAD_SECONDS, WARM_SECONDS = 3.0, 4.0


def live(stack: Stack, sizes: Sizes) -> list[Row]:
    """Run a worker and a query API; first let many clients wait, then some follow a steady load.

    The commands come straight from the broker's queues: what is measured begins when they are applied, and
    two cores that also took them by HTTP would be busy with that.
    """
    stack.fresh(OURS)
    queues.purge(stack.rabbit.url)
    services = {name: stack.service(name, OURS) for name in ("query_api", "workers")}
    people = create_commands(range(UPDATED_PEOPLE))
    queues.fill(stack.rabbit.url, as_sealed(people, stack.transport_key))
    wait_for_events(stack, len(people))
    rows = [_idle(stack, services["query_api"])]
    ids = [person_id for person_id, _ in people]
    rows.append(_busy(stack, services, ids, sizes.visible_seconds))
    for name, running in services.items():
        stack.weigh(name, running)
        stack.end(running)
    return rows


def _follow(stack: Stack, query_api: Running, clients: int, seconds: float, warm: float) -> Followed:
    job = FollowJob(query_api.port, stack.token, clients, seconds, warm, query_api.child.pid or 0)
    followed = in_process(job, "bench.follow")
    assert isinstance(followed, Followed)
    return followed


def _idle(stack: Stack, query_api: Running) -> Row:
    before = query_api.resident_mb()["now"]
    followed = _follow(stack, query_api, IDLE_CLIENTS, 3.0, 0.0)
    note(f"  live: {before:,.0f} MB without clients, {followed.resident_mb:,.0f} MB with {IDLE_CLIENTS:,}")
    row = at_most(
        f"memory, {IDLE_CLIENTS:,} idle live clients", followed.resident_mb, IDLE_MB, "MB", before=before
    )
    return replace(row, ok=row.ok and not followed.lost)


def _busy(stack: Stack, services: dict[str, Running], ids: list[str], seconds: float) -> Row:
    count = round(RATE * (WARM_SECONDS + seconds))
    creates = create_commands(range(FIRST_NEW, FIRST_NEW + count // 2))
    updates = [update for _ in range(-(-count // (2 * len(ids)))) for update in update_commands(ids)]
    commands = [one for pair in zip(creates, updates, strict=False) for one in pair]
    whole = LEAD_SECONDS + WARM_SECONDS + seconds
    before = cpu_of(stack, services)
    with ThreadPoolExecutor(1) as beside:
        following = beside.submit(
            _follow, stack, services["query_api"], CLIENTS, whole - 1.0, LEAD_SECONDS + WARM_SECONDS
        )
        time.sleep(LEAD_SECONDS)
        queues.trickle(stack.rabbit.url, as_sealed(commands, stack.transport_key), RATE)
        followed = following.result()
    wait_for_events(stack, len(ids) + len(commands))
    used = cpu_of(stack, services)
    cpu_us = {who: (seconds_used - before[who]) * 1e6 / len(commands) for who, seconds_used in used.items()}
    cpu_us["clients"] = followed.cpu_seconds * 1e6 / len(commands)
    note(
        "  live: processor time for each event, µs: "
        + ", ".join(f"{w} {us:,.0f}" for w, us in cpu_us.items())
    )
    spread = {f"p{share:g}": followed.percentile(share / 100) for share in (50, 95, 99, 100)}
    note("  live, applied to received: " + ", ".join(f"{k} {v:.1f} ms" for k, v in spread.items()))
    few, many = min(followed.events), max(followed.events)
    note(
        f"  live: events for each client {few:,}–{many:,}; lost {followed.lost}, out of order {followed.gaps}"
    )
    row = at_most(
        f"live at {RATE}/s, {CLIENTS} clients, p99",
        spread["p99"],
        LIMIT_MS,
        "ms",
        milliseconds=spread,
        events=[few, many],
        cpu_us=cpu_us,
        lost=followed.lost,
        gaps=followed.gaps,
    )
    return replace(row, ok=row.ok and not followed.lost + followed.gaps)
