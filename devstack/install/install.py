"""Installs what `devstack.install.plan` decided, with the system's package manager; asks for nothing.

Needs the standard library alone: it looks at the machine before anything is installed.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from devstack.install.plan import Installation, Machine, plan_installation
from devstack.install.progress import run_logged
from devstack.paths import Paths
from devstack.servers.mongod import find_mongod, missing_libraries
from devstack.servers.ports import listens
from devstack.servers.rabbitmq_server import find_rabbitmq
from operations.errors import SetupError
from operations.terminal import print_progress, short_path

_APT = (
    *("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--yes", "--quiet"),
    *("-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"),
)

# What the packaged services would listen on: AMQP, and Erlang's port mapper.
_SERVICE_PORTS = (5672, 4369)


def look_at_machine() -> Machine:
    """Gather the facts that decide what can be installed."""
    return Machine(
        architecture=platform.machine(),
        glibc=platform.libc_ver()[0] == "glibc",
        avx=_has_avx(),
        root=os.geteuid() == 0,
        sudo=_sudo_works(),
        apt=shutil.which("apt-get") is not None,
        systemd=Path("/run/systemd/system").is_dir(),
        rabbitmq=_has_rabbitmq(),
        erlang=shutil.which("epmd") is not None,
    )


def install_missing(paths: Paths, *, wants_mongod: bool, wants_rabbitmq: bool) -> None:
    """Install the packages that are missing; usually there are none.

    Args:
        paths: Where the log goes.
        wants_mongod: Whether a mongod of our own will be started.
        wants_rabbitmq: Whether a RabbitMQ of our own will be started.

    Raises:
        SetupError: It cannot be done; says what to do.
    """
    lacking = tuple(missing_libraries(find_mongod())) if wants_mongod else ()
    if not lacking and (not wants_rabbitmq or _has_rabbitmq()):
        return
    plan = plan_installation(look_at_machine(), wants_rabbitmq=wants_rabbitmq, missing_libraries=lacking)
    if plan.packages:
        _install(plan, paths.logs / "install.log")


def _install(plan: Installation, log: Path) -> None:
    names = " ".join(plan.packages)
    print_progress(f"Installing {names} with apt-get (log: {short_path(log)}) …")
    with _kept_from_starting(plan, log):
        # One broken source must not stop us: the packages may come from another.
        run_logged([*plan.prefix, *_APT, "update"], log)
        command = [*plan.prefix, *_APT, "install", "--no-install-recommends", *plan.packages]
        status = run_logged(command, log)
    if status:
        raise SetupError(
            f"apt-get could not install {names} (status {status}): see {short_path(log)}, install it "
            "by hand, and run this again."
        )


@contextlib.contextmanager
def _kept_from_starting(plan: Installation, log: Path) -> Iterator[None]:
    """Keep the packages' own services from listening: Rollcall starts its own, on its own ports."""

    def as_root(*command: str) -> None:
        run_logged([*plan.prefix, *command], log)

    listened = [port for port in _SERVICE_PORTS if listens(port)]
    if plan.units:
        as_root("systemctl", "mask", *plan.units)
    try:
        yield
    finally:
        if plan.units:
            as_root("systemctl", "unmask", *plan.units)
            as_root("systemctl", "disable", "--now", *plan.units)
        elif "rabbitmq-server" in plan.packages:
            as_root("update-rc.d", "rabbitmq-server", "disable")
            # Asking a service to stop that never started would itself start a port mapper.
            if any(listens(port) for port in _SERVICE_PORTS if port not in listened):
                as_root("service", "rabbitmq-server", "stop")
                as_root("epmd", "-kill")


def _has_rabbitmq() -> bool:
    try:
        find_rabbitmq()
    except SetupError:
        return False
    return True


def _sudo_works() -> bool:
    if os.geteuid() == 0 or not shutil.which("sudo"):
        return False
    answer = subprocess.run(
        ["sudo", "-n", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=30,
    )
    return answer.returncode == 0


def _has_avx() -> bool:
    with contextlib.suppress(OSError):
        return " avx " in Path("/proc/cpuinfo").read_text()
    return True
