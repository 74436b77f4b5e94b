"""The brokers' health check, run as in the container, on tools that say what a test wants."""

import json
import os
import subprocess

import pytest

from operations.env import variables
from tests.compose.composefile import ROOT, ComposeFile

FILE = ComposeFile.load(variables())
NODES = [f"rabbit@rabbitmq-{number}" for number in (1, 2, 3)]
_CTL = """#!/bin/sh
! [ -e "$HERE/fails" ] || case "$*" in *$(cat "$HERE/fails")*) exit 69 ;; esac
case "$*" in
    *cluster_status*) cat "$HERE/cluster" ;;
    *list_queues*) cat "$HERE/queues" ;;
    *eval*) shift 2; echo "$*" >"$HERE/removal" ;;
    *stop*) echo stop >>"$HERE/ends" ;;
esac
"""


class Node:
    """A node whose tools are scripts; the time passes as told."""

    def __init__(self, here) -> None:
        self.here = here
        for name, text in (
            ("rabbitmqctl", _CTL),
            ("rabbitmq-diagnostics", '#!/bin/sh\n! [ -e "$HERE/alarm" ]\n'),
            ("date", '#!/bin/sh\ncat "$HERE/now"\n'),
        ):
            (here / name).write_text(text)
            (here / name).chmod(0o755)
        self.now = 1_000_000
        self.says()

    def says(
        self,
        *,
        members: int = 3,
        running: int = 3,
        down: bool = False,
        alarm: bool = False,
        lost: bool = False,
    ) -> None:
        cluster = {
            "cluster_name": "rollcall",
            "disk_nodes": NODES[:members],
            "running_nodes": NODES[:running],
            "versions": {NODES[0]: {}},
        }
        (self.here / "cluster").write_text(json.dumps(cluster, indent=1))
        every = f"[{', '.join(NODES)}]"
        online = f"[{', '.join(NODES[1:])}]" if down else every
        stream = "rabbit_stream_queue\t\t\tdown" if lost else f"stream\t{every}\t{online}\trunning"
        queues = f"commands.0\tquorum\t{every}\t{online}\trunning\nevents.log\t{stream}\namq.gen\tclassic\t\t\trunning\n"
        (self.here / "queues").write_text(queues)
        (self.here / "alarm").unlink(missing_ok=True)
        if alarm:
            (self.here / "alarm").touch()

    def fails(self, command: str) -> None:
        (self.here / "fails").write_text(command)

    def healthy(self, later: int = 30, name: str = NODES[0]) -> bool:
        self.now += later
        (self.here / "now").write_text(str(self.now))
        kind, script = FILE.services["rabbitmq-1"]["healthcheck"]["test"]
        assert kind == "CMD-SHELL"
        done = subprocess.run(
            ["sh", "-c", script.replace("/etc/rabbitmq", str(ROOT / "rabbitmq"))],
            env={
                "PATH": f"{self.here}:{os.environ['PATH']}",
                "HERE": str(self.here),
                "TMPDIR": str(self.here),
                "RABBITMQ_NODENAME": name,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert not done.stderr
        return done.returncode == 0

    @property
    def ends(self) -> int:
        file = self.here / "ends"
        return len(file.read_text().split()) if file.exists() else 0

    @property
    def removal(self) -> str:
        file = self.here / "removal"
        return file.read_text() if file.exists() else ""


@pytest.fixture
def node(tmp_path) -> Node:
    return Node(tmp_path)


@pytest.mark.parametrize("members", [1, 2, 3])
def test_a_broker_is_healthy_once_all_three_belong_to_its_cluster(node, members):
    node.says(members=members)
    assert node.healthy() == (members == 3)
    assert not node.ends


def test_a_broker_whose_queues_are_down_ends_itself_after_a_minute_and_then_ever_later(node):
    node.says(down=True)
    assert [(node.healthy(), node.ends) for _ in range(4)] == [(False, 0), (False, 0), (False, 1), (False, 1)]
    for _ in range(4):
        node.healthy()
    assert node.ends == 2
    node.says()
    assert node.healthy()
    node.says(down=True)
    assert [(node.healthy(), node.ends) for _ in range(3)] == [(False, 2), (False, 2), (False, 3)]


def test_a_broker_that_nothing_would_be_won_with_goes_on(node):
    for trouble in ({"running": 1}, {"alarm": True}):
        node.says(down=True, **trouble)
        assert not any(node.healthy(60) for _ in range(4))
    assert not node.ends


@pytest.mark.parametrize("command", ["cluster_status", "list_queues"])
def test_a_broker_that_does_not_answer_is_not_healthy(node, command):
    node.says(down=True)
    assert not node.healthy()
    node.fails(command)
    assert not any(node.healthy() for _ in range(4))
    assert not node.ends


def test_a_stream_that_is_down_after_a_new_start_is_removed_by_the_first_node(node):
    node.says(lost=True)
    assert all(node.healthy(60, NODES[1]) for _ in range(5))
    assert (node.ends, node.removal) == (0, "")
    assert [(node.healthy(), node.ends) for _ in range(3)] == [(False, 0), (False, 0), (False, 1)]
    assert not any(node.healthy() for _ in range(4))
    assert not node.removal
    assert not node.healthy()
    assert (node.ends, node.removal.split()) == (
        1,
        (ROOT / "rabbitmq" / "remove-stream.erl").read_text().split(),
    )
    node.says()
    assert node.healthy()


def test_a_stream_that_comes_back_or_whose_nodes_are_away_is_not_removed(node):
    # With nodes away, nobody can tell that it is down for good.
    for later, healthy in (
        ({}, True),
        ({"lost": True, "running": 2}, True),
        ({"lost": True, "alarm": True}, False),
        ({"lost": True, "down": True}, False),
    ):
        node.says(lost=True)
        assert not any(node.healthy() for _ in range(3))
        node.says(**later)
        assert [node.healthy(240) for _ in range(8)] == [healthy] * 8
        node.says()
        assert node.healthy()
    assert not node.removal
