"""The verbs that run the project's checks, tests and benchmarks, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from local.install import install_missing
from local.places import Places
from local.say import say

# Tests and benchmarks start servers of their own, whatever this shell is set up for.
_SERVERS = ("ROLLCALL_MONGO_URI", "ROLLCALL_AMQP_URL")
_INTERRUPTED = 130
# Several processes: much of a test is waiting for servers. `tests/conftest.py` says what belongs together.
_ALL_TESTS = ("-n", "auto", "--maxprocesses", "4", "--no-loadscope-reorder")
LONG: Final = "--long"


def test(arguments: Sequence[str]) -> int:
    """Run every check and then pytest; with arguments, pytest with them alone.

    Args:
        arguments: For pytest. `--long` among them runs the tests that need root or minutes, and no others.

    Returns:
        The exit status of the first stage that failed, or 0.
    """
    long = LONG in arguments
    if long and os.geteuid() != 0:
        say(f"{LONG} cuts the power of file systems and stops servers for minutes: run it as root.")
        return 1
    places, environment = _prepare()
    if not arguments:
        for title, command in _checks(Path(sys.executable).parent, places.root):
            say(f"== {title}: {Path(command[0]).name} {' '.join(command[1:])}".rstrip())
            began = time.monotonic()
            status = _run(command, places.root, environment)
            say(f"   {'failed' if status else 'passed'} in {time.monotonic() - began:.1f} s")
            if status:
                return status
    say("== tests: pytest")
    chosen = _found_from_here([argument for argument in arguments if argument != LONG])
    own = ("-m", "long") if long else () if chosen else _ALL_TESTS
    command = [sys.executable, "-m", "pytest", *own, *chosen]
    return _run(command, places.root, environment)


def _checks(programs: Path, root: Path) -> list[tuple[str, list[str]]]:
    # What is no package has to be named file by file.
    scripts = [str(path.relative_to(root)) for path in sorted(root.glob("mongo-cluster/*.py"))]
    return [
        ("lint", [str(programs / "ruff"), "check"]),
        ("format", [str(programs / "ruff"), "format", "--check"]),
        ("types", [str(programs / "mypy")]),
        ("types of the scripts", [str(programs / "mypy"), *scripts]),
        ("imports", [str(programs / "lint-imports"), "--no-cache"]),
    ]


def bench(arguments: Sequence[str]) -> int:
    """Run the benchmarks; the exit status is theirs."""
    places, environment = _prepare()
    command = [sys.executable, "-m", "bench", *_found_from_here(arguments)]
    return _run(command, places.root, environment)


def _prepare() -> tuple[Places, dict[str, str]]:
    places = Places.find()
    places.create()
    install_missing(places, wants_mongod=True, wants_rabbitmq=True)
    environment = {k: v for k, v in os.environ.items() if k not in _SERVERS}
    environment["HYPOTHESIS_STORAGE_DIRECTORY"] = str(places.cache / "hypothesis")
    return places, environment


def _run(command: Sequence[str], root: Path, environment: dict[str, str]) -> int:
    with subprocess.Popen(list(command), cwd=root, env=environment) as process:
        # Ctrl-C reaches the child as well: let it clean up, and wait for it.
        while True:
            try:
                status = process.wait()
            except KeyboardInterrupt:
                continue
            return status if status >= 0 else _INTERRUPTED


def _found_from_here(arguments: Sequence[str]) -> list[str]:
    """The arguments, with paths that exist where the user stands made absolute."""
    found = []
    for argument in arguments:
        path, separator, rest = argument.partition("::")
        if path and not path.startswith("-") and Path(path).exists():
            argument = f"{Path(path).absolute()}{separator}{rest}"
        found.append(argument)
    return found
