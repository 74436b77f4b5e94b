"""How much of everything runs on this machine, and on which ports; starts nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from devstack.servers.cluster import ClusterPorts
from devstack.servers.ports import WantedPort
from operations.addresses import number

_BLOCK = "ROLLCALL_LOCAL_PORTS"
_BLOCK_START = 27_310
SET_MEMBERS = 3


@dataclass(frozen=True)
class Shape:
    """What is started, and how much of it.

    Attributes:
        workers: Worker processes.
        brokers: RabbitMQ nodes.
        shards: Shards of a sharded cluster; 0 for a plain replica set.
        members: Data-bearing members of each shard.
    """

    workers: int = 1
    brokers: int = 1
    shards: int = 0
    members: int = 2


@dataclass(frozen=True)
class LocalPorts:
    """The block of ports for the servers of our own."""

    start: int

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> LocalPorts:
        """The block that begins at `ROLLCALL_LOCAL_PORTS`, or at 27310."""
        return cls(number(environ, _BLOCK, _BLOCK_START))

    @property
    def replica_set(self) -> list[int]:
        """The plain replica set's members."""
        return [self.start + index for index in range(SET_MEMBERS)]

    def cluster(self, shape: Shape) -> ClusterPorts:
        """The sharded cluster's parts."""
        first = self.start + 40
        shards = [
            [first + 10 * shard + index for index in range(shape.members)] for shard in range(shape.shards)
        ]
        return ClusterPorts(self.start + 30, [self.start + 31], shards)

    @property
    def port_mapper(self) -> int:
        """The one that the brokers share."""
        return self.start + 12

    def brokers(self, count: int) -> list[tuple[int, int]]:
        """Each broker's: for clients, and for clustering."""
        firsts = [self.start + 10, *range(self.start + 13, self.start + 11 + 2 * count, 2)]
        return [(first, first + 1) for first in firsts]

    def wanted(self, shape: Shape, *, mongo: bool, rabbit: bool) -> list[WantedPort]:
        """Every port that our own servers will listen on."""
        ports: list[tuple[int, str]] = []
        if mongo and shape.shards:
            cluster = self.cluster(shape)
            ports += [(cluster.router, "MongoDB router"), (cluster.config[0], "MongoDB config server")]
            ports += [
                (port, f"MongoDB shard {number} member {index}")
                for number, shard in enumerate(cluster.shards, 1)
                for index, port in enumerate(shard)
            ]
        elif mongo:
            ports += [(port, f"MongoDB member {index}") for index, port in enumerate(self.replica_set)]
        if rabbit:
            for amqp, clustering in self.brokers(shape.brokers):
                ports += [(amqp, "RabbitMQ server"), (clustering, "RabbitMQ clustering")]
            ports.append((self.port_mapper, "RabbitMQ port mapper"))
        return [WantedPort(port, owner, _BLOCK) for port, owner in ports]
