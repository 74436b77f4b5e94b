"""The first start of a state folder: only when all it made is on disk may anybody hand in a command.

RabbitMQ 3.10 syncs messages, but not the files that say which queues there are: a loss of power soon after
its first start leaves some of them empty, and it never starts again. So a mark tells of a first start that
was not finished, of which nobody has had an answer, and the next one begins anew. It lies in the data that it
tells of: data that is put in its place, a backup perhaps, is without it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from devstack.paths import Paths
from devstack.processes import Pause
from devstack.servers.broken_members import Remedy, RestartRule, ask, remove_stream
from devstack.servers.rabbit import RabbitNode
from events.errors import BrokerUnavailable
from operations.errors import SetupError
from operations.terminal import print_progress, short_path
from service_kit.broker.connection import broker_errors, connected
from service_kit.broker.declaring import OTHER_PARTITIONS, declare, differs
from service_kit.broker.topology import queues
from service_kit.files import make_folder, sync_folder, write_whole

_MARK = "first-start"
_LOOKING_S = 10.0
_ANSWERED_S = 60.0
_MENDED_S = 120.0
_ASK_AFTER_S = 5.0
_WRITTEN_S = 20.0
_COORDINATOR = b"rabbit_stream_coordinator"


def begin(paths: Paths) -> None:
    """Note that data is made for the first time; put aside what an unfinished first start left.

    Raises:
        SetupError: The state folder cannot be written to.
    """
    try:
        if unfinished(paths) and has_data(paths):
            aside = _free_name(paths)
            paths.data.rename(aside)
            make_folder(paths.data, mode=0o700)
            print_progress(
                "The first start was cut off, so this one begins anew; what there was is in "
                f"{short_path(aside)}."
            )
        if not has_data(paths):
            write_whole(paths.data / _MARK, "")
    except OSError as exc:
        raise SetupError(f"{short_path(paths.state)} cannot be written to ({exc.strerror}).") from exc


def unfinished(paths: Paths) -> bool:
    """Return whether the data is that of a first start which was not finished."""
    return (paths.data / _MARK).exists()


def has_data(paths: Paths) -> bool:
    """Return whether there is any data, apart from the note that a first start has begun."""
    return not all(path.name.startswith(_MARK) for path in paths.data.iterdir())


def _free_name(paths: Paths) -> Path:
    """Return a new name for each unfinished start, so that nothing that was put aside is overwritten."""
    names = (paths.state / f"data.unfinished-{number}" for number in count(1))
    return next(path for path in names if not path.exists())


def finish(paths: Paths, broker: Path, partitions: int, pause: Pause) -> None:
    """See that all that a first start made is on disk, and forget that it was the first; else do nothing.

    Args:
        paths: Where the state is.
        broker: The folder of a broker of our own, if there is one.
        partitions: How many command queues it has.
        pause: How to sleep between looks; may raise to break off.

    Raises:
        SetupError: The broker does not write what it has.
    """
    if not unfinished(paths):
        return
    deadline = time.monotonic() + _WRITTEN_S
    while not all(_knows_its_queues(node, partitions) for node in broker.glob("mnesia/*@localhost")):
        if time.monotonic() > deadline:
            raise SetupError("RabbitMQ does not write its queues to disk: run `./run up` again.")
        pause(0.1)
    os.sync()
    (paths.data / _MARK).unlink()
    sync_folder(paths.data)


def _knows_its_queues(node: Path, partitions: int) -> bool:
    """Return whether a node's own lists of what it holds, which it writes now and then, are complete."""
    listed = [node / system / node.name / "names.dets" for system in ("quorum", "coordination")]
    if not all(path.exists() for path in listed):
        return False
    quorum, coordination = (path.read_bytes() for path in listed)
    names = [queue.name for queue in queues(partitions) if queue.arguments["x-queue-type"] == "quorum"]
    return _COORDINATOR in coordination and all(f"%2F_{name}".encode() in quorum for name in names)


def set_up_queues(amqp_url: str, partitions: int, pause: Pause, nodes: Sequence[RabbitNode] = ()) -> None:
    """Make every queue before anybody can hand in a command.

    Args:
        amqp_url: The broker.
        partitions: How many command queues there are.
        pause: How to sleep between tries; may raise to break off.
        nodes: Its nodes, if it is our own; they have just started, so a stream that stays down is removed.

    Raises:
        SetupError: The broker was set up with another number of partitions, or does not answer.
    """
    begun = time.monotonic()
    rules = [(node, RestartRule(started=True)) for node in nodes]
    while True:
        try:
            if asyncio.run(_has_other_partitions(amqp_url, partitions)):
                raise SetupError(f"{OTHER_PARTITIONS.format(partitions)}, or begin anew with `./run reset`.")
            return
        except BrokerUnavailable as exc:
            waited = time.monotonic() - begun
            if waited > (_MENDED_S if nodes else _ANSWERED_S):
                raise SetupError(f"{exc.detail}. See why, and run `./run up` again.") from exc
        pause(0.5)
        if waited > _ASK_AFTER_S:
            for node, rule in rules:
                if rule.due(time.monotonic(), ask(node)) is Remedy.REMOVE:
                    remove_stream(node)


async def _has_other_partitions(amqp_url: str, partitions: int) -> bool:
    async with connected(amqp_url, "rollcall up") as connection:
        with broker_errors("looking at queues"):
            async with asyncio.timeout(_LOOKING_S):
                if await differs(connection, partitions):
                    return True
        await declare(connection, partitions)
    return False
