"""Which mongod program this machine has; runs it only to ask whether it can run."""

from __future__ import annotations

import importlib.util
import os
import shutil
import stat
import subprocess
from pathlib import Path

from operations.errors import SetupError

_WHEEL_PACKAGE = "fiftyone"
_WHEEL_FILE = Path("db", "bin", "mongod")


def find_mongod() -> Path:
    """The mongod on PATH, else the one from the wheel, made executable.

    Raises:
        SetupError: There is none.
    """
    if on_path := shutil.which("mongod"):
        return Path(on_path)
    if packed := _from_wheel():
        mode = packed.stat().st_mode
        if not os.access(packed, os.X_OK):
            packed.chmod(mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        return packed
    raise SetupError(
        "There is no mongod on PATH and none in .venv: install MongoDB 6.0 or later, or set "
        "ROLLCALL_MONGO_URI to a MongoDB replica set that you run."
    )


def missing_libraries(mongod: Path) -> list[str]:
    """The shared libraries that the program needs and this machine lacks."""
    linked = subprocess.run(["ldd", str(mongod)], capture_output=True, text=True, check=False, timeout=30)
    lines = linked.stdout.splitlines()
    return [line.split()[0] for line in lines if "=> not found" in line]


def _from_wheel() -> Path | None:
    package = importlib.util.find_spec(_WHEEL_PACKAGE)
    for place in (package.submodule_search_locations or []) if package else []:
        candidate = Path(place) / _WHEEL_FILE
        if candidate.exists():
            return candidate
    return None
