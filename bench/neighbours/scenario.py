"""Measures `neighbours`: a subject's create, read and page beside another's abuses, and when it is quiet."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Final

from pymongo.write_concern import WriteConcern

from bench.load import in_process, percentile
from bench.neighbours.abuses import ABUSES, READS
from bench.neighbours.asking import AbuseJob, Answered
from bench.neighbours.neighbour import CREATE, KINDS, NeighbourJob, Noticed
from bench.payloads import changes, stored_fields
from bench.read import fill
from bench.results import Row, at_most, note
from bench.sealing import put_keys, sealed
from bench.sizes import Sizes
from bench.stack import OURS, Stack
from events.log.event import EVENT_SCHEMA, GENESIS
from events.log.stored import event_of
from operations.accounts.signing_keys import add_signing_key
from service_kit.auth.signing import KeyRing
from service_kit.auth.tokens import SCOPES, issue_token
from service_kit.ids import new_id
from service_kit.milestones import Step, milestone_at, milestone_document, next_step
from service_kit.mongo.connection import Document
from service_kit.seals.person_key import PersonKey
from service_kit.settings import Settings

TIMES: Final = 5.0
"""So many times a quiet run's p99 may a neighbour's be."""
READ_MS: Final = 100.0
"""And so much may that of a read be, beside the abuses of reads."""
RATE: Final = 40.0
LEAD_SECONDS: Final = 1.0
"""How long an abuse goes on before what its neighbour notices counts."""
FIRST_NEW: Final = 2_000_000
SUBJECT_RATE: Final = "2000/10"
"""As it is by default: elsewhere in the benchmarks a subject may send what it can."""
_BATCH: Final = 2_000


def neighbours(stack: Stack, sizes: Sizes) -> list[Row]:
    """Run everything; a neighbour lives beside each abuse in turn."""
    ids = fill(stack, OURS, sizes.people)
    old, oldest = _old_people(stack, sizes.versions)
    environment = _accounts(stack.directory / "signing")
    services = {
        name: stack.service(name, OURS, **environment) for name in ("command_api", "query_api", "workers")
    }
    ports = services["command_api"].port, services["query_api"].port
    tokens = {who: _token(stack.directory / "signing", who) for who in ("neighbour", "abuser")}
    first = FIRST_NEW

    def neighbour(seconds: float) -> Noticed:
        nonlocal first
        job = NeighbourJob(*ports, tokens["neighbour"], ids, first, RATE, seconds, LEAD_SECONDS)
        first += int(RATE * (seconds + LEAD_SECONDS)) + 1
        noticed = in_process(job, "bench.neighbours.neighbour")
        assert isinstance(noticed, Noticed)
        return noticed

    quiet, beside = Noticed(), {}
    with ThreadPoolExecutor(1) as others:
        for name in sizes.beside or ABUSES:
            quiet.add(neighbour(sizes.beside_seconds))
            whole = sizes.beside_seconds + 2 * LEAD_SECONDS
            job = AbuseJob(name, *ports, tokens["abuser"], old, oldest, sizes.versions, whole)
            abusing = others.submit(in_process, job, "bench.neighbours.abuses")
            noticed = neighbour(sizes.beside_seconds)
            beside[name] = noticed, abusing.result()
            note(f"  quiet {_told(_p99(quiet))}; beside {name} {_told(_p99(noticed))}")
    rows = [_row(name, _p99(quiet), *pair) for name, pair in beside.items()]
    for service, running in services.items():
        stack.weigh(service, running)
        stack.end(running)
    return rows


def _told(p99: dict[str, float]) -> str:
    return ", ".join(f"{kind} {ms:.1f}" for kind, ms in p99.items()) + " ms"


def _row(name: str, quiet: dict[str, float], noticed: Noticed, answered: object) -> Row:
    """Return how a neighbour fares beside an abuse, whose answers must be honest, and its places few."""
    assert isinstance(answered, Answered)
    beside = _p99(noticed)
    times = {kind: beside[kind] / quiet[kind] for kind in KINDS}
    wrong = _wrong(name, noticed, answered)
    if name in READS:
        wrong += [f"{kind}: {ms:.0f} ms" for kind, ms in beside.items() if kind != CREATE and ms > READ_MS]
    note(f"  {name}: answered {dict(answered.statuses)}" + "".join(f"; {one}" for one in wrong))
    worst = max(times.values())
    told = vars(answered) | {"statuses": dict(answered.statuses)}
    details = {"quiet_ms": quiet, "beside_ms": beside, "answered": told, "wrong": wrong}
    row = at_most(f"beside {name}, p99 to quiet", worst, TIMES, "", **details)
    return replace(row, ok=row.ok and not wrong)


def _wrong(name: str, noticed: Noticed, answered: Answered) -> list[str]:
    """Return what was not as it must be, however long it took."""
    wrong = list(dict.fromkeys(answered.dishonest))
    for kind, statuses in noticed.statuses.items():
        if set(statuses) != {202 if kind == CREATE else 200}:
            wrong.append(f"the neighbour's {kind}: {dict(statuses)}")
    if held := ABUSES[name].held:
        share = Settings.model_fields[held].default.each
        if answered.most_open > share or not answered.refused:
            wrong.append(f"{answered.most_open} open, {answered.refused} refused; its share is {share}")
    return wrong


def _p99(noticed: Noticed) -> dict[str, float]:
    return {kind: percentile(times, 0.99) * 1000 for kind, times in noticed.latencies.items()}


def _accounts(folder: Path) -> dict[str, str]:
    """Return the settings with which the services keep accounts and sign their tokens themselves."""
    add_signing_key(folder, datetime.now(UTC) - timedelta(hours=1), "EdDSA")
    return {
        "ROLLCALL_JWT_KEY_FILE": "",
        "ROLLCALL_JWT_ALGORITHM": "EdDSA",
        "ROLLCALL_SIGNING_KEYS": str(folder),
        "ROLLCALL_RATE_SUBJECT": SUBJECT_RATE,
        # By default: elsewhere a subject may follow with all the clients that there may be.
        "ROLLCALL_STREAMS_AT_ONCE": str(Settings.model_fields["streams_at_once"].default),
    }


def _token(folder: Path, subject: str) -> str:
    signer = KeyRing(folder, "EdDSA").signer
    return issue_token(
        key=signer.private,
        kid=signer.kid,
        algorithm="EdDSA",
        issuer="rollcall",
        audience="rollcall",
        subject=subject,
        scopes=SCOPES,
        ttl_seconds=3600,
    )


def _old_people(stack: Stack, versions: int) -> tuple[str, str]:
    """Put the log of two people with so many versions into the log; return their ids.

    Of the first there are milestones, of the other none, as of somebody who was deleted.
    """
    note(f"  storing 2 x {versions:,} events")
    ids = new_id(), new_id()
    with stack.client() as client:
        concern = WriteConcern(w=stack.copies)
        events = client[OURS].get_collection("events", write_concern=concern)
        keys = {person_id: PersonKey.new() for person_id in ids}
        put_keys(client, OURS, keys, stack.keks)
        for person_id, key in keys.items():
            documents = (sealed(one, key) for one in _events_of(person_id, versions))
            while batch := list(islice(documents, _BATCH)):
                events.insert_many(batch, ordered=False)
        milestones, last = [], None
        for document in _events_of(ids[0], versions):
            last = _step(last, document)
            if (milestone := milestone_at(last)) is not None:
                milestones.append(milestone_document(milestone))
        client[OURS].get_collection("milestones", write_concern=concern).insert_many(milestones)
    return ids


def _step(last: Step | None, document: Document) -> Step:
    return next_step(document["person_id"], last, event_of(document))


def _events_of(person_id: str, versions: int) -> Iterator[Document]:
    """Yield a person's events, with hashes that are made up: nothing here looks at them."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for version in range(1, versions + 1):
        time_ = start + timedelta(seconds=version)
        yield {
            "_id": new_id(),
            "person_id": person_id,
            "version": version,
            "type": "person.updated" if version > 1 else "person.created",
            "schema": EVENT_SCHEMA,
            "data": changes(version) if version > 1 else stored_fields(1_000_001),
            "command_id": new_id(),
            "actor": "bench",
            "accepted_at": time_,
            "applied_at": time_ + timedelta(milliseconds=5),
            "correlation_id": person_id,
            "prev": GENESIS if version == 1 else f"{version - 1:064x}",
            "hash": f"{version:064x}",
            "source_address": "203.0.113.7",
            "user_agent": "people-ui/3.2",
        }
