"""Verifying the log in MongoDB, as an operator does; the log is altered behind everybody's back."""

import asyncio
import json
import os
import signal
import sys
from contextlib import closing

import pytest

from events.errors import StoreUnavailable
from events.log.event import export_line
from operations.addresses import DatabaseAddress
from operations.log_walk import Range, walk_ranges
from operations.proof.chain_walk import ChainWalker, Job
from tests.chained import KEYS, checkpoint
from tests.store.given import streams
from tests.store.log import findings, harm
from tests.system import ROOT, eventually
from verifier import KnownHeads, read_chain


async def test_a_good_log_is_fine_and_what_is_altered_is_named(log):
    ids = await log.fill()
    status, out, err = await log.command("verify", "--jobs", 2)
    assert (status, out) == (0, [])
    assert "21 events in 12 streams" in err
    assert "nothing was altered" in err

    stored = await streams(log.store, ids)
    long = [person_id for person_id in ids if len(stored[person_id]) == 3]
    short = [person_id for person_id in ids if len(stored[person_id]) == 1]

    def do(events):
        events.update_one({"person_id": long[0], "version": 2}, {"$set": {"actor": "eve"}})
        events.delete_one({"person_id": long[1], "version": 1})
        events.update_one({"person_id": long[2], "version": 3}, {"$set": {"note": "added"}})
        events.update_one({"person_id": short[0], "version": 1}, {"$set": {"version": "1"}})
        events.insert_one({"_id": "stray", "person_id": 5, "version": 1, "command_id": "x"})
        events.insert_one({"_id": "nobody's", "version": 1, "command_id": "x"})

    harm(log, do)
    expected = {
        (long[0], 2, "altered"),
        (long[1], 1, "missing"),
        (long[2], 3, "altered"),
        (short[0], 0, "unlinked"),
        (None, None, "altered"),
    }
    assert await log.found() == expected
    assert findings(await log.command("verify", "--json", "--jobs", 2)) == expected
    _, out, _ = await log.here("verify", "--jobs", 1)
    assert len([line for line in out if "belongs to no person" in line]) == 2


async def test_every_sealed_value_is_proved_with_the_keys_and_what_is_not_it_is_named(log, tmp_path):
    ids = await log.fill()
    kek = tmp_path / "kek"
    kek.write_text(f"tests {bytes(range(32)).hex()}")
    kek.chmod(0o600)
    log.alone["ROLLCALL_KEK_FILE"] = str(kek)
    status, out, err = await log.here("verify", "--open", "--jobs", 1)
    assert (status, out) == (0, []), err
    assert "values proved and 0 of erased people: nothing was altered" in err
    status, _, err = await log.command("verify", "--open", "--jobs", 2)
    assert status == 0, err

    harm(
        log, lambda events: events.update_one({"person_id": ids[0], "version": 1}, {"$set": {"sealed": b"x"}})
    )
    assert await log.found("--open") == {(ids[0], 1, "damaged")}
    assert await log.verify() == set(), "without keys nobody sees what is sealed"

    kek.write_text(f"other {'0' * 64}")
    status, out, err = await log.here("verify", "--open", "--jobs", 1)
    assert (status, out) == (2, [])
    assert "no key-encryption key tests" in err


