"""A state directory and ports of a test's own, and `./run` on them."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devstack.records import start_time
from devstack.servers.ports import free_ports_apart

ROOT = Path(__file__).parents[2]
RUN = ROOT / "run"
OFFSETS = (*range(3), *range(10, 17), *range(20, 23), 30, 31, 40, 41, 50, 51)


@dataclass(frozen=True)
class Machine:
    """A state directory and ports of a test's own."""

    state: Path
    env: dict[str, str]
    ports: list[int]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(RUN), *arguments],
            env=self.env,
            cwd=self.state.parent,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def up(self, *arguments: str) -> subprocess.Popen[bytes]:
        out, err = (self.state.parent / name for name in ("up.out", "up.err"))
        with out.open("w") as results, err.open("w") as progress:
            process = subprocess.Popen(
                [str(RUN), "up", *arguments],
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=results,
                stderr=progress,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def url_of(self, api: str) -> str:
        """The address of the `COMMAND` or the `QUERY` API."""
        return f"http://127.0.0.1:{self.env[f'ROLLCALL_{api}_PORT']}"

    @property
    def said(self) -> str:
        return "".join((self.state.parent / name).read_text() for name in ("up.out", "up.err"))

    def processes(self) -> list[int]:
        """Everything that runs with this state directory, whoever started it."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid():
                try:
                    text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                except OSError:
                    continue
                if os.fsencode(self.state) in text and start_time(int(entry.name)) is not None:
                    found.append(int(entry.name))
        return found


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine on which nothing runs; what a test has started is ended with it."""
    state = tmp_path / "its own state" / "stäte"
    state.parent.mkdir()
    ports = free_ports_apart(OFFSETS)
    start = ports[0]
    env = {k: v for k, v in os.environ.items() if not k.startswith("ROLLCALL_")}
    env |= {
        "ROLLCALL_STATE_DIR": str(state),
        # Compiled once for all of these tests.
        "PYTHONPYCACHEPREFIX": os.environ.get("PYTHONPYCACHEPREFIX") or str(ROOT / ".rollcall" / "pycache"),
        "ROLLCALL_LOCAL_PORTS": str(start),
        "ROLLCALL_COMMAND_PORT": str(start + 20),
        "ROLLCALL_QUERY_PORT": str(start + 21),
        "ROLLCALL_WORKER_PORT": str(start + 22),
    }
    made = Machine(state, env, ports)
    yield made
    # The state may have moved meanwhile: what was started tells, not where it was.
    if made.processes() or any(process.poll() is None for process in made.started):
        made.run("down")
    for process in made.started:
        process.wait(120)
