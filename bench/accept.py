"""Measures `accept`: POST /people until the broker has confirmed, beside bare FastAPI doing the same."""

from __future__ import annotations

from bench import queues
from bench.load import Job, Outcome, closed
from bench.payloads import create_requests
from bench.results import Row, Sample, compare, in_turns, note
from bench.sizes import Sizes
from bench.stack import FLOOR, OURS, Running, Stack

WANTED = 0.75
DEPTH = 64
BODIES = 5_000


def generator_rate(stack: Stack, sizes: Sizes) -> float:
    """Return how many requests a second the load generator manages when the server does nothing."""
    echo = stack.floor("floor_echo", FLOOR)
    outcome = closed(Job(echo.port, create_requests(range(BODIES), stack.token), DEPTH, sizes.seconds))
    stack.end(echo)
    note(f"  load generator: {outcome.rate:,.0f} requests/s against a server that does nothing")
    return outcome.rate


def accept(stack: Stack, sizes: Sizes) -> list[Row]:
    """Run both sides in turns; no worker runs, and the queues are emptied in between."""
    requests = create_requests(range(BODIES), stack.token)
    service = stack.service("command_api", OURS)
    floor = stack.floor("floor_accept", FLOOR)

    def run(running: Running) -> Sample:
        queues.purge(stack.rabbit.url)
        job = Job(running.port, requests, DEPTH, sizes.seconds)
        return measured(stack, job, running, 202)

    ours, theirs = in_turns("accept", sizes.pairs, lambda _: run(service), lambda _: run(floor))
    stack.weigh("command_api", service)
    stack.end(service)
    stack.end(floor)
    queues.purge(stack.rabbit.url)
    return [compare("accept", ours, theirs, WANTED)]


def measured(stack: Stack, job: Job, running: Running, status: int) -> Sample:
    """Run a job and return its sample.

    Raises:
        RuntimeError: An answer had another status.
    """
    before = stack.cpu(running)
    outcome = closed(job)
    used = {who: seconds - before[who] for who, seconds in stack.cpu(running).items()}
    wrong = {code: count for code, count in outcome.statuses.items() if code != status}
    if wrong:
        raise RuntimeError(f"answers with another status than {status}: {wrong}")
    # The processor time covers the warm-up too, at about the same rate.
    operations = outcome.rate * (outcome.seconds + job.warm_seconds)
    cpu_us = {who: seconds * 1e6 / operations for who, seconds in used.items()}
    return Sample(outcome.rate, cpu_us, _more(outcome))


def _more(outcome: Outcome) -> dict[str, float]:
    return {
        "p50_ms": outcome.percentile(0.5),
        "p99_ms": outcome.percentile(0.99),
        "generator_cpu_share": outcome.cpu_seconds / outcome.seconds,
    }
