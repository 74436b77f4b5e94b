"""Decides when a broker's node whose queues are down although it could serve is restarted.

A node whose disk was full to the last byte gives its queues' members up, and does not start them again when
there is room: it runs, accepts connections, and confirms nothing until it is started anew.

A node that is killed soon after the stream was made may know of it, and of nobody who keeps it: the stream is
down for good, and can neither be declared nor deleted as other queues are. What it held is in the log.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from enum import Enum

from devstack.paths import ROOT
from devstack.servers.rabbit import RabbitNode
from operations.errors import SetupError
from operations.terminal import print_progress
from service_kit.broker.topology import EVENT_LOG

DOWN_SECONDS = 60.0
_REMOVAL = ROOT / "rabbitmq" / "remove-stream.erl"
_LONGEST_PAUSE = 1800.0
_ASK_SECONDS = 10.0
_REMOVE_SECONDS = 30.0
_COLUMNS = 5


class Remedy(Enum):
    """What helps a node."""

    RESTART = "restart"
    REMOVE = "remove"
    """Its stream, after a restart was of no use."""


@dataclass(frozen=True)
class NodeReport:
    """What a node says.

    Attributes:
        down: Its quorum queues whose member on this node is down.
        most_run: Whether more than half of the cluster's nodes run.
        alarm: Whether it lacks disk or memory.
        lost: Whether the stream is down although all nodes run; only the first of them tells.
    """

    down: tuple[str, ...]
    most_run: bool
    alarm: bool
    lost: bool = False

    @property
    def well(self) -> bool:
        """Whether nothing is down."""
        return not self.down and not self.lost

    @property
    def broken(self) -> bool:
        """Whether something is down that does not get well by itself."""
        return not self.well and self.most_run and not self.alarm

    @property
    def names(self) -> str:
        """What is down."""
        return ", ".join([*self.down, *([EVENT_LOG] if self.lost else [])])


class RestartRule:
    """What is to be done about a node that is broken for a minute; each time twice as long, until it is well.

    It is started anew. Where only the stream is down, and is still after a new start, the stream is removed.
    Pure: it is told what the node says, and when.

    Args:
        started: Whether it has just been started anew.
    """

    def __init__(self, *, started: bool = False) -> None:
        self._since: float | None = None
        self._wait = DOWN_SECONDS
        self._started = started

    def due(self, now: float, word: NodeReport | None) -> Remedy | None:
        """Return what is to be done now.

        Args:
            now: Seconds of a clock that does not jump.
            word: What it says; None if it says nothing, which is no reason.
        """
        if word is not None and not word.lost:
            self._started = False
        if word is None or not word.broken:
            self._since = None
            if word is not None and word.well:
                self._wait = DOWN_SECONDS
            return None
        self._since = now if self._since is None else self._since
        if now - self._since < self._wait:
            return None
        self._since, self._wait = None, min(self._wait * 2, _LONGEST_PAUSE)
        removing = self._started and not word.down
        self._started = word.lost and not removing
        return Remedy.REMOVE if removing else Remedy.RESTART


WELL = NodeReport((), most_run=True, alarm=False)


def ask(node: RabbitNode) -> NodeReport | None:
    """Return what a node says; None if it does not answer. Takes a second or two of processor time."""
    try:
        status = node.ctl("cluster_status", "--formatter", "json", timeout_s=_ASK_SECONDS)
        # As text, since one queue that does not answer spoils the whole JSON, but only its own line of text.
        columns = ("--quiet", "--no-table-headers", "name", "type", "members", "online", "state")
        queues = node.ctl("list_queues", *columns, timeout_s=_ASK_SECONDS)
        word = understood(node.name, status, queues)
        return word if word.well else replace(word, alarm=_alarmed(node))
    except (SetupError, OSError):
        return None
    except (ValueError, KeyError, TypeError) as exc:
        print_progress(f"{node.server.name}: what it says of itself is not understood ({exc!r}).")
        return None


def understood(node: str, status: str, queues: str) -> NodeReport:
    """Return what a node says, apart from alarms.

    Args:
        node: The node's name.
        status: The cluster's status, as JSON.
        queues: A line for each queue: its name, type, members, those of them that are online, and state.

    Raises:
        ValueError, KeyError, TypeError: It says something else.
    """
    cluster = json.loads(status)
    every, running = set(cluster["disk_nodes"]), set(cluster["running_nodes"])
    rows = [row for row in (line.split("\t") for line in queues.splitlines()) if len(row) == _COLUMNS]
    down = tuple(
        name
        for name, type_, members, online, _ in rows
        if type_ == "quorum" and node in _nodes(members) and node not in _nodes(online)
    )
    # Only the first node acts, and only while all run: with some away the stream may just wait for them.
    lost = (
        running == every
        and node == min(every)
        and any((name, state) == (EVENT_LOG, "down") for name, _, _, _, state in rows)
    )
    return NodeReport(down, 2 * len(running) > len(every), alarm=False, lost=lost)


def remove_stream(node: RabbitNode) -> None:
    """Remove the stream if a node has only the name of it, and say what came of it.

    Services declare it anew, and a worker fills it from the log.
    """
    try:
        done = node.ctl("eval", _REMOVAL.read_text(), timeout_s=_REMOVE_SECONDS).strip()
    except (SetupError, OSError) as exc:
        print_progress(
            f"{node.server.name}: {EVENT_LOG}, which is down for good, could not be removed: {exc}"
        )
        return
    if done == "removed":
        print_progress(
            f"{node.server.name}: {EVENT_LOG} is down for good, and a new start did not help: REMOVED it. "
            "It is declared anew, and filled from the log."
        )


def _nodes(listed: str) -> set[str]:
    return set(re.findall(r"[^][,\s\"]+", listed))


def _alarmed(node: RabbitNode) -> bool:
    try:
        node.ctl("check_local_alarms", "--quiet", timeout_s=_ASK_SECONDS, program="rabbitmq-diagnostics")
    except SetupError:
        return True
    return False
