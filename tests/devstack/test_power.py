"""The power goes while `./run up` runs for the first time: what it made is whole, and the next one works."""

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devstack.conftest import Machine
from tests.devstack.test_up import eventually, wait_ready
from tests.power import Disk

SECRETS = (
    "secrets/images.key",
    "secrets/kek",
    "secrets/signing-keys/*.pem",
    "data/rabbitmq/password",
    "data/rabbitmq/home/.*",
)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with Disk(tmp_path / "disk", 4096) as mounted:
        yield mounted


def secrets(state: Path) -> list[Path]:
    return [path for pattern in SECRETS for path in state.glob(pattern) if not path.name.endswith(".new")]


@pytest.mark.long
@pytest.mark.parametrize("seconds", [0.0, 2.0, 6.0, None], ids=lambda seconds: f"after {seconds}")
def test_no_secret_is_empty_after_a_power_cut_and_up_works(
    machine: Machine, disk: Disk, seconds: float | None
) -> None:
    """`None`: as soon as everything is ready."""
    state = disk.folder / "state"
    machine.env["ROLLCALL_STATE_DIR"] = str(state)
    moved = dataclasses.replace(machine, state=state)
    process = machine.up()
    if seconds is None:
        wait_ready(machine, process)
    else:
        eventually(lambda: len(secrets(state)) == len(SECRETS), 60, "the secrets are not made")
        time.sleep(seconds)
    made = {path: path.read_bytes() for path in secrets(state)}
    disk.cut()
    process.wait(30)
    assert len(made) == len(SECRETS)
    assert {path: path.read_bytes() for path in secrets(state)} == made
    wait_ready(machine, machine.up())
    kept = {path for path in made if path.is_relative_to(state / "secrets") or seconds is None}
    assert {path: path.read_bytes() for path in kept} == {path: made[path] for path in kept}
    assert machine.run("down").returncode == 0
    eventually(lambda: moved.processes() == [], 10, "something still runs")
