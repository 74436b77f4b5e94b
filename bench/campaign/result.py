"""Ends a run: waits until everything is at rest, asks every checking verb, and writes the result."""

from __future__ import annotations

import time
from collections.abc import Iterator

from pymongo.errors import PyMongoError

from bench.campaign import counts
from bench.campaign.counts import Count, Log
from bench.campaign.director import Director
from bench.campaign.load import Load
from bench.campaign.stage import Stage
from operations.__main__ import VERBS
from operations.errors import SetupError
from service_kit.broker.topology import COMMANDS

READY_SECONDS, ANSWERED_SECONDS = 180.0, 120.0
DECIDED_SECONDS, HEARD_SECONDS = 180.0, 120.0
HOPELESS = 6
"""So many times less patience, once a restart of everything did not help either."""
_CHECKS = (("verify",), ("rebuild", "--check"), ("feed", "check"))
_POLL = 2.0


def conclude(stage: Stage, load: Load, director: Director) -> list[Count]:
    """Bring a run to rest, each step within its time, and count."""
    found: list[Count] = []
    stage.diary.note("bringing everything back")
    patience = 1.0
    if not director.recover(READY_SECONDS):
        stage.diary.note(f"NOT READY: {director.stuck[-1]}; everything is restarted, to count at least")
        patience = 1.0 if _restart(stage, director) else 1.0 / HOPELESS
    stage.diary.note("waiting for the last answers")
    load.stop(ANSWERED_SECONDS * patience, director.watch)
    left = _drained(stage, load, director, DECIDED_SECONDS * patience)
    found.append(Count.of("not decided or not drained in time", left))
    log = _heard(stage, load, director, HEARD_SECONDS * patience)
    found += counts.of_commands(log, load.where.promises)
    for had in load.listeners:
        found += counts.of_listener(log, had, load.warm)
    found += counts.of_clients(load.where.promises)
    found.append(Count.of("pictures that are not there", _pictures(load)))
    found.append(Count.of("not recovered by itself", director.stuck))
    found.append(Count("brokers restarted, as the supervisor does", director.restarts, wrong=False))
    return found + list(_checked(stage))


def _restart(stage: Stage, director: Director) -> bool:
    """Restart everything; return whether that helped."""
    for one in stage.kept:
        one.kill()
    stage.start_all()
    return director.recover(READY_SECONDS)


def depths(stage: Stage) -> dict[str, int]:
    """Return how many messages each of our queues holds, without the stream and the watch's."""
    try:
        said = stage.system.rabbit.ctl(
            "list_queues", "--quiet", "--no-table-headers", "name", "messages", timeout_s=30
        )
    except SetupError:
        return {"(the broker does not say)": 1}
    rows = (line.split() for line in said.splitlines())
    return {name: int(count) for name, count in (row for row in rows if len(row) == 2) if count.isdigit()}


def _undrained(stage: Stage, load: Load) -> list[str]:
    # Of a queue that has no leader, the broker says that it holds nothing.
    if down := sorted(load.watch.since):
        return [f"partitions that take nothing: {down}"]
    waiting = depths(stage)
    dead = f"{COMMANDS}.dead"
    return [
        f"{name}: {n}"
        for name, n in waiting.items()
        if n and name.startswith((COMMANDS, "(")) and name != dead
    ]


def _drained(stage: Stage, load: Load, director: Director, seconds: float) -> list[str]:
    """Wait until no queue holds a command; return what is left when time is over."""
    end = time.monotonic() + seconds
    quiet = 0
    while quiet < 2:
        left = _undrained(stage, load)
        quiet = 0 if left else quiet + 1
        if left and time.monotonic() > end:
            return left
        director.watch(_POLL)
    return []


def _read(stage: Stage, director: Director) -> Log:
    for _ in range(10):
        try:
            return Log.read(stage.system)
        except PyMongoError as exc:
            stage.diary.note(f"the log cannot be read: {exc!s:.200}")
            director.watch(5)
    return Log.read(stage.system)


def _heard(stage: Stage, load: Load, director: Director, seconds: float) -> Log:
    """Wait until each subscriber has had everything, or time is over; return the log of then."""
    log = _read(stage, director)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        lacking = {had.name: len(counts.missing(log, had, load.warm)) for had in load.listeners}
        if not any(lacking.values()):
            return log
        stage.diary.note(f"missing so far: {lacking}")
        director.watch(10)
        log = _read(stage, director)
    return log


def _pictures(load: Load) -> Iterator[str]:
    """Return the pictures of people who were promised one, and that cannot be seen."""
    for person_id in load.where.promises.pictures:
        person = load.read(f"/people/{person_id}", consistency="strong") or {}
        url = person.get("image_url")
        status = load.ask(url) if url else 0
        if status != 200:
            yield f"{person_id}: {url}: {status}"


def _checked(stage: Stage) -> Iterator[Count]:
    """Run every verb that checks; what it says in the end is told with it."""
    for verb in _CHECKS:
        if verb[0] not in VERBS:
            yield Count(f"(there is no ./run {' '.join(verb)})", 0, wrong=False)
            continue
        status, said = stage.run(*verb)
        lines = said.splitlines()
        stage.diary.note(f"./run {' '.join(verb)}: {status}, {lines[-1] if lines else ''}")
        yield Count(f"./run {' '.join(verb)}, exit status", abs(status), True, lines[-10:] if status else [])
    held = depths(stage)
    for name, number in held.items():
        if name.endswith(".dead"):
            yield Count(f"messages in {name}", number)
    if (broken := held.get("(the broker does not say)")) is not None:
        yield Count("brokers that do not answer", broken)


def table(topology: str, found: list[Count]) -> str:
    """Return the result as lines: what is wrong is marked, with examples."""
    width = max(len(count.name) for count in found)
    lines = [f"{topology}:"]
    for count in found:
        lines.append(f"  {count.name:<{width}} {count.number:>8,}{'' if count.ok else '   WRONG'}")
        if not count.ok:
            lines += [f"      {example}" for example in count.examples[:5]]
    return "\n".join(lines)
