"""Measures `verify`: a walk over the whole log that recomputes every hash, with one process for each core."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from typing import Any, Final

from bench.payloads import SCHEMA, changes, stored_fields
from bench.results import Row, at_least, note
from bench.sizes import Sizes
from bench.stack import OURS, Stack
from devstack.paths import ROOT
from events.log.event import GENESIS, Event, RecordedEvent, record
from events.log.stored import event_document
from events.person.claims import ClaimNames, ClaimSecret
from events.person.commands import CreatePerson, UpdatePerson
from events.person.fields import stored_forms
from events.times import to_milliseconds
from operations.errors import SetupError
from service_kit.ids import new_id
from service_kit.seals.person_key import PersonKey

WANTED = 100_000
_KEY: Final = PersonKey(bytes(64))
LENGTH = 4
"""Events of each person."""
_BATCH = 5_000
_SECRET = ClaimSecret(1, "whole", b"bench" * 8)
_RATE = re.compile(r"([\d,]+) events of .* \(([\d,]+)/s\): nothing was altered")


def verify(stack: Stack, sizes: Sizes) -> list[Row]:
    """Fill a log with sealed events, and verify it as an operator does."""
    fill_log(stack, OURS, sizes.log)
    rates = []
    for _ in range(sizes.pairs):
        rates.append(_walk(stack, sizes.log))
        note(f"  verify {rates[-1]:8,.0f}/s")
    return [at_least(stack.named("verify"), median(rates), WANTED, "/s", rates=rates)]


def _walk(stack: Stack, events: int) -> float:
    command = [sys.executable, "-m", "operations", "verify"]
    done = subprocess.run(
        command, cwd=ROOT, env=stack.environment(OURS), capture_output=True, text=True, check=False
    )
    said = _RATE.search(done.stderr)
    if said is None or int(said[1].replace(",", "")) != events:
        raise SetupError(f"verify did not find the log in order: {done.stderr or done.stdout}")
    return float(said[2].replace(",", ""))


def fill_log(stack: Stack, database: str, events: int) -> None:
    """Make a database with so many sealed events, and the claims of the people who have them."""
    note(f"  storing {events:,} events")
    stack.fresh(database)
    documents = (event_document(event) for n in range(events // LENGTH) for event in _stream(n))
    with stack.client() as client:
        while batch := list(islice(documents, _BATCH)):
            client[database]["events"].insert_many(batch, ordered=False)
            claims = [one for document in batch if document["version"] == 1 for one in _claims(document)]
            client[database]["claims"].insert_many(claims, ordered=False)


def _claims(document: dict[str, Any]) -> list[dict[str, Any]]:
    names = ClaimNames(SCHEMA, [_SECRET]).held(document["data"])
    return [{"_id": name, "person_id": document["person_id"], "version": 1} for name in names]


def _stream(number: int) -> Iterator[RecordedEvent]:
    """Yield a person's events, as the workers make them."""
    person_id, prev, forms = new_id(), GENESIS, stored_forms(SCHEMA)
    now = to_milliseconds(datetime.now(UTC))
    for version in range(1, LENGTH + 1):
        command_id = new_id()
        stamp: dict[str, Any] = {
            "command_id": command_id,
            "person_id": person_id,
            "accepted_at": now,
            "actor": "bench",
            "correlation_id": command_id,
            "source_address": "127.0.0.1",
        }
        command: CreatePerson | UpdatePerson
        if version == 1:
            fields = stored_fields(number)
            event = Event("person.created", fields)
            command = CreatePerson.model_construct(data=forms.fields.model_construct(**fields), **stamp)
        else:
            event = Event("person.updated", changes(number + version))
            command = UpdatePerson.model_construct(data=forms.changes.model_construct(), **stamp)
        applied_at = now + timedelta(milliseconds=version)
        recorded = record(
            event,
            command,
            schema=SCHEMA,
            key=_KEY,
            event_id=new_id(),
            version=version,
            applied_at=applied_at,
            prev=prev,
        )
        prev = recorded.hash
        yield recorded
