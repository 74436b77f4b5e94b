"""The keys' rows under another key-encryption key: while people are created and erased, cut off, and by the verb."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import count

import pytest
import pytest_asyncio
from pymongo import MongoClient

from operations.__main__ import main
from operations.keys.kek_lines import read_keys
from operations.keys.rotating import rotate
from service_kit.mongo import key_rows
from service_kit.mongo.key_rows import KeyRows
from service_kit.mongo.keys import PersonKeys, keys_database
from service_kit.seals.kek import Keks
from service_kit.seals.opening import ERASED
from service_kit.seals.person_key import PersonKey
from service_kit.seals.wrapping import KEYS, LABELS, TRANSPORT, bound_to
from tests.store.given_keys import KEKS, NOW

BEFORE = Keks(KEKS)
AFTER = Keks(dict(reversed(KEKS.items())))
_people = (f"person-{number}" for number in count())


@pytest_asyncio.fixture
async def database(databases_of_tests) -> AsyncIterator[str]:
    async with databases_of_tests.empty() as name:
        yield name


def nothing(_count: int) -> None:
    """Show no progress."""


async def insert(keys: PersonKeys, number: int) -> dict[str, PersonKey]:
    """Put the keys of some new people on record."""
    made = {next(_people): PersonKey.new() for _ in range(number)}
    assert not await keys.insert(made)
    return made


def same(key: PersonKey, other: object) -> bool:
    return isinstance(other, PersonKey) and key.salts("event", 1) == other.salts("event", 1)


async def others(rows: KeyRows) -> dict[str, int]:
    """Return how many keys of each collection are under others than the new one, if any."""
    counts = await rows.counts()
    return {
        name: left
        for name, by_kek in counts.items()
        if (left := sum(n for kek, n in by_kek.items() if kek not in ("second", None)))
    }


async def test_all_collections_are_wrapped_anew_and_open_as_before(database, mongo_client):
    made = await insert(PersonKeys(mongo_client, database, BEFORE), 3)
    kept = mongo_client[keys_database(database)]
    for collection in (name for name in LABELS if name != KEYS):
        kek, key = BEFORE.wrap(b"of " + collection.encode(), bound_to(collection, "x"))
        await kept[collection].insert_one({"_id": "x", "kek": kek, "key": key, "made_at": "then"})
    rows = KeyRows(mongo_client, database)
    result = await rotate(rows, AFTER, nothing)
    assert (dict(result.rewrapped), result.closed) == (
        {KEYS: 3, **dict.fromkeys(set(LABELS) - {KEYS}, 1)},
        {},
    )
    assert await others(rows) == {}
    only_new = Keks({"second": KEKS["second"]})
    found = await PersonKeys(mongo_client, database, only_new).load(made)
    assert all(same(key, found[person]) for person, key in made.items())
    for collection in (name for name in LABELS if name != KEYS):
        row = await kept[collection].find_one({"_id": "x"})
        opened = only_new.unwrap(row["kek"], row["key"], bound_to(collection, "x"))
        assert (opened, row["made_at"]) == (b"of " + collection.encode(), "then")
    assert (await rotate(rows, AFTER, nothing)).rewrapped.total() == 0


async def test_what_changed_since_it_was_read_is_left_alone(database, mongo_client):
    keys, rows = PersonKeys(mongo_client, database, BEFORE), KeyRows(mongo_client, database)
    made = await insert(keys, 4)
    (batch,) = [batch async for batch in rows.under_others(KEYS, "second")]
    erased, rewrapped, anew, _ = (row.row_id for row in batch)
    await keys.destroy(erased, NOW)
    kept = mongo_client[keys_database(database)][KEYS]
    kek, key = made[rewrapped].wrapped(rewrapped, AFTER)
    await kept.update_one({"_id": rewrapped}, {"$set": {"kek": kek, "key": key}})
    _, other = made[anew].wrapped(anew, BEFORE)
    await kept.update_one({"_id": anew}, {"$set": {"key": other}})
    assert await rows.replace(batch, [replace(row, kek="second", key=b"mine") for row in batch]) == 1
    assert await kept.find_one({"_id": erased}, {"_id": 0, "erased_at": 0}) == {}
    assert (await kept.find_one({"_id": rewrapped}))["key"] == key
    assert (await kept.find_one({"_id": anew}))["key"] == other


async def test_a_rotation_goes_on_where_it_was_cut_off_and_misses_nobody_under_load(
    database, mongo_client, monkeypatch
):
    """Writers create people under either key and erase some, as services that are restarted one by one do."""
    monkeypatch.setattr(key_rows, "BATCH", 20)
    rows, work = KeyRows(mongo_client, database), asyncio.Event()
    made = await insert(PersonKeys(mongo_client, database, BEFORE), 300)
    erased: set[str] = set()
    cut = asyncio.Event()

    async def write(keks: Keks) -> None:
        keys = PersonKeys(mongo_client, database, keks)
        while not work.is_set():
            new = await insert(keys, 5)
            gone = next(iter(new))
            await keys.destroy(gone, NOW)
            erased.add(gone)
            made.update(new)

    class CutOff(Exception):
        """The process ends."""

    def cut_off(done: int) -> None:
        if done >= 60:
            cut.set()
            raise CutOff

    writers = [asyncio.create_task(write(keks)) for keks in (BEFORE, AFTER)]
    try:
        with pytest.raises(CutOff):
            await rotate(rows, AFTER, cut_off)
        assert cut.is_set() and (await others(rows))[KEYS] >= 200
        # Two at once do no harm; the one that is at work wraps what the writers of before go on to write.
        await asyncio.gather(rotate(rows, AFTER, nothing), rotate(rows, AFTER, nothing))
    finally:
        work.set()
        await asyncio.gather(*writers)
    # All writers of before have ended: what they wrote last is found, too.
    assert (await rotate(rows, AFTER, nothing)).closed == {}
    assert await others(rows) == {}
    found = await PersonKeys(mongo_client, database, Keks({"second": KEKS["second"]})).load(made)
    assert {person for person, key in found.items() if key is ERASED} == erased
    assert all(same(key, found[person]) for person, key in made.items() if person not in erased)


@pytest.fixture
def here(system, database, tmp_path, monkeypatch):
    """The command line on a database, with a file of its own for the keys."""
    path = tmp_path / "kek"
    path.write_text("".join(f"{id_} {key.hex()}\n" for id_, key in KEKS.items()))
    path.chmod(0o600)
    monkeypatch.setenv("ROLLCALL_MONGO_URI", system.mongo.uri)
    monkeypatch.setenv("ROLLCALL_MONGO_DB", database)
    monkeypatch.setenv("ROLLCALL_KEK_FILE", str(path))
    with MongoClient(system.mongo.uri, w="majority") as client:
        yield path, client[keys_database(database)]


def test_a_key_is_retired_only_once_nothing_is_wrapped_under_it(here, capsys):
    path, kept = here
    for collection, row in ((KEYS, "a"), (KEYS, "b"), (TRANSPORT, "c")):
        kek, key = BEFORE.wrap(b"x" * 64, bound_to(collection, row))
        kept[collection].insert_one({"_id": row, "kek": kek, "key": key})
    kept[KEYS].insert_one({"_id": "gone", "erased_at": NOW})

    def run(*words: str) -> tuple[int, str]:
        status = main(["keys", *words])
        said = capsys.readouterr()
        assert not any(key.hex()[:8] in said.out + said.err for key in KEKS.values())
        return status, said.out + said.err

    assert run("retire", "first") == (
        1,
        "first is the current key: make another one so, with `rollcall keys use`.\n",
    )
    assert run("use", "second")[0] == 0
    status, said = run("retire", "first")
    assert (status, "Under first are still wrapped 2 of keys, 1 of transport" in said) == (1, True)
    status, said = run("list")
    assert (status, [line.split() for line in said.splitlines()]) == (
        0,
        [
            ["KEK", "STATE", "KEYS", "TRANSPORT", "SECRETS", "ACCESS_KEYS"],
            ["second", "current", "0", "0", "0", "0"],
            ["first", "known", "2", "1", "0", "0"],
            ["(destroyed)", "1", "0", "0", "0"],
        ],
    )
    assert run("rotate") == (0, "Wrapped 3 keys anew under second.\n")
    status, said = run("retire", "first")
    assert (status, "Nothing is wrapped under first." in said) == (0, True)
    assert (list(read_keys(path)), path.stat().st_mode & 0o777) == (["second"], 0o600)
    assert run("retire", "first")[1].endswith(f"There is no key first in {path}: there is second.\n")


def test_what_does_not_open_is_named_and_a_key_that_is_missing_too(here, capsys):
    _, kept = here
    kek, key = BEFORE.wrap(b"x" * 64, bound_to(KEYS, "another"))
    kept[KEYS].insert_one({"_id": "moved", "kek": kek, "key": key})
    kept[TRANSPORT].insert_one({"_id": "old", "kek": "lost", "key": key})
    main(["keys", "use", "second"])
    capsys.readouterr()
    assert main(["keys", "rotate"]) == 1
    said = capsys.readouterr().err
    assert "moved in keys does not open, and perhaps others: what was wrapped by" in said
    assert "old in transport does not open, and perhaps others: there is no key-encryption key lost" in said
    assert "Under other keys are still 1 of keys, 1 of transport." in said
    assert main(["keys", "list", "--json"]) == 1
    said = capsys.readouterr()
    lines = {line["kek"]: line for line in map(json.loads, said.out.splitlines())}
    assert (lines["lost"]["state"], lines["lost"][TRANSPORT]) == ("MISSING", 1)
    assert "Put back into" in said.err
