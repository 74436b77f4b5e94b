"""Runs a worker: `python -m workers`, settings from the environment; as many processes as are useful."""

from datetime import UTC, datetime

import uvloop

from events.times import to_milliseconds
from service_kit.ids import new_id
from service_kit.logs import configure_logs
from service_kit.schema_in_force import schema_at_start
from service_kit.seals.kek_source import keks_of
from service_kit.settings import load_settings
from workers.app import work


def now() -> datetime:
    """Return the time, UTC, in whole milliseconds: as exact as MongoDB keeps it."""
    return to_milliseconds(datetime.now(UTC))


def main() -> None:
    """Work until SIGTERM, or until a newer person schema is on record."""
    settings = load_settings("mongo_uri", "kek_file")
    keks = keks_of(settings)  # what is wrong with keys is told at once
    configure_logs("worker", settings.log_level)
    schema = schema_at_start(settings, seed=True)
    uvloop.run(work(settings, now, new_id, schema=schema, keks=keks))


if __name__ == "__main__":
    main()
