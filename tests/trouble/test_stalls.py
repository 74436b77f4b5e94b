"""Servers that stop answering for a while, and go on: afterwards all is well, and no process was restarted."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devstack.processes import Child
from tests.pictures import photo
from tests.sse import following
from tests.system import ROOT, TOPOLOGIES, System, eventually, new_person

pytestmark = pytest.mark.parametrize("stage", TOPOLOGIES, indirect=True, scope="session")
WAIT = {"Prefer": "wait=20"}
STALL_SECONDS = 45.0
"""Longer than any heartbeat of ours."""
WELL_SECONDS = 30.0


@asynccontextmanager
async def stopped(server: Child) -> AsyncIterator[None]:
    """Let a server and its children do nothing for as long as the block runs; its sockets stay open."""
    assert server.pid is not None
    group = os.getpgid(server.pid)
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


def servers(stage: System) -> list[Child]:
    """Return the broker and every member and router of the database."""
    return [stage.rabbit.server, *stage.mongo.children]


async def everything(stage, cast) -> str:
    """Try every route and verb that needs a server; return what was not as it should be, or nothing."""
    try:
        async with asyncio.timeout(WELL_SECONDS):
            async with (
                stage.client(cast["command_api"]) as commands,
                stage.client(cast["query_api"]) as queries,
            ):
                return (
                    await changes(commands, queries) or await reads(queries) or await operations(stage, cast)
                )
    except (OSError, AssertionError, TimeoutError, EOFError) as exc:
        return f"{type(exc).__name__}: {exc}"


async def changes(commands, queries) -> str:
    created = await commands.post("/people", json=new_person(), headers=WAIT)
    if created.status_code != 201:
        return f"POST /people: {created.status_code} {created.text}"
    path = f"/people/{created.json()['id']}"
    picture = {"files": {"file": ("me.jpg", photo(), "image/jpeg")}}
    for method, address, body in (
        ("PATCH", path, {"json": {"occupation": "Engineer"}}),
        ("PATCH", f"{path}/image", picture),
        ("POST", f"{path}/revert", {"json": {"to_version": 1}}),
        ("DELETE", path, {}),
    ):
        done = await commands.request(method, address, headers=WAIT, **body)
        if done.status_code != 200:
            return f"{method} {address}: {done.status_code} {done.text}"
    letters = await commands.get("/dead-letters/messages")
    if letters.status_code != 200:
        return f"GET /dead-letters/messages: {letters.status_code} {letters.text}"
    accepted = await commands.post("/people", json=new_person())
    status = await eventually(lambda: found(queries, accepted.headers["Location"]))
    return "" if status.status_code == 200 else f"the status of a command: {status.text}"


async def found(client, address: str):
    answer = await client.get(address)
    return answer if answer.status_code == 200 else None


async def reads(queries) -> str:
    for path in (
        "/people?limit=1",
        "/people?limit=1&consistency=strong",
        "/people?q=gom",
        "/events?limit=1",
        "/dead-letters",
    ):
        answer = await queries.get(path)
        if answer.status_code != 200:
            return f"GET {path}: {answer.status_code} {answer.text}"
    exported = await queries.get("/people?limit=1", headers={"Accept": "application/x-ndjson"})
    if exported.status_code != 200:
        return f"export: {exported.status_code}"
    async with following(queries, from_="first") as replay:
        await replay.next()
    async with following(queries) as feed:
        await feed.block()
    return ""


async def operations(stage, cast) -> str:
    for name, service in cast.items():
        async with stage.client(service) as client:
            ready = await client.get("/readyz")
        if ready.status_code != 200:
            return f"{name}: {ready.text}"
    for verb in (["dead-letters", "list"], ["verify"]):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "operations", *verb),
            cwd=ROOT,
            env={**os.environ, **stage.environment()},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode:
            return f"{verb}: exit status {process.returncode}: {said.decode()[-2000:]}"
    return ""


@pytest.mark.long
async def test_after_any_server_has_stalled_all_is_well_again(stage, cast):
    processes = {name: service.process.pid for name, service in cast.items()}
    assert not (said := await everything(stage, cast)), said
    for server in servers(stage):
        async with stopped(server):
            await asyncio.sleep(STALL_SECONDS)
        faults: list[str] = []

        async def well(faults: list[str] = faults) -> bool:
            faults.append(await everything(stage, cast))
            return not faults[-1]

        try:
            await eventually(well, within=2 * WELL_SECONDS, pause=1)
        except AssertionError:
            raise AssertionError(f"after {server.name} had stalled: {faults}") from None
    assert {name: service.process.pid for name, service in cast.items()} == processes
