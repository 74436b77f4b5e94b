"""A private RabbitMQ node on this machine: its processes, ports and credentials, no queues.

It listens on loopback only, the clustering port and the port mapper (epmd) too, and leaves the
system's own RabbitMQ, its data and its settings alone.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from devstack.keys import ensure_secret
from devstack.paths import ROOT
from devstack.processes import Child, Pause, stop_all, wait_until
from devstack.servers.ports import LOOPBACK, listens
from devstack.servers.rabbit_moved import put_right_where_moved
from devstack.servers.rabbit_users import amqp_url, definitions
from devstack.servers.rabbitmq_server import find_epmd, find_rabbitmq, server_environment
from operations.errors import SetupError
from operations.terminal import short_path
from service_kit.broker.users import OPERATOR
from service_kit.files import make_folder, write_whole

_AMQP_HELLO = b"AMQP\x00\x00\x09\x01"
FIRST_NODE = "rollcall@localhost"
_CONFIGURATION = ROOT / "rabbitmq"
# What one machine adds to rabbitmq/rabbitmq.conf; of two lines for one key the last one holds.
_LOCAL_CONF = """
listeners.tcp.1 = {host}:{port}
load_definitions = {users}
disk_free_limit.absolute = 64MB
raft.wal_max_size_bytes = 128000000
"""
# The first node of a new cluster asks once for others; the others look for it for half a minute.
_CLUSTER_CONF = """
cluster_formation.peer_discovery_backend = classic_config
cluster_formation.discovery_retry_limit = {tries}
cluster_formation.discovery_retry_interval = 500
"""


class RabbitNode:
    """One RabbitMQ node, a child process of this one.

    Call `start()`; or `spawn()`, something else, then `wait_ready()`.

    Attributes:
        name: What the other nodes and `rabbitmqctl` call it.
        directory: Where its data, cookie, password and configuration are.
        amqp_port: Where clients connect.
        epmd: The port mapper.
        server: The server.
        children: Its own processes: the port mapper unless that is another's, then the server.
    """

    def __init__(
        self,
        directory: Path,
        *,
        amqp_port: int,
        dist_port: int,
        epmd_port: int,
        name: str = FIRST_NODE,
        label: str = "rabbitmq",
        peers: Sequence[str] = (),
        epmd: Child | None = None,
        logs: Path | None = None,
        run: Path | None = None,
    ) -> None:
        """Describe the node; nothing is started yet.

        Args:
            directory: Where it keeps its data, cookie and password; used again when it exists.
            amqp_port: The port for clients.
            dist_port: The port for other nodes and for `rabbitmqctl`.
            epmd_port: The port for its own port mapper.
            name: The node's name; data belongs to a name, so keep it.
            label: The processes are called `<label>` and `<label>-epmd`, the settings `<label>.conf`.
            peers: The names of all nodes of its cluster, itself too; they may share the directory.
            epmd: The port mapper of another node, used in place of one of its own.
            logs: Where the logs go; `directory` when None.
            run: Where the processes are recorded; nowhere when None.

        Raises:
            SetupError: RabbitMQ is not installed.
        """
        self.name = name
        self.amqp_port = amqp_port
        self.directory = directory
        self._peers = list(peers)
        self._conf = directory / f"{label}.conf"
        self._data = directory / "mnesia" / name
        self._programs = find_rabbitmq()
        self._env = server_environment(self._conf, name, dist_port, epmd_port)
        place = logs or directory
        self.epmd = epmd or Child(
            f"{label}-epmd",
            [str(find_epmd()), "-port", str(epmd_port), "-address", LOOPBACK],
            log=place / f"{label}-epmd.log",
            env=self._env,
            cwd=directory,
            run=run,
        )
        self.server = Child(
            label,
            [str(self._programs / "rabbitmq-server")],
            log=place / f"{label}.log",
            env=self._env,
            cwd=directory,
            run=run,
        )
        self._epmd_port = epmd_port
        self.children = [self.server] if epmd else [self.epmd, self.server]

    @property
    def url(self) -> str:
        """Where operators connect, with user and password; generated on first use."""
        return self.url_of(OPERATOR)

    def url_of(self, user: str) -> str:
        """Return where one of the users connects, with its password; generated on first use."""
        return amqp_url(self.directory, [f"{LOOPBACK}:{self.amqp_port}"], user)

    @property
    def running(self) -> bool:
        """Whether the server's process runs."""
        return self.server.running

    @property
    def ready(self) -> bool:
        """Whether clients can connect."""
        return greets(self.amqp_port)

    @property
    def has_data(self) -> bool:
        """Whether it has been set up before, alone or as part of a cluster."""
        return self._data.is_dir() and any(self._data.iterdir())

    def start(self, timeout_s: float = 60.0) -> None:
        """Start the node and wait until clients can connect."""
        self.spawn()
        self.wait_ready(timeout_s)

    def spawn(self) -> None:
        """Write the configuration and start the processes that do not run; do not wait.

        Raises:
            SetupError: The data is that of a cluster with more nodes.
        """
        if not self.running:
            self._refuse_a_larger_cluster()
            self._write_configuration()
        self.epmd.start()
        # A server that finds no port mapper would start one of its own and leave it behind.
        wait_until(lambda: listens(self._epmd_port), [self.epmd], what="Erlang port mapper", timeout_s=10)
        self.server.start()

    def wait_ready(self, timeout_s: float = 60.0, pause: Pause = time.sleep) -> None:
        """Wait until clients can connect.

        Args:
            timeout_s: Seconds to wait at most.
            pause: How to sleep between questions; may raise to break off.

        Raises:
            SetupError: The server ended, or time is over.
        """
        wait_until(
            lambda: self.ready,
            self.children,
            what="RabbitMQ",
            timeout_s=timeout_s,
            pause=pause,
        )

    def kill(self) -> None:
        """End the server as a power cut would (SIGKILL); `start()` brings it back."""
        self.server.kill()

    def stop(self, deadline_s: float = 20.0) -> None:
        """Stop the server in order, then the port mapper; kill what outlasts `deadline_s`.

        A server that is still booting hears no signal and has taken nothing in: it gets 3 s.
        """
        self.server.stop(deadline_s if self.ready else min(deadline_s, 3.0))
        if self.epmd in self.children:
            stop_all([self.epmd], 5)

    def ctl(self, *arguments: str, timeout_s: float = 60.0, program: str = "rabbitmqctl") -> str:
        """Run `rabbitmqctl` on this node, e.g. `ctl("list_queues", "name", "messages")`.

        Args:
            arguments: What follows `rabbitmqctl`.
            timeout_s: Seconds until it is given up.
            program: Another of RabbitMQ's tools, e.g. `rabbitmq-queues`.

        Returns:
            What it printed on standard output.

        Raises:
            SetupError: It failed; the text holds what it printed.
        """
        try:
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                env=self._env,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as exc:
            raise SetupError(f"{program} {arguments[0]} took more than {timeout_s:.0f} s.") from exc
        if done.returncode:
            raise SetupError(f"{program} {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def _write_configuration(self) -> None:
        for part in ("home", "mnesia", "log"):
            make_folder(self.directory / part, mode=0o700)
        put_right_where_moved(self._data)
        ensure_secret(self.directory / "home" / ".erlang.cookie")
        (self.directory / "rabbitmq-env.conf").touch()
        plugins, users = self.directory / "enabled_plugins", self.directory / "users.json"
        write_whole(plugins, (_CONFIGURATION / plugins.name).read_bytes())
        write_whole(users, definitions(self.directory))
        conf = (_CONFIGURATION / "rabbitmq.conf").read_text()
        conf += _LOCAL_CONF.format(host=LOOPBACK, port=self.amqp_port, users=users)
        write_whole(self._conf, conf + self._cluster_configuration())

    def _cluster_configuration(self) -> str:
        if len(self._peers) < 2:
            return ""
        names = "".join(
            f"cluster_formation.classic_config.nodes.{n} = {peer}\n" for n, peer in enumerate(self._peers, 1)
        )
        return _CLUSTER_CONF.format(tries=1 if self.name == self._peers[0] else 60) + names

    def _refuse_a_larger_cluster(self) -> None:
        """A node without its peers would wait for them for minutes, then give up."""
        names = {self.name, *self._peers}
        others = [path for path in (self.directory / "mnesia").glob("*@localhost") if path.is_dir()]
        if not {path.name for path in others} <= names:
            raise SetupError(
                f"The broker's data in {short_path(self.directory)} is that of {len(others)} nodes, which "
                f"cannot run as {len(names)}: start as many as it had, or set the data aside first."
            )


def greets(port: int) -> bool:
    """Whether a broker opens AMQP connections there: it listens last of all, when it is ready."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(_AMQP_HELLO)
            # A frame of type 1, the method connection.start; otherwise a protocol header.
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
