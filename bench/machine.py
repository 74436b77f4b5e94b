"""Describes the machine and the versions that the figures come from."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("fastapi", "uvicorn", "uvloop", "pydantic", "aiormq", "pymongo", "orjson")


def describe(mongod: str, rabbitmq: str) -> dict[str, Any]:
    """Return processor, cores, memory and versions.

    Args:
        mongod: Version of the database.
        rabbitmq: Version of the broker.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "mongod": mongod,
        "rabbitmq": rabbitmq,
        **{name: version(name) for name in _PACKAGES},
    }


def sentence(machine: dict[str, Any]) -> str:
    """Return the description as a line of text."""
    packages = ", ".join(f"{name} {machine[name]}" for name in _PACKAGES)
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']} GB, "
        f"{machine['system']}; servers, services and load generator share them.\n"
        f"Python {machine['python']}, MongoDB {machine['mongod']} (three members), "
        f"RabbitMQ {machine['rabbitmq']}, {packages}."
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
