"""Where RabbitMQ's programs are on this machine, and the environment they need; starts none of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from devstack.servers.ports import LOOPBACK
from operations.errors import SetupError
from operations.terminal import short_path

_LATIN_1 = 0xFF
_QUOTES = "\"'\\"
_PACKAGED = Path("/usr/lib/rabbitmq/bin")
_ERLANG = "-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"


def find_rabbitmq() -> Path:
    """The directory of the real `rabbitmq-server`, not of the wrapper that wants root.

    Raises:
        SetupError: RabbitMQ is not installed.
    """
    if os.access(_PACKAGED / "rabbitmq-server", os.X_OK):
        return _PACKAGED
    search = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    if program := shutil.which("rabbitmq-server", path=search):
        return Path(program).resolve().parent
    raise SetupError(
        "RabbitMQ is not installed: install the package rabbitmq-server (3.10 or later), or set "
        "ROLLCALL_AMQP_URL to a broker that you run."
    )


def find_epmd() -> Path:
    """Erlang's port mapper.

    Raises:
        SetupError: Erlang is not installed.
    """
    if program := shutil.which("epmd"):
        return Path(program)
    if erl := shutil.which("erl"):
        # Erlang keeps it in erts-<version>/bin, beside the bin/ that holds erl.
        for candidate in sorted(Path(erl).resolve().parent.parent.glob("erts-*/bin/epmd")):
            return candidate
    raise SetupError(
        "Erlang's port mapper (epmd) is not on PATH: install the package erlang-base, or set "
        "ROLLCALL_AMQP_URL to a broker that you run."
    )


def server_environment(conf: Path, name: str, dist_port: int, epmd_port: int) -> dict[str, str]:
    """The environment of a node and its tools; settings of the system's RabbitMQ left out.

    Args:
        conf: Its configuration, in the directory that holds its data; nodes of one cluster may share that.
        name: Its name.
        dist_port: Its port for other nodes.
        epmd_port: The port mapper's port.

    Raises:
        SetupError: RabbitMQ cannot keep data in a folder of that name.
    """
    directory = conf.parent
    if odd := sorted({sign for sign in str(directory) if sign in _QUOTES or ord(sign) > _LATIN_1}):
        raise SetupError(
            f"RabbitMQ cannot keep its data in {short_path(directory)}, for the characters {' '.join(odd)} "
            "in that name: rename the folder, or set ROLLCALL_STATE_DIR to another."
        )
    inherited = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("RABBITMQ_", "ERL_", "ROLLCALL_")) and key != "NOTIFY_SOCKET"
    }
    return {
        **inherited,
        "HOME": str(directory / "home"),
        "LC_ALL": "C.UTF-8",
        "ERL_CRASH_DUMP_SECONDS": "0",
        "ERL_EPMD_ADDRESS": LOOPBACK,
        "ERL_EPMD_PORT": str(epmd_port),
        "RABBITMQ_NODENAME": name,
        "RABBITMQ_DIST_PORT": str(dist_port),
        "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
        "RABBITMQ_LOG_BASE": str(directory / "log"),
        "RABBITMQ_LOGS": "-",
        "RABBITMQ_CONFIG_FILE": str(conf),
        "RABBITMQ_CONFIG_FILES": str(directory / "conf.d"),
        "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
        "RABBITMQ_CONF_ENV_FILE": str(directory / "rabbitmq-env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _ERLANG,
        "RABBITMQ_CTL_ERL_ARGS": _ERLANG,
        # The script then becomes the server itself, instead of waiting beside it.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
