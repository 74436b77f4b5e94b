"""Holds the log and every subscriber against what was promised, once everything is at rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from pymongo import MongoClient
from pymongo.read_concern import ReadConcern

from bench.campaign.listeners import Had
from bench.campaign.promises import EXAMPLES, Promises
from events.person.outcomes import UNCHANGED
from operations.log_opening import Opening, opened
from service_kit.seals.kek import KekFile, load_keks
from tests.system import System

_FIELDS = {
    "person_id": 1, "version": 1, "command_id": 1, "type": 1, "data": 1, "applied_at": 1,
    "hash": 1, "sealed_fields": 1, "sealed": 1,
}  # fmt: skip


@dataclass
class Count:
    """One line of the result.

    Attributes:
        name: What was counted.
        number: How many.
        wrong: Whether there must be none.
        examples: Some of them.
    """

    name: str
    number: int
    wrong: bool = True
    examples: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, name: str, found: Iterable[str]) -> Count:
        """Count what must not be there."""
        found = list(found)
        return cls(name, len(found), True, found[:EXAMPLES])

    @property
    def ok(self) -> bool:
        """Whether it is as promised."""
        return not self.wrong or self.number == 0


@dataclass
class Log:
    """What MongoDB has at the end.

    Attributes:
        events: Of people: id, person, version, command, mark and time, in no order.
        rejected: Codes by the id of the command that was refused.
        parked: Ids of the people who are parked.
        unchanged: The version that a command left as it was, by its id.
    """

    events: list[tuple[str, str, int, str, str | None, Any]]
    rejected: dict[str, str]
    parked: list[str]
    unchanged: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls, system: System) -> Log:
        """Read what is needed of the log."""
        with MongoClient[dict[str, Any]](system.mongo.uri, serverSelectionTimeoutMS=20_000) as client:
            database = client["rollcall"]

            def all_of(name: str, fields: Mapping[str, int]) -> Iterator[dict[str, Any]]:
                yield from database.get_collection(name, read_concern=ReadConcern("majority")).find(
                    {}, fields
                )

            opening = Opening("rollcall", load_keks(KekFile(system.kek_file)))
            events = [
                (e["_id"], e["person_id"], e["version"], e["command_id"], _mark(opened(*of)), e["applied_at"])
                for of in opening.beside(client, all_of("events", _FIELDS))
                for e in of[:1]
                if e["type"].startswith("person.")
            ]
            eventless = list(all_of("rejections", {"command_id": 1, "code": 1, "version": 1}))
            rejected = {r["command_id"]: r["code"] for r in eventless if r["code"] != UNCHANGED}
            unchanged = {r["command_id"]: r["version"] for r in eventless if r["code"] == UNCHANGED}
            parked = [str(p["_id"]) for p in all_of("parked", {"_id": 1})]
        return cls(events, rejected, parked, unchanged)


def _mark(event: Mapping[str, Any]) -> str | None:
    mark: str | None = event.get("data", {}).get("address")
    return mark


def of_commands(log: Log, promises: Promises) -> Iterator[Count]:
    """Count what became of the commands."""
    applied = Counter(command for _, _, _, command, _, _ in log.events)
    version_of = {command: version for _, _, version, command, _, _ in log.events}
    reverts = {command for command, promise in promises.commands.items() if promise.kind == "revert"}
    marks = Counter(mark for _, _, _, command, mark, _ in log.events if mark and command not in reverts)
    yield Count("acknowledged commands", len(promises.commands), wrong=False)
    yield Count("events of people in the log", len(log.events), wrong=False)
    yield Count("commands refused by the rules", len(log.rejected), wrong=False)
    yield Count.of("lost", _lost(log, promises, applied))
    doubled = [f"command {command}: {count} events" for command, count in applied.items() if count > 1]
    doubled += [f"{mark}: {count} events" for mark, count in marks.items() if count > 1]
    doubled += [f"command {command} is applied and refused" for command in applied if command in log.rejected]
    yield Count.of("doubled", doubled)
    yield Count.of("out of order", _disordered(promises, version_of))
    yield Count.of("gaps in a person's versions", _gaps(log))
    decided = {**log.unchanged, **version_of}
    told = (
        f"{p.kind} {p.person_id}: told version {p.version}, is {decided.get(command)}"
        for command, p in promises.commands.items()
        if p.version is not None and decided.get(command) != p.version
    )
    yield Count.of("answers that the log contradicts", told)
    refused = (f"{mark} was refused, and is in the log" for mark in promises.refused if marks[mark])
    yield Count.of("refused, yet applied", refused)
    wrongly = (
        f"{p.kind} {p.person_id} {p.mark}: {log.rejected[command]}"
        for command, p in promises.commands.items()
        if p.must_apply and command in log.rejected
    )
    yield Count.of("acknowledged, then refused for no reason", wrongly)
    rows = (
        f"import {import_id}: {mark} has {marks[mark]} events"
        for import_id in promises.whole
        for mark in promises.imported[import_id]
        if marks[mark] != 1
    )
    yield Count("imports", len(promises.whole), wrong=False)
    yield Count.of("rows of imports that are not there once", rows)
    yield Count.of("parked people", log.parked)


def _lost(log: Log, promises: Promises, applied: Counter[str]) -> Iterator[str]:
    for command, p in promises.commands.items():
        if command not in applied and command not in log.rejected and command not in log.unchanged:
            yield f"{p.kind} {p.person_id} {p.mark} (command {command})"


def _disordered(promises: Promises, version_of: Mapping[str, int]) -> Iterator[str]:
    for (client, person_id), commands in promises.in_order.items():
        versions = [version_of[command] for command in commands if command in version_of]
        for before, after in pairwise(versions):
            if after <= before:
                yield f"{client}, {person_id}: version {after} was acknowledged after {before}"


def _gaps(log: Log) -> Iterator[str]:
    streams: defaultdict[str, list[int]] = defaultdict(list)
    for _, person_id, version, *_ in log.events:
        streams[person_id].append(version)
    for person_id, versions in streams.items():
        if sorted(versions) != list(range(1, len(versions) + 1)):
            yield f"{person_id}: {sorted(versions)[:50]}"


def of_listener(log: Log, had: Had, warm: set[str]) -> Iterator[Count]:
    """Count what a subscriber lacks.

    Args:
        log: What there is.
        had: What it has had.
        warm: People of before every subscriber was there, who are nobody's to miss.
    """
    yield Count.of(f"missing: {had.name}", missing(log, had, warm))
    yield Count.of(f"out of order: {had.name}", had.late)
    if had.gone:
        yield Count(f"told that its position is gone: {had.name}", had.gone, wrong=False)
        yield Count(f"then taken from the log: {had.name}", had.fetched, wrong=False)
    if had.faults:
        yield Count(f"failed by itself: {had.name}", len(had.faults), True, list(had.faults))


def missing(log: Log, had: Had, warm: set[str]) -> list[str]:
    """Return the events that a subscriber has not had, the oldest first."""
    lacking = sorted(
        (time, f"{person_id} version {version} of {time:%H:%M:%S.%f} ({event_id})")
        for event_id, person_id, version, _, _, time in log.events
        if event_id not in had.ids and person_id not in warm
    )
    return [text for _, text in lacking]


def of_clients(promises: Promises) -> Iterator[Count]:
    """Count what clients saw themselves."""
    for name in ("asked again", "never answered", "refused when waited for", "imports resumed"):
        yield Count(name, promises.counts[name], wrong=False)
    yield Count("reads after a waited answer", promises.counts["reads after a waited answer"], wrong=False)
    for kind in {"reads that broke the wait promise": 0, "answers 500": 0, **promises.broken}:
        yield Count(kind, promises.counts[kind], True, promises.broken[kind])
