"""Which TCP ports are free, and who has chosen them; opens none for longer than the question takes."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from operations.errors import SetupError

LOOPBACK = "127.0.0.1"
# Below the range that Linux gives to outgoing connections (32768 and up), so none takes it by chance.
_CHOICE = range(20_000, 32_000)
# What marks a port as chosen by this process; see `_reserve`.
_RESERVED: list[socket.socket] = []


@dataclass(frozen=True)
class WantedPort:
    """A port that something is about to listen on.

    Attributes:
        port: The TCP port.
        owner: What wants it, as the user knows it.
        setting: The environment variable that moves it.
        host: The address it will listen on.
    """

    port: int
    owner: str
    setting: str
    host: str = LOOPBACK


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on `port` of `host` now."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except (OSError, OverflowError):
        return False
    return True


def listens(port: int) -> bool:
    """Whether something on loopback accepts connections on `port`."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def free_ports(count: int) -> list[int]:
    """Choose ports on loopback that nothing listens on, and keep other choosers off them.

    Args:
        count: How many different ports.

    Returns:
        Ports between 20000 and 31999. Until this process ends, neither it nor another
        process of this machine chooses them again: also while their server is down.

    Raises:
        SetupError: So many are not free.
    """
    chosen: list[int] = []
    for port in _candidates():
        if _reserve(port):
            chosen.append(port)
        if len(chosen) == count:
            return chosen
    raise SetupError(f"This machine has no {count} free ports between 20000 and 31999.")


def free_ports_apart(offsets: Sequence[int]) -> list[int]:
    """Choose ports like `free_ports`, at given distances from one start.

    Args:
        offsets: Distances from the start, which is the port at distance 0.

    Returns:
        A port for each distance, in the same order.

    Raises:
        SetupError: No start has all its ports free.
    """
    for start in _candidates():
        if all(_reserve(start + offset) for offset in offsets):
            return [start + offset for offset in offsets]
    raise SetupError("This machine has no such row of free ports between 20000 and 31999.")


def _candidates() -> list[int]:
    # A private generator: a test that seeds `random` must not make two runs choose alike.
    return random.SystemRandom().sample(_CHOICE, len(_CHOICE))


def _reserve(port: int) -> bool:
    """Take `port` for this process, if it is free and no process has taken it.

    Two servers that choose one port find out seconds later, when the second one listens.
    A name of an abstract Unix socket belongs to one process of a network namespace, as a
    port does, and the kernel frees it when the process ends.
    """
    mark = socket.socket(socket.AF_UNIX)
    try:
        mark.bind(f"\0rollcall-port-{port}")
    except OSError as error:
        mark.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    _RESERVED.append(mark)
    return is_free(port)


def check_ports(ports: Iterable[WantedPort]) -> None:
    """Refuse to start when a port is taken, or wanted twice.

    Args:
        ports: Every port about to be listened on.

    Raises:
        SetupError: Names the port, what wants it, and what to do.
    """
    owners: dict[int, WantedPort] = {}
    for want in ports:
        if not 0 < want.port < 65536:
            raise SetupError(
                f"{want.setting} gives the {want.owner} port {want.port}, which is not between "
                "1 and 65535: change it."
            )
        if other := owners.get(want.port):
            raise SetupError(
                f"Port {want.port} is wanted by both the {other.owner} and the {want.owner}: "
                f"set {want.setting} to another port."
            )
        owners[want.port] = want
        if not is_free(want.port, want.host):
            raise SetupError(
                f"Port {want.port}, which the {want.owner} needs, is in use by another program: "
                f"stop that program, or set {want.setting} to a free port."
            )
