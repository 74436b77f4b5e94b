"""Runs a worker: `python -m workers`, settings from the environment; as many processes as are useful."""

from datetime import UTC, datetime

import uvloop

from events.times import to_milliseconds
from service_kit.ids import new_id
from service_kit.logs import configure_logs
from service_kit.settings import load_settings
from workers.app import work


def now() -> datetime:
    """Return the time, UTC, in whole milliseconds: as exact as MongoDB keeps it."""
    return to_milliseconds(datetime.now(UTC))


def main() -> None:
    """Work until SIGTERM."""
    settings = load_settings("mongo_uri")
    configure_logs("worker", settings.log_level)
    uvloop.run(work(settings, now, new_id))


if __name__ == "__main__":
    main()
