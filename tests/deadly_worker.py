"""Runs a worker that ends, without a word, whenever it decides on a command for the address that is `DEADLY`."""

import os
from typing import Any, Final

import uvloop

from service_kit.ids import new_id
from service_kit.logs import configure_logs
from service_kit.schema_in_force import schema_at_start
from service_kit.settings import load_settings
from workers.__main__ import now
from workers.app import work
from workers.deciding import person_batch

DEADLY: Final = "Calle Mortal 1"
LIVED_SECONDS: Final = 1.0

_decide = person_batch.decide


def decide(command: Any, *rest: Any) -> Any:
    """Decide, or end."""
    if getattr(getattr(command, "data", None), "address", None) == DEADLY:
        os._exit(9)
    return _decide(command, *rest)


if __name__ == "__main__":
    settings = load_settings("mongo_uri", "kek_file")
    configure_logs("worker", settings.log_level)
    person_batch.decide = decide
    uvloop.run(work(settings, now, new_id, LIVED_SECONDS, schema_at_start(settings, seed=True)))
