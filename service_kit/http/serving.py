"""Runs an application under uvicorn until the process is asked to end, or what it does beside is at fault."""

import asyncio
import gc
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from service_kit.background import Background
from service_kit.http.protocol import BoundedProtocol

KEEP_ALIVE_SECONDS: Final = 75
"""How long a connection may rest between requests: longer than the minute for which browsers, libraries and
load balancers keep one. A request that meets a connection that is just being closed is lost."""


GARBAGE_THRESHOLDS: Final = (10_000, 20, 100)
"""When garbage in circles is looked for: among what is young, often; among all there is, hardly ever. While a
process keeps the newest events, that takes some 70 ms, in which nobody is answered."""


class _Server(uvicorn.Server):
    """Ends on SIGTERM and SIGINT by returning; uvicorn's own way is to raise the signal again."""

    ending: Callable[[], None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Say that the end comes, before waiting for the requests under way."""
        if self.ending is not None:
            self.ending()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ask the server to end, and leave what comes after that to the one who awaits it."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


async def serve(
    app: FastAPI,
    host: str,
    port: int,
    ending: Callable[[], None] | None = None,
    *,
    trusted_proxies: Sequence[str] = (),
) -> None:
    """Serve an application until SIGTERM or SIGINT; requests under way are finished.

    Args:
        app: What to serve.
        host: Address.
        port: Port.
        ending: Called at once at the signal; lets responses end that would go on for ever.
        trusted_proxies: Addresses and networks whose `X-Forwarded-For` is believed; `*` is everybody.

    Raises:
        WorkEnded: It ended since something did that the process does beside.
    """
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=list(trusted_proxies),
        timeout_graceful_shutdown=10,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        http=BoundedProtocol,
        ws="none",
    )
    server = _Server(config)
    server.ending = ending
    background: Background = app.state.background
    background.when_faulty(lambda: server.handle_exit(signal.SIGTERM, None))
    # What was made to serve stays until the end: looking through it again and again for garbage would take
    # some 80 ms each time, in which nobody is answered.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    await server.serve()
    background.check()
