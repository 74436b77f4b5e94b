"""A private RabbitMQ cluster on this machine: several nodes that hold the same queues, no client.

The nodes share one directory, and in it one cookie, password and port mapper. The first node has the
name that a node alone has, so one node's data can be grown into a cluster's, but not the other way.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from devstack.processes import Child, Pause, stop_all, wait_until
from devstack.servers.ports import LOOPBACK
from devstack.servers.rabbit import FIRST_NODE, RabbitNode
from devstack.servers.rabbit_users import amqp_url
from operations.errors import SetupError
from service_kit.broker.users import OPERATOR

_GROW_SECONDS = 90.0
# RabbitMQ adds new nodes to the coordinator of streams one every 30 s, or when asked to. Who uses a
# stream on a new node before that makes that node found a coordinator of its own, in vain, and fails.
_ADD_COORDINATORS = """
case whereis(rabbit_stream_coordinator) of
  undefined -> 0;
  _ ->
    Here = {rabbit_stream_coordinator, node()},
    ok = ra:cast_aux_command(Here, maybe_resize_coordinator_cluster),
    {ok, Members, _} = ra:members(Here),
    length(Members)
end.
"""


def node_names(count: int) -> list[str]:
    """Return the names of a cluster's nodes, which are also those of their data's folders."""
    return [FIRST_NODE, *(f"rollcall-{number}@localhost" for number in range(1, count))]


class RabbitCluster:
    """Some RabbitMQ nodes, child processes of this one, clustered when there are several.

    Call `start()`; or `spawn()`, something else, then `wait_ready()`.

    Attributes:
        directory: Where data, cookie, password and configuration are.
        nodes: The nodes, the first of which owns the port mapper.
    """

    def __init__(
        self,
        directory: Path,
        ports: Sequence[tuple[int, int]],
        *,
        epmd_port: int,
        logs: Path | None = None,
        run: Path | None = None,
    ) -> None:
        """Describe the nodes; nothing is started yet.

        Args:
            directory: Where they keep their data, cookie and password; used again when it exists.
            ports: Of each node, the port for clients and the port for other nodes.
            epmd_port: The port for their own port mapper.
            logs: Where the logs go; `directory` when None.
            run: Where the processes are recorded; nowhere when None.

        Raises:
            SetupError: RabbitMQ is not installed.
        """
        self.directory = directory
        names = node_names(len(ports))
        self.nodes: list[RabbitNode] = []
        for number, (name, (amqp_port, dist_port)) in enumerate(zip(names, ports, strict=True)):
            node = RabbitNode(
                directory,
                amqp_port=amqp_port,
                dist_port=dist_port,
                epmd_port=epmd_port,
                name=name,
                label=f"rabbitmq-{number}" if number else "rabbitmq",
                peers=names,
                epmd=self.nodes[0].epmd if number else None,
                logs=logs,
                run=run,
            )
            self.nodes.append(node)

    @property
    def url(self) -> str:
        """Where operators connect: all nodes in one URL, with user and password."""
        return self.url_of(OPERATOR)

    def url_of(self, user: str) -> str:
        """Return where one of the users connects: all nodes in one URL, with its password."""
        return amqp_url(self.directory, [f"{LOOPBACK}:{node.amqp_port}" for node in self.nodes], user)

    @property
    def children(self) -> list[Child]:
        """Their processes: the port mapper, then the servers."""
        return [child for node in self.nodes for child in node.children]

    def start(self, timeout_s: float = 90.0) -> None:
        """Start the cluster and wait until clients can connect to every node."""
        self.spawn()
        self.wait_ready(timeout_s)

    def spawn(self) -> None:
        """Start the nodes that have data, at least the first; do not wait.

        Stopped nodes wait for each other, so they start together. New ones join a running node, so
        they start in `wait_ready`.

        Raises:
            SetupError: The data is that of a cluster with more nodes.
        """
        for node in self._founders():
            node.spawn()

    def wait_ready(self, timeout_s: float = 90.0, pause: Pause = time.sleep) -> None:
        """Wait until every node runs, is in the cluster, and clients can connect.

        Queues that have fewer members than there are nodes, those of a node that was alone before,
        then get the rest. Call it from the main thread when nodes are new: it starts them.

        Args:
            timeout_s: Seconds to wait at most.
            pause: How to sleep between questions; may raise to break off.

        Raises:
            SetupError: A server ended or has not joined, or time is over.
        """
        deadline = time.monotonic() + timeout_s
        for nodes in (self._founders(), self.nodes):
            for node in nodes:
                node.spawn()
            for node in nodes:
                node.wait_ready(deadline - time.monotonic(), pause)
        if len(self.nodes) > 1:
            wait_until(
                self.clustered,
                self.children,
                what="RabbitMQ cluster",
                timeout_s=deadline - time.monotonic(),
                pause=pause,
            )
            self._grow(pause)

    def clustered(self) -> bool:
        """Whether every node runs in one cluster."""
        status = json.loads(self.ctl("cluster_status", "--formatter", "json"))
        return set(status["running_nodes"]) == {node.name for node in self.nodes}

    def kill(self, index: int | None = None) -> None:
        """End one server, or all of them, as a power cut would (SIGKILL); `start()` brings them back."""
        for node in self.nodes if index is None else [self.nodes[index]]:
            node.kill()

    def start_node(self, index: int) -> None:
        """Start a node that does not run, and do not wait: alone, it may have to wait for others."""
        self.nodes[index].spawn()

    def stop(self, deadline_s: float = 20.0) -> None:
        """Stop all servers in order, then the port mapper; kill what outlasts `deadline_s`."""
        began = time.monotonic()
        ready = [node.ready for node in self.nodes]
        for node in self.nodes:
            node.server.ask_to_stop()
        for node, was_ready in zip(self.nodes, ready, strict=True):
            if not node.server.wait(began + (deadline_s if was_ready else min(deadline_s, 3.0))):
                node.server.kill()
        stop_all([self.nodes[0].epmd], 5)

    def ctl(
        self,
        *arguments: str,
        node: int | None = None,
        timeout_s: float = 60.0,
        program: str = "rabbitmqctl",
    ) -> str:
        """Run `rabbitmqctl`, or another of RabbitMQ's tools, on a node; on the first that runs if None.

        Raises:
            SetupError: It failed; the text holds what it printed.
        """
        running = next((n for n in self.nodes if n.running), self.nodes[0])
        chosen = running if node is None else self.nodes[node]
        return chosen.ctl(*arguments, timeout_s=timeout_s, program=program)

    def members(self) -> dict[str, tuple[str, list[str]]]:
        """Return of each quorum queue and stream its type and the nodes that hold it."""
        listing = self.ctl("list_queues", "--quiet", "--formatter", "json", "name", "type", "members")
        queues: list[dict[str, Any]] = json.loads(listing)
        return {
            queue["name"]: (queue["type"], queue["members"])
            for queue in queues
            if queue["type"] in ("quorum", "stream")
        }

    def _founders(self) -> list[RabbitNode]:
        return [node for node in self.nodes if node.has_data] or self.nodes[:1]

    def _grow(self, pause: Pause) -> None:
        deadline = time.monotonic() + _GROW_SECONDS
        streams = False
        while lacking := self._lacking():
            if time.monotonic() > deadline:
                raise SetupError(f"RabbitMQ could not give {lacking[0][1]} a member on {lacking[0][2]}.")
            streams = streams or any(kind == "stream" for kind, _, _ in lacking)
            grown = {node for kind, _, node in lacking if kind == "quorum"}
            for node in sorted(grown):
                self.ctl("grow", node, "all", program="rabbitmq-queues")
            for kind, name, node in lacking:
                if kind == "stream":
                    self.ctl("add_replica", name, node, program="rabbitmq-streams")
            pause(0.2)
        if streams:
            wait_until(
                lambda: int(self.nodes[0].ctl("eval", _ADD_COORDINATORS)) == len(self.nodes),
                self.children,
                what="RabbitMQ stream coordinator",
                timeout_s=_GROW_SECONDS,
                pause=pause,
            )

    def _lacking(self) -> list[tuple[str, str, str]]:
        """Type and name of each queue that a node does not hold, and that node."""
        return [
            (kind, name, node.name)
            for name, (kind, holders) in self.members().items()
            for node in self.nodes
            if node.name not in holders
        ]
