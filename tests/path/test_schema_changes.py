"""A person schema that changes with people inside and commands under way, rolled out as the guide says."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from devstack.first_start import set_up_queues
from service_kit.broker.topology import PARTITIONS
from service_kit.broker.users import COMMAND_USER, QUERY_USER, WORKER_USER
from tests.system import ROOT, Service, System, eventually

BEFORE = 40
CLIENTS = 8
"""Who send commands at once, while the schema changes."""
RIVALS = range(-5, 0)
"""Codes that two people want at once, as soon as codes are unique."""
WAIT = {"Prefer": "wait=20"}
TEXT = {"type": "string", "format": "text", "maxLength": 40}
FIRST = {
    "version": 1,
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "format": "name", "rollcall": {"sort": True, "search": "words"}},
        "job": {**TEXT, "rollcall": {"search": "exact"}},
        "code": {"type": "integer"},
        "note": TEXT,
    },
}
# Renamed, narrower, unique now; one field is gone, and one is new and required.
SECOND = {
    **FIRST,
    "version": 2,
    "required": ["name", "grade"],
    "properties": {
        "name": FIRST["properties"]["name"],
        "role": {**TEXT, "maxLength": 20, "rollcall": {"search": "exact", "renamed_from": "job"}},
        "code": {"type": "integer", "rollcall": {"unique": True}},
        "grade": {**TEXT, "default": "none", "rollcall": {"search": "exact"}},
    },
}
THIRD = {**SECOND, "version": 3, "properties": {**SECOND["properties"], "note": TEXT}}


@asynccontextmanager
async def supervised(service: Service) -> AsyncIterator[None]:
    """Start a worker anew whenever it ends by itself, as whoever runs it does."""

    async def supervise() -> None:
        while True:
            await asyncio.sleep(0.1)
            if service.process is not None and service.process.poll() is not None:
                assert service.process.returncode == 0, service.words()[-2000:]
                service.spawn()

    supervising = asyncio.create_task(supervise())
    try:
        yield
        assert not supervising.done()
    finally:
        supervising.cancel()
        with suppress(asyncio.CancelledError):
            await supervising


class Own:
    """Services on a database and queues of their own."""

    def __init__(self, system: System, folder: Path, name: str) -> None:
        self.system, self.folder, self.name = system, folder, name
        self.file(FIRST)
        address = f"{system.rabbit.url.rstrip('/')}/{name}"
        self.settings = {"ROLLCALL_PERSON_SCHEMA": str(folder / "1.json"), "ROLLCALL_MONGO_DB": name}
        self.operator = {**system.environment(), **self.settings, "ROLLCALL_AMQP_URL": address}
        self.services = {
            module: system.service(
                module,
                ROLLCALL_AMQP_URL=f"{system.rabbit.url_of(user).rstrip('/')}/{name}",
                **self.settings,
            )
            for module, user in (
                ("command_api", COMMAND_USER),
                ("query_api", QUERY_USER),
                ("workers", WORKER_USER),
            )
        }

    def file(self, document: dict[str, Any]) -> Path:
        """Write a schema's file."""
        path = self.folder / f"{document['version']}.json"
        path.write_text(json.dumps(document))
        return path

    def make(self) -> None:
        """Make the queues and the collections."""
        self.system.rabbit.ctl("add_vhost", self.name)
        for user in ("rollcall", COMMAND_USER, QUERY_USER, WORKER_USER):
            self.system.rabbit.ctl("set_permissions", "-p", self.name, user, ".*", ".*", ".*")
        set_up_queues(self.operator["ROLLCALL_AMQP_URL"], PARTITIONS, time.sleep)
        self.initialise()

    def initialise(self) -> list[str]:
        """Run the initialiser."""
        return self.system.initialise(
            self.name, ROLLCALL_PERSON_SCHEMA=self.settings["ROLLCALL_PERSON_SCHEMA"]
        )

    async def verb(self, *words: object) -> tuple[int, str]:
        """Run an operator's verb; return its status and what it said."""
        command = [sys.executable, "-m", "operations", *map(str, words)]
        environment = {**os.environ, **self.operator, "ROLLCALL_STATE_DIR": str(self.folder)}
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    async def restart(self, module: str) -> None:
        """Restart a service; return once it is ready."""
        self.services[module].stop()
        self.services[module].spawn()
        await self.services[module].wait_ready()

    def client(self, module: str) -> httpx.AsyncClient:
        return self.system.client(self.services[module])

    async def remark(self, module: str) -> str:
        """Return what a service says about its schema beside being ready."""
        async with httpx.AsyncClient(base_url=self.services[module].url, timeout=20) as client:
            response = await client.get("/readyz")
        assert response.status_code == 200, response.text
        return str(response.json()["remarks"]["schema"])


@pytest.mark.parametrize("meanwhile", [200, pytest.param(20_000, marks=pytest.mark.long)])
async def test_a_change_is_rolled_out_under_load_and_nothing_is_lost(
    system: System, tmp_path: Path, meanwhile: int
):
    own = Own(system, tmp_path, f"changing-{meanwhile}")
    await asyncio.to_thread(own.make)
    for service in own.services.values():
        service.spawn()
    try:
        for service in own.services.values():
            await service.wait_ready()
        async with supervised(own.services["workers"]):
            await roll_out(own, meanwhile)
    finally:
        for service in own.services.values():
            service.kill()


