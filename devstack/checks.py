"""The verbs that run the project's checks, tests and benchmarks, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from devstack.install.install import install_missing
from devstack.paths import Paths
from operations.terminal import print_progress

# Tests and benchmarks start servers of their own, whatever this shell is set up for.
_SERVERS = ("ROLLCALL_MONGO_URI", "ROLLCALL_AMQP_URL")
_INTERRUPTED = 130
# Half of a test's time is waiting for servers: one process more than cores, and servers still answer in time.
# `tests/conftest.py` says what belongs together.
_PROCESSES = min(len(os.sched_getaffinity(0)) + 1, 4)
_ALL_TESTS = ("-n", str(_PROCESSES), "--no-loadscope-reorder")
LONG: Final = "--long"
FAST: Final = "--fast"
# Everything that needs no server, and the way of a command and of a read through real ones.
_FAST_TESTS = (*_ALL_TESTS, "--topology", "replica-set", "tests/unit", "tests/path/test_commands.py")


def test(arguments: Sequence[str]) -> int:
    """Run every check and then pytest; with arguments, pytest with them alone.

    Args:
        arguments: For pytest. `--long` among them runs the tests that need root or minutes, and no others.
            `--fast`, alone, runs every check, the unit tests and one way through real servers.

    Returns:
        The exit status of the first stage that failed, or 0.
    """
    long = LONG in arguments
    if long and os.geteuid() != 0:
        print_progress(
            f"{LONG} cuts the power of file systems and stops servers for minutes: run it as root."
        )
        return 1
    fast = FAST in arguments
    if fast and len(arguments) > 1:
        print_progress(f"{FAST} chooses the tests itself: give it alone.")
        return 1
    paths, environment = _prepare()
    if fast or not arguments:
        for title, command in _checks(Path(sys.executable).parent, paths.root):
            print_progress(f"== {title}: {Path(command[0]).name} {' '.join(command[1:])}".rstrip())
            began = time.monotonic()
            status = _run(command, paths.root, environment)
            print_progress(f"   {'failed' if status else 'passed'} in {time.monotonic() - began:.1f} s")
            if status:
                return status
    print_progress("== tests: pytest")
    chosen = _found_from_here([argument for argument in arguments if argument != LONG])
    own: Sequence[str] = () if chosen else _ALL_TESTS
    if long:
        own = ("-m", "long")
    if fast:
        own, chosen = _FAST_TESTS, []
    command = [sys.executable, "-m", "pytest", *own, *chosen]
    return _run(command, paths.root, environment)


def _checks(programs: Path, root: Path) -> list[tuple[str, list[str]]]:
    # Files outside of packages have to be named one by one.
    scripts = [
        str(path.relative_to(root))
        for folder in ("docs", "mongo-cluster")
        for path in sorted((root / folder).glob("*.py"))
    ]
    return [
        ("lint", [str(programs / "ruff"), "check"]),
        ("format", [str(programs / "ruff"), "format", "--check"]),
        ("types", [str(programs / "mypy")]),
        ("types of the scripts", [str(programs / "mypy"), *scripts]),
        ("imports", [str(programs / "lint-imports"), "--no-cache"]),
    ]


def bench(arguments: Sequence[str]) -> int:
    """Run the benchmarks; the exit status is theirs."""
    paths, environment = _prepare()
    command = [sys.executable, "-m", "bench", *_found_from_here(arguments)]
    return _run(command, paths.root, environment)


def _prepare() -> tuple[Paths, dict[str, str]]:
    paths = Paths.find()
    paths.create()
    install_missing(paths, wants_mongod=True, wants_rabbitmq=True)
    environment = {k: v for k, v in os.environ.items() if k not in _SERVERS}
    environment["HYPOTHESIS_STORAGE_DIRECTORY"] = str(paths.cache / "hypothesis")
    return paths, environment


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
    absolute = []
    for argument in arguments:
        path, separator, rest = argument.partition("::")
        if path and not path.startswith("-") and Path(path).exists():
            argument = f"{Path(path).absolute()}{separator}{rest}"
        absolute.append(argument)
    return absolute
