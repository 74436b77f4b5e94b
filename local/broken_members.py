"""Decides when a broker's node is to be ended because its queues are down although it could serve.

A node whose disk was full to the last byte gives its queues' members up, and does not start them again when
there is room: it runs, accepts connections, and confirms nothing until it is started anew.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from local.errors import SetupError
from local.rabbit import RabbitNode

DOWN_SECONDS = 60.0
_LONGEST_PAUSE = 1800.0
_ASK_SECONDS = 10.0
_COLUMNS = 4


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
        cluster = json.loads(node.ctl("cluster_status", "--formatter", "json", timeout_s=_ASK_SECONDS))
        # As text: the lines of the other queues come also when one cannot be asked.
        columns = ("--quiet", "--no-table-headers", "name", "type", "members", "online")
        told = node.ctl("list_queues", *columns, timeout_s=_ASK_SECONDS)
    except (SetupError, ValueError):
        return None
    down = members_down(node.name, told)
    most = 2 * len(cluster["running_nodes"]) > len(cluster["disk_nodes"])
    return NodeWord(down, most, bool(down) and _alarmed(node))


def members_down(node: str, told: str) -> tuple[str, ...]:
    """Return the names of the quorum queues that have a member on a node, and it is down.

    Args:
        node: The node's name.
        told: A line for each queue: its name, type, members and those of them that are online.
    """
    rows = [line.split("\t") for line in told.splitlines()]
    return tuple(
        name
        for name, type_, members, online in (row for row in rows if len(row) == _COLUMNS)
        if type_ == "quorum" and node in _nodes(members) and node not in _nodes(online)
    )


def _nodes(listed: str) -> set[str]:
    return set(re.findall(r"[^][,\s\"]+", listed))


def _alarmed(node: RabbitNode) -> bool:
    try:
        node.ctl("check_local_alarms", "--quiet", timeout_s=_ASK_SECONDS, program="rabbitmq-diagnostics")
    except SetupError:
        return True
    return False
