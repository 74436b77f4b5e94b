"""Disks that are full to the last byte under load, and freed again: nothing is lost, and all gets well by itself."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devstack import services
from tests import ledger
from tests.power import Disk
from tests.system import ROOT, Service, System, eventually
from tests.trouble.keepers import checked, supervised
from tests.trouble.load import Load

pytestmark = pytest.mark.long


@asynccontextmanager
async def on_a_disk(directory, name: str) -> AsyncIterator[tuple[Disk, System, dict[str, Service]]]:
    """Run servers and services, the data of `mongo` or `rabbit` on a disk of its own."""
    with Disk(directory / name) as disk:
        system = System.start(directory)
        try:
            system.initialise()
            cast = {module: system.service(module) for module in ("command_api", "query_api", "workers")}
            for service in cast.values():
                service.spawn()
            for service in cast.values():
                await service.wait_ready()
            yield disk, system, cast
        finally:
            system.stop()


async def unready(service: Service, word: str) -> str | None:
    said = await asyncio.to_thread(services.readiness, "127.0.0.1", service.port)
    return said if said.startswith("not ready") and word in said else None


def dead_letters(system: System) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "operations", "dead-letters", "list"],
        cwd=ROOT,
        env={**os.environ, **system.environment()},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("keeper", [supervised, checked])
async def test_a_brokers_full_disk(tmp_path, keeper):
    async with on_a_disk(tmp_path, "rabbit") as (disk, system, cast):
        pid = system.rabbit.server.pid
        async with Load(system, cast["command_api"].port) as load:
            await load.goes_on()
            disk.fill()
            await eventually(lambda: unready(cast["command_api"], "rabbitmq"))
            disk.free()
            # There is room, it runs, and takes connections; nothing but a new start brings its queues back.
            assert "commands." in await eventually(lambda: unready(cast["command_api"], "no confirm since"))
            listed = await asyncio.to_thread(dead_letters, system)
            assert (listed.returncode, "Traceback" in listed.stdout + listed.stderr) == (2, False), (
                listed.stderr
            )
            assert system.rabbit.server.pid == pid
            watching = asyncio.create_task(keeper(system, cast))
            try:
                # A first start after a minute; where that does not help, another after two more.
                await load.goes_on(within=420)
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        assert system.rabbit.server.pid != pid
        for service in cast.values():
            await service.wait_ready()
        await ledger.settled(system, load.accepted)
        ledger.check(system, load.accepted)


async def test_mongodbs_full_disk(tmp_path):
    async with on_a_disk(tmp_path, "mongo") as (disk, system, cast):
        async with Load(system, cast["command_api"].port) as load:
            await load.goes_on()
            disk.fill()
            # Commands need the broker alone: they are accepted meanwhile.
            await load.goes_on()
            await eventually(lambda: unready(cast["workers"], "mongodb"), within=120)
            await load.goes_on()
            disk.free()
            # A member that cannot write ends; whoever keeps it starts it again.
            for member in system.mongo.children:
                member.start()
        await ledger.settled(system, load.accepted, within=180)
        ledger.check(system, load.accepted)
        for service in cast.values():
            await service.wait_ready()
