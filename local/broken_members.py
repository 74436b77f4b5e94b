"""Decides when a broker's node is to be ended because its queues are down although it could serve.

A node whose disk was full to the last byte gives its queues' members up, and does not start them again when
there is room: it runs, accepts connections, and confirms nothing until it is started anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local.errors import SetupError
from local.rabbit import RabbitNode

DOWN_SECONDS = 60.0
_LONGEST_PAUSE = 1800.0
ASK_SECONDS = 10.0


@dataclass(frozen=True)
class NodeWord:
    """What a node says.

    Attributes:
        down: Its queues whose member on this node is down.
        most_run: Whether more than half of the cluster's nodes run.
        alarm: Whether it lacks disk or memory.
    """

    down: tuple[str, ...]
    most_run: bool
    alarm: bool

    @property
    def broken(self) -> bool:
        """Whether to start it anew would help, and nothing else would."""
        return bool(self.down) and self.most_run and not self.alarm


class RestartRule:
    """When a node is to be ended: broken for a minute; after each end twice as long, until it is well.

    Pure: it is told what the node says, and when.
    """

    def __init__(self) -> None:
        self._since: float | None = None
        self._wait = DOWN_SECONDS

    def due(self, now: float, word: NodeWord | None) -> bool:
        """Return whether the node is to be ended now.

        Args:
            now: Seconds of a clock that does not jump.
            word: What it says; None if it says nothing, which is no reason.
        """
        if word is None or not word.broken:
            self._since = None
            if word is not None and not word.down:
                self._wait = DOWN_SECONDS
            return False
        self._since = now if self._since is None else self._since
        if now - self._since < self._wait:
            return False
        self._since, self._wait = None, min(self._wait * 2, _LONGEST_PAUSE)
        return True


WELL = NodeWord((), most_run=True, alarm=False)


def ask(node: RabbitNode) -> NodeWord | None:
    """Return what a node says; None if it does not answer. Takes a second or two of processor time."""
    try:
        cluster = json.loads(node.ctl("cluster_status", "--formatter", "json", timeout_s=ASK_SECONDS))
        columns = ("name", "type", "members", "online")
        told = node.ctl("list_queues", "--quiet", "--formatter", "json", *columns, timeout_s=ASK_SECONDS)
    except (SetupError, ValueError):
        return None
    down = members_down(node.name, json.loads(told))
    most = 2 * len(cluster["running_nodes"]) > len(cluster["disk_nodes"])
    return NodeWord(down, most, bool(down) and _alarmed(node))


def members_down(node: str, queues: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the quorum queues that have a member on a node, and it is down."""
    return tuple(
        queue["name"]
        for queue in queues
        if queue["type"] == "quorum" and node in queue["members"] and node not in queue["online"]
    )


def _alarmed(node: RabbitNode) -> bool:
    try:
        node.ctl("check_local_alarms", "--quiet", timeout_s=ASK_SECONDS, program="rabbitmq-diagnostics")
    except SetupError:
        return True
    return False
