"""A log of many people to be tampered with, and a run of the verifier on it."""

import dataclasses
import io
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from events.log.commitments import jcs, root_of_values
from events.log.event import (
    ATTRIBUTES,
    GENESIS,
    RecordedEvent,
    clear_data,
    export_line,
    hash_of,
    sealed_values,
)
from operations.proof.checkpoint_folder import Key, write_checkpoint
from service_kit.seals.opening import ERASED
from service_kit.seals.person_key import PersonKey
from verifier import Checkpoint, Head, KnownHeads, key_id, read_chain
from verifier.__main__ import main

KEY = Key(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
PUBLIC = KEY.private.public_key()
KEYS = {key_id(PUBLIC): PUBLIC}
START = datetime(2026, 1, 31, 8, tzinfo=UTC)
SEALING = PersonKey(bytes(range(64)))
"""The key of everybody in these logs."""
SEALED = ("@source_address", "first_name", "last_name")
Log = list[RecordedEvent]


class SomeKeys:
    """Has the same key for everybody, as a query API sees it.

    Args:
        key: The key, or `ERASED`.
    """

    def __init__(self, key: PersonKey | None = SEALING) -> None:
        self.key = key

    async def load(self, person_ids: Collection[str]) -> dict[str, PersonKey | None]:
        return dict.fromkeys(person_ids, self.key)

    def forget(self, person_id: str) -> None:
        self.key = ERASED


def event(person_id: str, version: int, prev: str, **changes: Any) -> RecordedEvent:
    """Return an event that is sealed as a worker seals it."""
    time = START + timedelta(seconds=version)
    kind = "person.created" if version == 1 else "person.updated"
    content: dict[str, Any] = {
        "event_id": f"{person_id}.{version}",
        "person_id": person_id,
        "version": version,
        "type": kind,
        "schema": 2,
        "data": {"first_name": "Zoé", "last_name": f"Ñu\t{version}", "grade": version},
        "command_id": f"c-{person_id}-{version}",
        "actor": "ada",
        "actor_name": None,
        "accepted_at": time,
        "applied_at": time + timedelta(milliseconds=7),
        "correlation_id": f"c-{person_id}-{version}",
        "causation_id": None,
        "traceparent": None,
        "source_address": "127.0.0.1",
        "user_agent": None,
        "person_schema": 1,
        "prev": prev,
        "hash": "",
    }
    content |= changes
    made = RecordedEvent(**{"sealed_fields": _sealed_fields(content), **content})
    secret = sealed_values(made)
    salts = SEALING.salts(made.event_id, len(secret))
    made = resealed(made, values=root_of_values(salts, secret.items()))
    return dataclasses.replace(made, sealed=SEALING.seal(made.hash, jcs(secret))) if secret else made


def _sealed_fields(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what is sealed of an event: all of a person's but the grade."""
    if not content["type"].startswith("person."):
        return ()
    attributes = [name for name, attribute in ATTRIBUTES.items() if content[attribute] is not None]
    return (*attributes, *sorted(content["data"].keys() - {"grade"}))


def resealed(of: RecordedEvent, **changes: Any) -> RecordedEvent:
    """Return an event with some changes and the hash that it then must bear; what it seals stays."""
    changed = dataclasses.replace(of, **changes)
    return dataclasses.replace(changed, hash=hash_of(changed))


def closed(of: RecordedEvent) -> RecordedEvent:
    """Return an event as it is read from an export: without what is sealed in it."""
    absent: dict[str, Any] = dict.fromkeys(ATTRIBUTES.values())
    return dataclasses.replace(of, **absent, data=clear_data(of), sealed=None, idempotency_id=None)


def stream(person_id: str, length: int) -> Log:
    """Return a person's events."""
    events: Log = []
    for version in range(1, length + 1):
        events.append(event(person_id, version, events[-1].hash if events else GENESIS))
    return events


def heads(log: Sequence[RecordedEvent]) -> list[Head]:
    """Return the head of each person, in order."""
    last = {one.person_id: one for one in sorted(log, key=lambda one: one.version)}
    return [Head(one.person_id, one.version, one.hash) for _, one in sorted(last.items())]


def checkpoint(folder: Path, log: Sequence[RecordedEvent]) -> Checkpoint:
    """Add a checkpoint of a log to a folder."""
    with KnownHeads(":memory:") as known:
        chain = read_chain(folder, KEYS, known)
        assert not chain.findings
        return write_checkpoint(folder, KEY, iter(heads(log)), known, chain.last)


def lines(log: Sequence[RecordedEvent]) -> bytes:
    """Return a log as it is exported."""
    return b"".join(export_line(one) + b"\n" for one in log)


def verify(directory: Path, log: bytes, checkpoints: Path | None = None) -> tuple[int, list[dict[str, Any]]]:
    """Run the standalone verifier; return its exit status and what it found."""
    path = directory / "log.ndjson"
    path.write_bytes(log)
    arguments = [str(path), "--json"]
    if checkpoints:
        public = directory / "checkpoint.pub"
        public.write_bytes(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        arguments += ["--checkpoints", str(checkpoints), "--public-key", str(public)]
    with redirect_stdout(io.StringIO()) as out:
        status = main(arguments)
    return status, [json.loads(line) for line in out.getvalue().splitlines()]


class AllKeys:
    """Has the key of everybody in these logs."""

    async def load(self, person_ids: Collection[str]) -> dict[str, PersonKey | None]:
        return dict.fromkeys(person_ids, SEALING)


ALL_KEYS = AllKeys()
