"""What is wrong with a file that declares something is told before anything starts, all of it."""

import json
from pathlib import Path

import pytest

from devstack.paths import Paths
from devstack.shape import Shape
from devstack.system import System
from tests.system import ROOT


@pytest.mark.parametrize(
    ("setting", "content", "faults"),
    [
        ("ROLLCALL_PERSON_SCHEMA", {"type": "object", "properties": {"a": {"type": "number"}}}, 2),
        ("ROLLCALL_ROLES", {"payroll": ["read"], "Operator": ["ops"]}, 2),
    ],
)
def test_up_tells_every_fault_of_a_declaration_and_starts_nothing(
    tmp_path: Path, setting: str, content: dict[str, object], faults: int
) -> None:
    file = tmp_path / "declared.json"
    file.write_text(json.dumps(content))
    with pytest.raises(SystemExit) as caught:
        System(Paths(root=ROOT, state=tmp_path / "state"), {setting: str(file)}, Shape(1, 1, 0, 2))
    said = str(caught.value).splitlines()
    assert said[0].startswith("cannot start: the ")
    assert len(said) == 1 + faults
    assert not (tmp_path / "state").exists()
