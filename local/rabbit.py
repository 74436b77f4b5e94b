"""A private RabbitMQ node on this machine: its processes, ports and credentials, no queues.

It listens on loopback only, the clustering port and the port mapper (epmd) too, and leaves the
system's own RabbitMQ, its data and its settings alone.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path

from local.errors import SetupError
from local.keys import ensure_secret, write_private
from local.places import ROOT
from local.ports import LOOPBACK, listens
from local.processes import Child, Pause, stop_all, wait_until
from local.rabbitmq_server import find_epmd, find_rabbitmq

_USER = "rollcall"
_ERLANG = "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
_AMQP_HELLO = b"AMQP\x00\x00\x09\x01"
# What one machine adds to rabbitmq/rabbitmq.conf; of two lines for one key the last one holds.
_LOCAL_CONF = """
listeners.tcp.1 = {host}:{port}
default_user = {user}
default_pass = {password}
disk_free_limit.absolute = 64MB
raft.wal_max_size_bytes = 128000000
"""


class RabbitNode:
    """One RabbitMQ node, a child process of this one.

    Call `start()`; or `spawn()`, something else, then `wait_ready()`.

    Attributes:
        directory: Where its data, cookie, password and configuration are.
        amqp_port: Where clients connect.
        children: Its processes: the port mapper, then the server.
    """

    def __init__(
        self,
        directory: Path,
        *,
        amqp_port: int,
        dist_port: int,
        epmd_port: int,
        name: str = "rollcall@localhost",
        label: str = "rabbitmq",
        logs: Path | None = None,
        run: Path | None = None,
        programs: Path | None = None,
        configuration: Path = ROOT / "rabbitmq",
    ) -> None:
        """Describe the node; nothing is started yet.

        Args:
            directory: Where it keeps its data, cookie and password; used again when it exists.
            amqp_port: The port for clients.
            dist_port: The port for other nodes and for `rabbitmqctl`.
            epmd_port: The port for its own port mapper.
            name: The node's name; data belongs to a name, so keep it.
            label: The processes are called `<label>` and `<label>-epmd`.
            logs: Where the logs go; `directory` when None.
            run: Where the processes are recorded; nowhere when None.
            programs: The directory of `rabbitmq-server`; looked for when None.
            configuration: The directory of `rabbitmq.conf` and `enabled_plugins`.

        Raises:
            SetupError: RabbitMQ is not installed.
        """
        self.amqp_port = amqp_port
        self.directory = directory
        self._configuration = configuration
        self._programs = programs or find_rabbitmq()
        self._env = _environment(directory, name, dist_port, epmd_port)
        place = logs or directory
        self._epmd = Child(
            f"{label}-epmd",
            [str(find_epmd()), "-port", str(epmd_port), "-address", LOOPBACK],
            log=place / f"{label}-epmd.log",
            env=self._env,
            cwd=directory,
            run=run,
        )
        self._server = Child(
            label,
            [str(self._programs / "rabbitmq-server")],
            log=place / f"{label}.log",
            env=self._env,
            cwd=directory,
            run=run,
        )
        self._epmd_port = epmd_port
        self.children = [self._epmd, self._server]

    @property
    def url(self) -> str:
        """Where clients connect, with user and password; generated on first use."""
        return f"amqp://{_USER}:{self._password()}@{LOOPBACK}:{self.amqp_port}/"

    @property
    def running(self) -> bool:
        """Whether the server's process runs."""
        return self._server.running

    def start(self, timeout_s: float = 60.0) -> None:
        """Start the node and wait until clients can connect."""
        self.spawn()
        self.wait_ready(timeout_s)

    def spawn(self) -> None:
        """Write the configuration and start the processes that do not run; do not wait."""
        self._write_configuration()
        self._epmd.start()
        # A server that finds no port mapper would start one of its own and leave it behind.
        wait_until(lambda: listens(self._epmd_port), [self._epmd], what="Erlang port mapper", timeout_s=10)
        self._server.start()

    def wait_ready(self, timeout_s: float = 60.0, pause: Pause = time.sleep) -> None:
        """Wait until clients can connect.

        Args:
            timeout_s: Seconds to wait at most.
            pause: How to sleep between questions; may raise to break off.

        Raises:
            SetupError: The server ended, or time is over.
        """
        wait_until(
            lambda: greets(self.amqp_port),
            self.children,
            what="RabbitMQ",
            timeout_s=timeout_s,
            pause=pause,
        )

    def kill(self) -> None:
        """End the server as a power cut would (SIGKILL); `start()` brings it back."""
        self._server.kill()

    def stop(self, deadline_s: float = 20.0) -> None:
        """Stop the server in order, then the port mapper; kill what outlasts `deadline_s`.

        A server that is still booting hears no signal and has taken nothing in: it gets 3 s.
        """
        self._server.stop(deadline_s if greets(self.amqp_port) else min(deadline_s, 3.0))
        stop_all([self._epmd], 5)

    def ctl(self, *arguments: str, timeout_s: float = 60.0) -> str:
        """Run `rabbitmqctl` on this node, e.g. `ctl("list_queues", "name", "messages")`.

        Args:
            arguments: What follows `rabbitmqctl`.
            timeout_s: Seconds until it is given up.

        Returns:
            What it printed on standard output.

        Raises:
            SetupError: It failed; the text holds what it printed.
        """
        try:
            done = subprocess.run(
                [str(self._programs / "rabbitmqctl"), *arguments],
                env=self._env,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise SetupError(f"rabbitmqctl {arguments[0]} took more than {timeout_s:.0f} s.") from exc
        if done.returncode:
            raise SetupError(f"rabbitmqctl {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _password(self) -> str:
        return ensure_secret(self.directory / "password")

    def _write_configuration(self) -> None:
        for part in ("home", "mnesia", "log"):
            (self.directory / part).mkdir(parents=True, exist_ok=True, mode=0o700)
        ensure_secret(self.directory / "home" / ".erlang.cookie")
        (self.directory / "rabbitmq-env.conf").touch()
        plugins = (self._configuration / "enabled_plugins").read_text()
        (self.directory / "enabled_plugins").write_text(plugins)
        own = _LOCAL_CONF.format(host=LOOPBACK, port=self.amqp_port, user=_USER, password=self._password())
        common = (self._configuration / "rabbitmq.conf").read_text()
        write_private(self.directory / "rabbitmq.conf", common + own)


def greets(port: int) -> bool:
    """Whether a broker opens AMQP connections there: it listens last of all, when it is ready."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(_AMQP_HELLO)
            # A frame of type 1, the method connection.start; otherwise a protocol header.
            return connection.recv(1) == b"\x01"
    except OSError:
        return False


def _environment(directory: Path, name: str, dist_port: int, epmd_port: int) -> dict[str, str]:
    """The environment of the node and its tools; settings of the system's RabbitMQ left out."""
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("RABBITMQ_", "ERL_", "ROLLCALL_")) and key != "NOTIFY_SOCKET"
    }
    return {
        **inherited,
        "HOME": str(directory / "home"),
        "LC_ALL": "C.UTF-8",
        "ERL_CRASH_DUMP_SECONDS": "0",
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": name,
        "RABBITMQ_DIST_PORT": str(dist_port),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
        "RABBITMQ_CONFIG_FILES": str(directory / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        "RABBITMQ_CTL_ERL_ARGS": _ERLANG,
        # The script then becomes the server itself, instead of waiting beside it.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
