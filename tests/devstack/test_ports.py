import socket
import subprocess
import sys
from collections.abc import Iterator
from subprocess import PIPE

import pytest

from devstack.servers import ports
from devstack.servers.ports import WantedPort, check_ports, free_ports, free_ports_apart, is_free
from operations.errors import SetupError


@pytest.fixture(params=["127.0.0.1", "0.0.0.0"])
def taken(request: pytest.FixtureRequest) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_port_that_something_listens_on_is_not_free(taken: int) -> None:
    assert not is_free(taken)
    assert not is_free(taken, "0.0.0.0")


def test_a_taken_port_is_refused_with_what_wants_it_and_what_to_do(taken: int) -> None:
    with pytest.raises(SetupError) as refusal:
        check_ports([WantedPort(taken, "query API", "ROLLCALL_QUERY_PORT")])
    assert str(refusal.value) == (
        f"Port {taken}, which the query API needs, is in use by another program: stop that "
        "program, or set ROLLCALL_QUERY_PORT to a free port."
    )


def test_two_that_want_one_port_are_told() -> None:
    [port] = free_ports(1)
    with pytest.raises(SetupError, match="wanted by both the command API and the query API"):
        check_ports(
            [WantedPort(port, "command API", "A"), WantedPort(port, "query API", "B")],
        )


@pytest.mark.parametrize("port", [0, 65536, 100_000])
def test_a_number_that_is_no_port_is_refused(port: int) -> None:
    with pytest.raises(SetupError, match="not between 1 and 65535"):
        check_ports([WantedPort(port, "query API", "ROLLCALL_QUERY_PORT")])


def test_a_chosen_port_is_nobody_elses_until_its_chooser_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two servers with one port would find out seconds later, when the second one listens."""
    choose = "from devstack.servers.ports import free_ports; print(*free_ports(1), flush=True); input()"
    chooser = subprocess.Popen([sys.executable, "-c", choose], stdin=PIPE, stdout=PIPE, text=True)
    assert chooser.stdin and chooser.stdout
    port = int(chooser.stdout.readline())
    monkeypatch.setattr(ports, "_CHOICE", range(port, port + 1))
    with pytest.raises(SetupError, match="no 1 free ports"):
        free_ports(1)
    chooser.communicate("\n")
    assert free_ports(1) == [port]
    with pytest.raises(SetupError, match="no 1 free ports"):
        free_ports(1)
    with pytest.raises(SetupError, match="no such row"):
        free_ports_apart([0, 2])


def test_chosen_ports_are_free_and_differ() -> None:
    chosen = free_ports(20)
    assert len(set(chosen)) == 20
    check_ports(WantedPort(port, f"server {port}", "X") for port in chosen)
