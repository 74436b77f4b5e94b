"""Runs the development router: its command line is that of `mongos`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal

import uvloop

import devstack.router
from devstack.router.connection import Connection
from devstack.router.members import Members


async def route(configdb: str, host: str, port: int) -> None:
    """Route until SIGTERM.

    Args:
        configdb: The config servers, as `mongos` is told them: `name/host:port,host:port`.
        host: Address to listen on.
        port: Port to listen on.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Members(configdb) as members:
        server = await loop.create_server(lambda: Connection(members), host, port)
        async with server:
            await stop.wait()
            server.close()


def main() -> None:
    """Route as the command line says."""
    parser = argparse.ArgumentParser(
        prog="devstack.router", description=(devstack.router.__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--configdb", required=True, metavar="NAME/HOST:PORT,…")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--bind_ip", default="127.0.0.1")
    options = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    uvloop.run(route(options.configdb, options.bind_ip, options.port))


if __name__ == "__main__":
    main()
