"""Measures `visible`: from a command until the query API shows its effect, from a secondary, at 500/s."""

from __future__ import annotations

import time
from dataclasses import replace

from bench import queues
from bench.load import in_process, percentile
from bench.pace import PaceJob, Watched
from bench.payloads import as_sealed, create_commands
from bench.results import Row, at_most, note
from bench.sizes import Sizes
from bench.stack import OURS, Cpu, Running, Stack, cpu_seconds

LIMIT_MS = 150.0
RATE = 500
UPDATED_PEOPLE = 1_000
FIRST_NEW = 1_000_000
"""Beyond the demo people of the other scenarios, since no two people may have one document."""


def visible(stack: Stack, sizes: Sizes) -> list[Row]:
    """Run the three services and send commands at a constant rate."""
    stack.fresh(OURS)
    queues.purge(stack.rabbit.url)
    command_api = stack.service("command_api", OURS)
    query_api = stack.service("query_api", OURS)
    worker = stack.service("workers", OURS)
    people = create_commands(range(UPDATED_PEOPLE))
    queues.fill(stack.rabbit.url, as_sealed(people, stack.transport_key))
    wait_for_events(stack, len(people))
    ids = [person_id for person_id, _ in people]
    job = PaceJob(command_api.port, query_api.port, stack.token, ids, FIRST_NEW, RATE, sizes.visible_seconds)
    services = {"command_api": command_api, "query_api": query_api, "workers": worker}
    before = cpu_of(stack, services)
    watched = in_process(job, "bench.pace")
    used = {who: seconds - before[who] for who, seconds in cpu_of(stack, services).items()}
    assert isinstance(watched, Watched)
    # A refused one (503) may have been applied all the same: only without any is the count known.
    if set(watched.statuses) == {202}:
        wait_for_events(stack, len(people) + watched.statuses[202])
    for name, running in services.items():
        stack.weigh(name, running)
        stack.end(running)
    sent = sum(watched.statuses.values())
    return [_row(watched, {who: seconds * 1e6 / sent for who, seconds in used.items()})]


def cpu_of(stack: Stack, services: dict[str, Running]) -> Cpu:
    """Return the processor time used so far by each service and by the servers."""
    used = stack.cpu(services["workers"])
    del used["own"]
    return {**{name: cpu_seconds(running.child) for name, running in services.items()}, **used}


def wait_for_events(stack: Stack, count: int) -> None:
    """Return when the log holds exactly so many events: everything that was accepted, once."""
    deadline = time.monotonic() + 20
    with stack.client() as client:
        while (found := client[OURS]["events"].count_documents({})) != count:
            if found > count or time.monotonic() > deadline:
                raise RuntimeError(f"the log holds {found} events, and {count} commands were accepted")
            time.sleep(0.1)


def _row(watched: Watched, cpu_us: Cpu) -> Row:
    spread = {}
    for name in ("due_to_visible", "accepted_to_visible", "late"):
        times = getattr(watched, name)
        spread[name] = {
            **{f"p{share:g}": percentile(times, share / 100) * 1000 for share in (50, 95, 99)},
            "max": max(times) * 1000,
        }
        note(f"  visible {name}: " + ", ".join(f"{k} {v:.1f} ms" for k, v in spread[name].items()))
    row = at_most(
        f"visible at {RATE}/s, p99",
        spread["accepted_to_visible"]["p99"],
        LIMIT_MS,
        "ms",
        milliseconds=spread,
        watched=len(watched.due_to_visible),
        statuses=dict(watched.statuses),
        cpu_us=cpu_us,
        missing=watched.missing,
    )
    used = ", ".join(f"{who} {us:,.0f}" for who, us in cpu_us.items())
    note(f"  visible: processor time for each command, µs: {used}")
    note(f"  visible: answers {dict(watched.statuses)}, never visible {len(watched.missing)}")
    return replace(row, ok=row.ok and set(watched.statuses) == {202} and not watched.missing)
