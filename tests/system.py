"""The real parts that tests run against: one MongoDB set, one RabbitMQ node, service processes."""

import asyncio
import os
import runpy
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from local.demo import demo_person
from local.mongo import ReplicaSet
from local.ports import free_ports
from local.rabbit import RabbitNode
from service_kit.tokens import SCOPES, issue_token

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 30.0


async def eventually(
    check: Callable[[], Awaitable[Any]], *, within: float = 10.0, pause: float = 0.02
) -> Any:
    """Return the check's first true result; fail when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        result = await check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {check.__qualname__}, last {result!r}")
        await asyncio.sleep(pause)


def person(number: int, **changes: Any) -> dict[str, Any]:
    """Return a valid body of a person; another number, another document and e-mail."""
    return {**demo_person(number), **changes}


_numbers = iter(range(10_000_000, 2**40))


def new_person(**changes: Any) -> dict[str, Any]:
    """Return a body that no other test has used."""
    return person(next(_numbers), **changes)


@dataclass
class Service:
    """One service process."""

    module: str
    port: int
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def spawn(self) -> None:
        """Start the process."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def wait_ready(self, within: float = START_SECONDS) -> None:
        """Return once it says that it is ready."""
        deadline = time.monotonic() + within
        async with httpx.AsyncClient(base_url=self.url, timeout=5) as client:
            while True:
                if self.process is None or self.process.poll() is not None:
                    raise AssertionError(f"{self.module} ended: {self.words()[-2000:]}")
                try:
                    response = await client.get("/readyz")
                    if response.status_code == 200:
                        return
                    last = response.text
                except httpx.TransportError as exc:
                    last = repr(exc)
                if time.monotonic() > deadline:
                    raise AssertionError(f"{self.module} is not ready: {last}\n{self.words()[-2000:]}")
                await asyncio.sleep(0.05)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def words(self) -> str:
        """Return what it logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def stop(self, within: float = 20.0) -> int:
        """SIGTERM; return the exit status."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(within)
        self.process = None
        return status


@dataclass
class System:
    """Servers, and services on them."""

    directory: Path
    mongo: ReplicaSet
    rabbit: RabbitNode
    key: str
    services: list[Service] = field(default_factory=list)

    @classmethod
    def start(cls, directory: Path) -> "System":
        """Start MongoDB and RabbitMQ, side by side."""
        ports = free_ports(6)
        for name in ("mongo", "rabbit"):
            (directory / name).mkdir()
        mongo = ReplicaSet(directory / "mongo", ports[:3])
        rabbit = RabbitNode(directory / "rabbit", amqp_port=ports[3], dist_port=ports[4], epmd_port=ports[5])
        system = cls(directory, mongo, rabbit, secrets.token_hex(32))
        (directory / "jwt.key").write_text(system.key)
        mongo.spawn()
        rabbit.spawn()
        mongo.wait_ready()
        rabbit.wait_ready()
        return system

    def stop(self) -> None:
        """Stop everything."""
        for service in self.services:
            service.kill()
        self.rabbit.stop()
        self.mongo.stop()

    def environment(self, database: str = "rollcall", **more: str) -> dict[str, str]:
        """Return the settings of a service on these servers."""
        return {
            "ROLLCALL_MONGO_URI": self.mongo.uri,
            "ROLLCALL_AMQP_URL": self.rabbit.url,
            "ROLLCALL_MONGO_DB": database,
            "ROLLCALL_JWT_KEY_FILE": str(self.directory / "jwt.key"),
            "ROLLCALL_READ_FROM_HEADER": "true",
            "ROLLCALL_UNIQUE": "email",
            **more,
        }

    def initialise(self, database: str = "rollcall") -> list[str]:
        """Run the initialiser; return what it changed."""
        module = runpy.run_path(str(ROOT / "mongo-cluster" / "initialise.py"))
        changes: list[str] = module["initialise"](self.mongo.uri, database)
        return changes

    def service(self, module: str, **more: str) -> Service:
        """Return a service that is not started yet."""
        (port,) = free_ports(1)
        setting = {"command_api": "COMMAND", "query_api": "QUERY", "workers": "WORKER"}[module]
        environment = self.environment(**{f"ROLLCALL_{setting}_PORT": str(port), **more})
        name = f"{module}-{len(self.services)}.log"
        service = Service(module, port, environment, self.directory / name)
        self.services.append(service)
        return service

    @asynccontextmanager
    async def running(self, module: str, **more: str) -> AsyncIterator[Service]:
        """Run a service for as long as the block runs."""
        service = self.service(module, **more)
        service.spawn()
        try:
            await service.wait_ready()
            yield service
        finally:
            service.kill()
            self.services.remove(service)

    def token(self, *scopes: str, **changes: Any) -> str:
        """Return a token of the subject `tester`, with all scopes unless some are named."""
        return issue_token(
            **{
                "key": self.key,
                "algorithm": "HS256",
                "issuer": "rollcall",
                "audience": "rollcall",
                "subject": "tester",
                "scopes": scopes or SCOPES,
                "ttl_seconds": 3600,
                **changes,
            }
        )

    def client(self, service: Service, token: str | None = None) -> httpx.AsyncClient:
        """Return an HTTP client of a service, with a token of all scopes unless one is given."""
        return httpx.AsyncClient(
            base_url=service.url,
            headers={"Authorization": f"Bearer {token or self.token()}"},
            timeout=40,
        )
