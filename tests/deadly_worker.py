"""Runs a worker that ends, without a word, whenever it decides on a command for the address that is `DEADLY`."""

import os
from typing import Any, Final

import uvloop

from service_kit.logs import configure_logs
from service_kit.settings import load_settings
from workers import lines
from workers.__main__ import work

DEADLY: Final = "Calle Mortal 1"
LIVED_SECONDS: Final = 1.0

_decide = lines.decide


def decide(command: Any, *rest: Any) -> Any:
    """Decide, or end."""
    if getattr(getattr(command, "data", None), "address", None) == DEADLY:
        os._exit(9)
    return _decide(command, *rest)


if __name__ == "__main__":
    settings = load_settings("mongo_uri")
    configure_logs("worker", settings.log_level)
    lines.decide = decide
    uvloop.run(work(settings, LIVED_SECONDS))
