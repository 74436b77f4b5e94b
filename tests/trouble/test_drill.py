"""The drill: half of the people are erased, and what was theirs stands in no file but where it is said to stand.

MongoDB does not compress here, so that a search in its files can find something: first it must.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from random import Random

import aio_pika
import pytest
from bson.raw_bson import RawBSONDocument
from PIL import Image
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from devstack.first_start import set_up_queues
from devstack.servers.mongod import find_mongod
from service_kit.broker.topology import COMMANDS, DEAD, PARTITIONS, partition_of
from service_kit.ids import new_id
from service_kit.mongo.collections import keys_database
from service_kit.seals.messages import sealed_message
from tests.canaries import forms_of
from tests.pictures import saved
from tests.system import ROOT, System, eventually
from tests.transport import key_in

pytestmark = pytest.mark.long
WAIT = {"Prefer": "wait=20"}
STRONG = {"consistency": "strong"}
PEOPLE = 200
SOME = 10
"""So many of each kind have an image, wait for an operator, or left a dead letter."""
MARKS = {
    "erased": ("qzerasedperson", "+57300773111", "1903-03-13"),
    "living": ("qzlivingperson", "+57300773122", "1904-04-14"),
}
READ_MODEL = frozenset({"people", "milestones"})
"""Plain, for search; it is rebuilt and never backed up. Its pages are overwritten, not wiped."""
NOT_BACKED_UP = READ_MODEL | {"claims"}
UNCOMPRESSED = (
    *("--wiredTigerCollectionBlockCompressor", "none", "--wiredTigerJournalCompressor", "none"),
    *("--wiredTigerIndexPrefixCompression", "false"),
)
BLOCK = 32 * 1024 * 1024


def body(kind: str, number: int) -> dict[str, str]:
    """Return somebody whose every value has a mark of the kind."""
    mark, phone, born = MARKS[kind]
    letters = "".join(chr(ord("a") + int(digit)) for digit in f"{number:04}")
    return {
        "document_type": "passport",
        "document_id": f"{mark.upper()}{number:04}",
        "first_name": f"{mark.title()} {letters}",
        "middle_name": mark.title(),
        "last_name": f"{mark.title()} {letters}",
        "birth_date": born,
        "gender": "F",
        "email": f"{mark}.{number}@example.com",
        "phone": f"{phone}{number % 10}",
        "address": f"{mark.title()} street {number}",
        "occupation": f"{mark.title()} keeper",
    }


def picture(kind: str, number: int) -> bytes:
    """Return a picture that nobody else has."""
    noise = Random(f"{kind}{number}").randbytes(64 * 64 * 3)
    return saved(Image.frombytes("RGB", (64, 64), noise), "JPEG")


class Drill:
    """Servers whose files can be searched, and people of two kinds on them."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.journal = system.directory / "erasures"
        self.ids: dict[str, list[str]] = {kind: [] for kind in MARKS}
        self.images: dict[str, list[bytes]] = {kind: [] for kind in MARKS}

    async def serve(self) -> None:
        """Start one process of each service."""
        self.system.services.clear()
        names = ("command_api", "query_api", "workers")
        journal = {"ROLLCALL_ERASURE_JOURNAL": str(self.journal)}
        self.commands, self.queries, self.worker = (self.system.service(name, **journal) for name in names)
        for service in self.system.services:
            service.spawn()
        for service in self.system.services:
            await service.wait_ready()

    def leave(self) -> None:
        """Stop the services."""
        for service in self.system.services:
            service.stop()

    async def fill(self) -> None:
        """Let people live, in everything that keeps anything of people."""
        async with (
            self.system.client(self.commands) as commands,
            self.system.client(self.queries) as queries,
        ):
            for kind, (mark, _, _) in MARKS.items():
                commands.headers["User-Agent"] = f"{mark}-agent"
                queries.headers["User-Agent"] = f"{mark}-agent"
                for number in range(PEOPLE // 2):
                    created = await commands.post("/people", json=body(kind, number), headers=WAIT)
                    assert created.status_code == 201, created.text
                    self.ids[kind].append(created.json()["id"])
                    path = f"/people/{self.ids[kind][-1]}"
                    moved = {"address": f"{mark.title()} avenue {number}"}
                    assert (await commands.patch(path, json=moved, headers=WAIT)).status_code == 200
                for number, person_id in enumerate(self.ids[kind][:SOME]):
                    await self._show(commands, queries, kind, number, f"/people/{person_id}")
                await self._import(commands, kind)
                for query in ({"q": mark}, {"email": f"{mark}.1@example.com"}):
                    assert (await queries.get("/people", params=query)).status_code == 200
                await self._park(commands, self.ids[kind][SOME : 2 * SOME], mark)
                await self._bury(self.ids[kind][2 * SOME : 3 * SOME], mark)

    async def _show(self, commands, queries, kind: str, number: int, path: str) -> None:
        sent = {"file": ("x", picture(kind, number))}
        changed = await commands.patch(f"{path}/image", files=sent, headers=WAIT)
        assert changed.status_code == 200, changed.text
        stored = (await queries.get(changed.json()["image_url"])).content
        self.images[kind].append(stored[len(stored) // 2 :][:32])
        for way in (path, f"{path}/history", f"{path}/report"):
            assert (await queries.get(way, params=STRONG)).status_code == 200

    async def _import(self, commands, kind: str) -> None:
        mark = MARKS[kind][0]
        rows = [{mark: 1}, {**body(kind, 9_998), "email": mark}, {**body(kind, 9_999), "birth_date": mark}]
        lines = {"Content-Type": "application/x-ndjson"}
        content = "\n".join(map(json.dumps, rows))
        assert (await commands.post("/people/import", content=content, headers=lines)).status_code == 202

    async def _park(self, commands, person_ids: list[str], mark: str) -> None:
        with MongoClient(self.system.mongo.uri, w="majority") as client:
            for person_id in person_ids:
                client["rollcall"]["people"].update_one(
                    {"_id": person_id}, {"$set": {"created_at": "no time"}}
                )
            for person_id in person_ids:
                change = {"occupation": f"{mark.title()} waiting"}
                assert (await commands.patch(f"/people/{person_id}", json=change)).status_code == 202
            parked, wanted = client["rollcall"]["parked"], {"person_id": {"$in": person_ids}}

            async def all_wait() -> bool:
                return parked.count_documents(wanted) == len(person_ids)

            await eventually(all_wait)

    async def _bury(self, person_ids: list[str], mark: str) -> None:
        """Send what no worker can read: it goes to the dead letters."""
        connection = await aio_pika.connect(self.system.rabbit.url)
        async with connection, connection.channel() as channel:
            exchange = await channel.get_exchange(COMMANDS)
            dead = await channel.declare_queue(DEAD, passive=True)
            before = dead.declaration_result.message_count
            for person_id in person_ids:
                message = sealed_message(
                    key_in(self.system),
                    id_=new_id(),
                    type_="person.explode",
                    source="/rollcall/command-api",
                    content=json.dumps({"address": mark}).encode(),
                    person_id=person_id,
                )
                key = str(partition_of(person_id, PARTITIONS))
                await exchange.publish(aio_pika.Message(message, delivery_mode=2), key)

            async def all_dead() -> bool:
                queue = await channel.declare_queue(DEAD, passive=True)
                return queue.declaration_result.message_count == before + len(person_ids)

            await eventually(all_dead)

    async def erase(self) -> None:
        """Erase all of one kind; nobody of them is read any more, and nothing of them waits."""
        async with self.system.client(self.commands) as commands:
            for person_id in self.ids["erased"]:
                path = f"/people/{person_id}/erase"
                done = await commands.post(path, json={"reason": "asked"}, headers=WAIT)
                assert done.status_code == 200, done.text
        await self.is_erased()

    async def is_erased(self) -> None:
        """See that everybody of one kind is erased, and of the other is not."""
        async with self.system.client(self.queries) as queries:
            for kind, status in (("erased", 410), ("living", 200)):
                for person_id in self.ids[kind]:
                    answer = await queries.get(f"/people/{person_id}", params=STRONG)
                    assert answer.status_code == status, answer.text
        with MongoClient(self.system.mongo.uri) as client:
            erased = {"person_id": {"$in": self.ids["erased"]}}
            assert client["rollcall"]["parked"].count_documents(erased) == 0

    def verb(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """Run a verb, which must succeed."""
        more = {"ROLLCALL_STATE_DIR": str(self.system.directory / "state")}
        done = subprocess.run(
            [sys.executable, "-m", "operations", *words],
            cwd=ROOT,
            env={**os.environ, **self.system.environment(**more)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def dump(self) -> dict[str, dict[str, list[RawBSONDocument]]]:
        """Return what a backup takes: the log and what goes with it, and the keys."""
        found: dict[str, dict[str, list[RawBSONDocument]]] = {}
        with MongoClient(self.system.mongo.uri, document_class=RawBSONDocument) as client:
            for database in ("rollcall", keys_database("rollcall")):
                names = set(client[database].list_collection_names()) - NOT_BACKED_UP
                found[database] = {name: list(client[database][name].find()) for name in sorted(names)}
        return found

    def restore(self, dumped: dict[str, dict[str, list[RawBSONDocument]]]) -> None:
        """Put a backup in the place of what is there; brokers begin anew."""
        with MongoClient(self.system.mongo.uri) as client:
            for name in NOT_BACKED_UP:
                client["rollcall"][name].delete_many({})
            for database, collections in dumped.items():
                for name, documents in collections.items():
                    client[database][name].delete_many({})
                    if documents:
                        client[database][name].insert_many(documents)

    def collections(self) -> dict[Path, str]:
        """Return of which collection each of MongoDB's files is, on every member."""
        found = {}
        for each in self.system.mongo.sets:
            for folder, port in zip(each._paths, each.ports, strict=True):
                with MongoClient("127.0.0.1", port, directConnection=True) as client:
                    for database in client.list_database_names():
                        own = {"type": "collection"}
                        for name in client[database].list_collection_names(filter=own):
                            for ident in _idents(client[database].command("collStats", name)):
                                found[folder / f"{ident}.wt"] = f"{database}.{name}"
        return found

    def flush(self) -> None:
        """Let every member write what it has in memory."""
        for each in self.system.mongo.sets:
            for port in each.ports:
                with MongoClient("127.0.0.1", port, directConnection=True) as client:
                    client.admin.command("fsync")

    def patterns(self, kind: str) -> list[bytes]:
        """Return what a search looks for: each mark as it is, in other cases, and in base64; pieces of images."""
        texts = {form for mark in MARKS[kind] for form in (mark, mark.upper(), mark.title())}
        return [*{form for text in texts for form in forms_of(text)}, *self.images[kind]]

    def search(self, kind: str, folder: Path | None = None) -> dict[str, set[str]]:
        """Return where a kind's marks stand: by what is to be said of the place, the files.

        Everything else is under the name of its collection, or of the file.
        """
        known, patterns = self.known, self.patterns(kind)
        found = defaultdict(set)
        for path in sorted((folder or self.system.directory).rglob("*")):
            if path.is_file() and _has(path, patterns):
                found[_place(path, known)].add(str(path.relative_to(self.system.directory)))
        return dict(found)


SAID = frozenset({"read model", "oplog", "history store", "journal"})
"""Where values of erased people may still stand; the how-to names these, and what makes them vanish."""


def _place(path: Path, known: dict[Path, str]) -> str:
    if path.parent.name == "journal":
        return "journal"
    if path.name == "WiredTigerHS.wt":
        return "history store"
    collection = known.get(path, path.name)
    if collection == "local.oplog.rs":
        return "oplog"
    return "read model" if collection.removeprefix("rollcall.") in READ_MODEL else collection


def _idents(stats) -> Iterator[str]:
    for one in (stats["wiredTiger"], *stats["indexDetails"].values()):
        yield one["uri"].rpartition(":")[2]


def _has(path: Path, patterns: list[bytes]) -> bool:
    longest = max(map(len, patterns))
    with path.open("rb") as file:
        rest = b""
        while block := file.read(BLOCK):
            content = rest + block
            if any(one in content for one in patterns):
                return True
            rest = content[-longest:]
    return False


@pytest.fixture
def drill(request, tmp_path, monkeypatch) -> Iterator[Drill]:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "mongod").write_text(f'#!/bin/sh\nexec {find_mongod()} "$@" {" ".join(UNCOMPRESSED)}\n')
    (programs / "mongod").chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    folder = tmp_path / "system"
    folder.mkdir()
    system = System.start(folder, request.param)
    try:
        system.initialise()
        yield Drill(system)
    finally:
        system.stop()


@pytest.mark.parametrize("drill", ["replica-set", "sharded"], indirect=True)
async def test_what_was_an_erased_person_s_stands_in_no_file_but_where_it_is_said_to(drill):
    system = drill.system
    await drill.serve()
    await drill.fill()
    backup = await asyncio.to_thread(drill.dump)
    await asyncio.to_thread(drill.flush)
    drill.known = await asyncio.to_thread(drill.collections)
    for kind in MARKS:
        assert "read model" in await asyncio.to_thread(drill.search, kind), "the search finds nothing"
    await drill.erase()
    drill.verb("verify")

    drill.leave()
    drill.known = await asyncio.to_thread(drill.collections)
    await asyncio.to_thread(_stop_servers, system)
    assert "read model" in await asyncio.to_thread(drill.search, "living")
    found = await asyncio.to_thread(drill.search, "erased")
    assert found.keys() <= SAID, found

    await asyncio.to_thread(_start_mongo, system)
    if not system.routed:
        await asyncio.to_thread(_resync, system, 1)
        drill.known = await asyncio.to_thread(drill.collections)
        await asyncio.to_thread(system.mongo.stop)
        member = system.mongo._paths[1]
        assert await asyncio.to_thread(drill.search, "living", member)
        assert await asyncio.to_thread(drill.search, "erased", member) == {}
        await asyncio.to_thread(_start_mongo, system)

    # The machine is lost; what is there is an old backup, the journal, and an empty broker.
    await asyncio.to_thread(_start_anew, system)
    await asyncio.to_thread(drill.restore, backup)
    drill.verb("keys", "replay", str(drill.journal))
    drill.verb("rebuild")
    await drill.serve()

    async def all_again() -> bool:
        with MongoClient(system.mongo.uri) as client:
            return client["rollcall"]["events"].count_documents({"type": "person.erased"}) == PEOPLE // 2

    await eventually(all_again)
    await eventually(lambda: _is_erased(drill))
    drill.verb("verify", "--journal", str(drill.journal))
    drill.leave()
    drill.known = await asyncio.to_thread(drill.collections)
    await asyncio.to_thread(_stop_servers, system)
    found = await asyncio.to_thread(drill.search, "erased")
    assert found.keys() <= SAID, found


async def _is_erased(drill: Drill) -> bool:
    try:
        await drill.is_erased()
    except AssertionError:
        return False
    return True


def _stop_servers(system: System) -> None:
    system.rabbit.stop()
    system.mongo.stop()


def _start_mongo(system: System) -> None:
    system.mongo.spawn()
    system.mongo.wait_ready(120)


def _resync(system: System, index: int) -> None:
    """Empty one member's folder, and wait until it has copied everything from another."""
    member, folder, port = system.mongo.members[index], system.mongo._paths[index], system.mongo.ports[index]
    member.stop(20)
    shutil.rmtree(folder)
    folder.mkdir(mode=0o700)
    member.start()
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            with MongoClient(
                "127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=500
            ) as client:
                if client.admin.command("hello").get("secondary"):
                    return
        except PyMongoError:
            pass
        time.sleep(0.2)
    raise AssertionError("the member is no secondary again")


def _start_anew(system: System) -> None:
    """Start the broker without anything that it had."""
    shutil.rmtree(system.rabbit._data)
    system.rabbit.start(120)
    set_up_queues(system.rabbit.url, PARTITIONS, time.sleep)
