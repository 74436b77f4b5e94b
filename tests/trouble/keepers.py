"""Who looks after a broker in a test, as it is looked after for real."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from devstack import services
from devstack.servers.rabbitmq_server import find_rabbitmq
from devstack.supervisor import BrokerWatch
from operations.errors import SetupError
from tests.system import ROOT, Service, System


async def supervised(system: System, cast: dict[str, Service]) -> None:
    """Do what `./run up` does for its broker, until cancelled."""
    asking = ThreadPoolExecutor(1)
    ready = [services.Service(system.rabbit.server, "127.0.0.1", service.port) for service in cast.values()]
    watch = BrokerWatch(system.rabbit, ready, asking)
    try:
        while True:
            watch.look()
            if not system.rabbit.running:
                system.rabbit.spawn()
            await asyncio.sleep(0.25)
    finally:
        asking.shutdown(wait=False, cancel_futures=True)


async def checked(system: System, _cast: dict[str, Service], every: float = 10) -> None:
    """Do what Compose does for a broker: run its health check, and start again what has ended; until cancelled."""
    node = system.rabbit
    settings = (f"PATH={find_rabbitmq()}:{os.environ['PATH']}", f"TMPDIR={system.directory}")
    script = str(ROOT / "rabbitmq" / "healthcheck.sh")
    while True:
        # That it is not healthy is an error of the tool's.
        with suppress(SetupError):
            await asyncio.to_thread(node.ctl, *settings, "sh", script, "1", program="/usr/bin/env")
        if not node.running:
            node.spawn()
            await asyncio.to_thread(node.wait_ready)
        await asyncio.sleep(every)