async def test_a_checkpoint_finds_what_is_gone_from_the_database(log, tmp_path):
    folder, keys = tmp_path / "checkpoints", tmp_path / "keys"
    key, public = keys / "checkpoint.key", keys / "checkpoint.pub"
    against = ("--checkpoints", folder, "--public-key", public)
    assert (await log.here("checkpoint-key", keys))[0] == 0
    assert (key.stat().st_mode & 0o777, public.stat().st_mode & 0o044) == (0o600, 0o044)
    assert (await log.here("checkpoint-key", keys))[0] == 1

    ids = await log.fill()
    assert (await log.here("checkpoint", "--jobs", 1, "--to", folder, "--key", key))[0] == 0
    ids = sorted([*ids, *await log.fill(3)])
    status, out, err = await log.here("checkpoint", "--jobs", 1, "--to", folder, "--key", key)
    assert status == 0
    assert "Checkpoint 2" in err and "3 changed" in err
    assert {file.stat().st_mode & 0o777 for file in folder.glob("checkpoint-*")} == {0o600}
    assert await log.verify(*against) == set()
    _, _, err = await log.here("verify", "--jobs", 1, *against)
    assert "2 checkpoints, the newest of " in err and out[0] in err

    stored = await streams(log.store, ids)
    export = tmp_path / "log.ndjson"
    export.write_bytes(b"\n".join(export_line(event) for one in stored.values() for event in one))
    long = [person_id for person_id in ids if len(stored[person_id]) == 3]

    def do(events):
        events.delete_one({"person_id": long[0], "version": 3})
        events.delete_many({"person_id": long[1]})

    harm(log, do)
    expected = {(long[0], 3, "truncated"), (long[1], 1, "removed")}
    assert await log.found(*against) == expected
    assert await log.verify() == set()
    status, out, _ = await log.here("checkpoint", "--jobs", 1, "--to", folder, "--key", key)
    assert (status, len(out), len(list(folder.glob("*.json")))) == (1, 2, 2)

    # Without the database, by the export of before.
    command = [sys.executable, "-m", "verifier", str(export), *map(str, against)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    assert await process.wait() == 0


async def test_streams_of_accounts_are_verified_with_those_of_people_wherever_they_are(
    log, mongo_clients, tmp_path
):
    folder, keys = tmp_path / "checkpoints", tmp_path / "keys"
    key, against = keys / "checkpoint.key", ("--checkpoints", folder, "--public-key", keys / "checkpoint.pub")
    assert (await log.here("checkpoint-key", keys))[0] == 0
    (person, *_) = await log.fill(4)
    await log.fill_accounts(mongo_clients["pymongo"], ("ada", "ben", "cy"))
    events: list[dict] = []

    def to_before(accounts):
        """Bring them to where an earlier version kept them."""
        events.extend(accounts.find())
        harm(log, lambda people: people.insert_many(events))
        accounts.delete_many({})

    harm(log, to_before, "account_events")
    assert (await log.here("checkpoint", "--jobs", 1, "--to", folder, "--key", key))[0] == 0
    harm(log, lambda accounts: accounts.insert_many(events), "account_events")
    assert await log.verify(*against) == set(), "while they are carried over, they are in both"
    harm(log, lambda people: people.delete_many({"person_id": {"$gte": "account:", "$lt": "account;"}}))
    assert await log.verify(*against) == set()
    status, _, err = await log.command("verify", "--jobs", 2, *against)
    assert (status, "13 events in 7 streams" in err) == (0, True), err
    assert (await log.here("checkpoint", "--jobs", 1, "--to", folder, "--key", key))[0] == 0
    first, second = (json.loads(one.read_text()) for one in sorted(folder.glob("*.json")))
    assert (first["merkle_root"], second["changed"]) == (second["merkle_root"], 0)
    _, lines, _ = await log.here("replay", "--to", "ndjson")
    times = [(one["applied_at"], one["version"]) for one in map(json.loads, lines)]
    assert (len(times), times) == (13, sorted(times))

    def do(accounts):
        accounts.update_one({"person_id": "account:ada", "version": 2}, {"$set": {"actor": "eve"}})
        accounts.delete_many({"person_id": "account:ben"})
        # What who keeps accounts could write.
        accounts.insert_one({"_id": "forged", "person_id": person, "version": 9, "command_id": "x"})
        accounts.insert_one({"_id": "nobody's", "version": 1, "command_id": "x"})

    harm(log, do, "account_events")
    expected = {("account:ada", 2, "altered"), ("account:ben", 1, "removed"), (None, None, "altered")}
    assert await log.found(*against) == expected
    _, out, _ = await log.here("verify", "--jobs", 1)
    assert len([line for line in out if "is none" in line or "belongs to no account" in line]) == 2
    assert await log.differences() == set(), "people are what the log of people says"


async def test_a_log_that_grows_while_it_is_verified_is_fine(log, tmp_path):
    await log.here("checkpoint-key", tmp_path)
    key = tmp_path / "checkpoint.key"
    growing = asyncio.Event()

    async def grow():
        while not growing.is_set():
            await log.fill(40)

    task = asyncio.create_task(grow())
    try:
        for _ in range(2):
            status, out, err = await log.command("checkpoint", "--to", tmp_path / "to", "--key", key)
            assert (status, len(out)) == (0, 1), err
    finally:
        growing.set()
        await task
    first, second = (json.loads(one.read_text()) for one in sorted((tmp_path / "to").glob("*.json")))
    assert second["changed"] >= second["streams"] - first["streams"] > 0
    assert (
        await log.verify("--checkpoints", tmp_path / "to", "--public-key", tmp_path / "checkpoint.pub")
        == set()
    )


async def test_a_secondary_that_is_behind_is_no_finding(log, tmp_path, monkeypatch):
    """What a walk finds on a secondary, it asks the primary for."""
    ids = await log.fill(4)
    stored = [event for one in (await streams(log.store, ids)).values() for event in one]
    checkpoint(tmp_path, stored)
    with KnownHeads(tmp_path / "known") as known:
        assert not read_chain(tmp_path, KEYS, known).findings
    with closing(ChainWalker(Job(log.address, tmp_path / "known"))) as walker:
        behind = [link for link in walker._reader.links(None, None) if link.version == 1]
        monkeypatch.setattr(walker._reader, "links", lambda after, to: iter(behind[1:]))
        walked = walker.walk(Range(0, None, None))
        assert (walked.findings, walked.people, walked.events) == ((), 4, len(stored))


async def test_on_a_schedule_checkpoints_are_made_until_it_is_ended(log, tmp_path):
    await log.fill(2)
    await log.here("checkpoint-key", tmp_path)
    folder, key = tmp_path / "to", tmp_path / "checkpoint.key"
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "operations",
            "checkpoint",
            "--to",
            str(folder),
            "--key",
            str(key),
            "--every",
            "1s",
        ),
        cwd=ROOT,
        env={**os.environ, **log.alone},
        stdout=asyncio.subprocess.PIPE,
    )
    try:

        async def three():
            return (folder / "checkpoint-000003.json").exists()

        await eventually(three)
        other = await log.command("checkpoint", "--to", folder, "--key", key)
        assert other[0] == 2 and "Another one is writing" in other[2]
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()
    assert process.returncode == 130
    assert not list(folder.glob("*.new"))


async def test_an_empty_log_is_fine(log, system):
    assert await log.verify() == set()
    nothing = DatabaseAddress(system.mongo.uri, "nothing-there")
    walk = walk_ranges(lambda: ChainWalker(Job(nothing)), 1)
    assert [(walked.events, walked.findings) for _, _, walked in walk] == [(0, ())]


async def test_a_database_that_is_away_is_said_so(log, monkeypatch):
    monkeypatch.setattr("operations.log_walk._PATIENCE_S", 0)
    monkeypatch.setattr("operations.log_reader._SELECTION_MS", 200)
    with pytest.raises(StoreUnavailable):
        list(walk_ranges(lambda: ChainWalker(Job(DatabaseAddress("mongodb://127.0.0.1:9/", "x"))), 1))
