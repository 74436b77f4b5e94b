"""Where RabbitMQ's programs are on this machine; starts none of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from local.errors import SetupError

_PACKAGED = Path("/usr/lib/rabbitmq/bin")


def find_rabbitmq() -> Path:
    """The directory of the real `rabbitmq-server`, not of the wrapper that wants root.

    Raises:
        SetupError: RabbitMQ is not installed.
    """
    if os.access(_PACKAGED / "rabbitmq-server", os.X_OK):
        return _PACKAGED
    search = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    if found := shutil.which("rabbitmq-server", path=search):
        return Path(found).resolve().parent
    raise SetupError(
        "RabbitMQ is not installed: install the package rabbitmq-server (3.10 or later), or set "
        "ROLLCALL_AMQP_URL to a broker that you run."
    )


def find_epmd() -> Path:
    """Erlang's port mapper.

    Raises:
        SetupError: Erlang is not installed.
    """
    if found := shutil.which("epmd"):
        return Path(found)
    if erl := shutil.which("erl"):
        # Erlang keeps it in erts-<version>/bin, beside the bin/ that holds erl.
        for candidate in sorted(Path(erl).resolve().parent.parent.glob("erts-*/bin/epmd")):
            return candidate
    raise SetupError(
        "Erlang's port mapper (epmd) is not on PATH: install the package erlang-base, or set "
        "ROLLCALL_AMQP_URL to a broker that you run."
    )