async def roll_out(own: Own, meanwhile: int) -> None:
    people: dict[str, dict[str, Any]] = {}

    async def create(client: httpx.AsyncClient, number: int, wait: bool = False) -> None:
        body = {"name": f"Ana {number}", "job": f"job {number % 7}", "code": number, "note": f"note {number}"}
        response = await client.post("/people", json=body, headers=WAIT if wait else {})
        assert response.status_code == (201 if wait else 202), response.text
        people[response.json()["id" if wait else "person_id"]] = body

    async with own.client("command_api") as commands, own.client("query_api") as queries:
        for number in range(BEFORE):
            await create(commands, number, wait=True)
        assert (await own.verb("schema", "history"))[1].endswith("  rollcall\n")

        async def load(first: int) -> None:
            # The command API goes by the first schema all the while.
            for number in range(first, BEFORE + meanwhile, CLIENTS):
                await create(commands, number)
                await asyncio.sleep(0.01)

        loading = asyncio.gather(*(load(BEFORE + client) for client in range(CLIENTS)))
        worker = own.services["workers"].process
        status, said = await own.verb("schema", "apply", own.file(SECOND), "--jobs", 1)
        assert status == 0, said
        # In force: of two who want the same from now on, one gets it, though workers are still starting anew.
        rivals = [await asyncio.gather(*(rival(commands, code) for _ in range(2))) for code in RIVALS]
        history = (await own.verb("schema", "history"))[1]
        assert [line.split()[3:] for line in history.splitlines() if line[0] == "2"] == [["prepared"], []]

        async def is_another_worker() -> bool:
            return own.services["workers"].process is not worker

        await eventually(is_another_worker)
        await loading
        await own.services["workers"].wait_ready()
        sentence = "number 2 of the person schema is newer than 1, by which this process goes"
        for module in ("command_api", "query_api"):

            async def says_so(module: str = module) -> bool:
                return sentence in await own.remark(module)

            await eventually(says_so)
            assert own.services[module].words().count("schema is older than the one in force") == 1

        # Before any rebuild, what is unique now is reserved for those who had it.
        taken = {"name": "Eve", "code": 0}
        response = await commands.post("/people", json=taken, headers=WAIT)
        assert response.status_code == 409, response.text

        # Who still goes by the older one reads what was there before.
        first = next(iter(people))
        assert (await queries.get(f"/people/{first}")).json()["name"] == "Ana 0"

        await asyncio.to_thread(own.initialise)
        status, said = await own.verb("rebuild", "--jobs", 1)
        assert status == 0, said
    await own.restart("query_api")
    await own.restart("command_api")
    async with own.client("command_api") as commands, own.client("query_api") as queries:
        await check(own, commands, queries, people, rivals)


async def rival(commands: httpx.AsyncClient, code: int) -> str:
    """Ask for a person with a code that another one asks for, too; return the person's id."""
    response = await commands.post("/people", json={"name": "Rival", "code": code})
    assert response.status_code == 202, response.text
    return str(response.json()["person_id"])


async def check(
    own: Own,
    commands: httpx.AsyncClient,
    queries: httpx.AsyncClient,
    people: dict[str, dict[str, Any]],
    rivals: list[list[str]],
) -> None:
    async def all_there() -> bool:
        count = (await queries.get("/people?limit=1&count=exact")).json()["count"]
        return bool(count == len(people) + len(rivals))

    await eventually(all_there)
    shown: dict[str, dict[str, Any]] = {}
    query = "/people?limit=100&consistency=strong"
    cursor = ""
    while cursor is not None:
        page = (await queries.get(query + (f"&cursor={cursor}" if cursor else ""))).json()
        shown |= {one["id"]: one for one in page["items"]}
        cursor = page["next"]
    assert [len(shown.keys() & {*pair}) for pair in rivals] == [1] * len(rivals), "one has it"
    assert shown.keys() - {one for pair in rivals for one in pair} == people.keys(), "no command is lost"
    for person_id, body in people.items():
        person = shown[person_id]
        assert (person["name"], person["role"], person["code"]) == (body["name"], body["job"], body["code"])
        assert person["grade"] == "none"
        assert {"job", "note"}.isdisjoint(person)

    first = next(iter(people))
    history = (await queries.get(f"/people/{first}/history")).json()["items"]
    assert history[-1]["changes"].keys() == {"name", "role", "code", "grade"}
    response = await commands.patch(f"/people/{first}", json={"role": "judge"}, headers=WAIT)
    assert response.status_code == 200, response.text
    found = (await queries.get("/people?role=judge&consistency=strong")).json()["items"]
    assert [one["id"] for one in found] == [first]
    past = (await queries.get(f"/people/{first}?version=1&consistency=strong")).json()
    assert (past["role"], past["grade"]) == (people[first]["job"], "none")
    again = {"name": "Eve", "code": people[first]["code"], "grade": "x"}
    response = await commands.post("/people", json=again, headers=WAIT)
    assert response.status_code == 409, "the code is unique now"
    assert (await queries.get(f"/people/by-code/{again['code']}")).json()["id"] == first

    # What was removed comes back from the log.
    status, said = await own.verb("schema", "apply", own.file(THIRD))
    assert status == 0, said

    status, said = await own.verb("rebuild", "--jobs", 1)
    assert status == 0, said
    await own.restart("query_api")
    assert (await queries.get(f"/people/{first}")).json()["note"] == people[first]["note"]
    for words in (("verify", "--jobs", 1), ("rebuild", "--check", "--jobs", 1)):
        status, said = await own.verb(*words)
        assert status == 0, said
    assert own.services["workers"].words().count("dead-lettered") == 0
