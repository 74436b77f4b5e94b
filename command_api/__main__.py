"""Runs the command API: `python -m command_api`, settings from the environment."""

from datetime import UTC, datetime

import uvloop

from command_api.app import build_app
from events.person.schema.declarations import PersonSchema
from service_kit.auth.token_keys import KeySource
from service_kit.http.serving import serve
from service_kit.logs import configure_logs
from service_kit.schema_in_force import schema_at_start
from service_kit.seals.kek_source import keks_of
from service_kit.settings import Settings, load_settings


async def answer(settings: Settings, schema: PersonSchema) -> None:
    """Serve until SIGTERM. The client of MongoDB belongs to the loop that is running here."""
    app = build_app(settings, lambda: datetime.now(UTC), schema)
    await serve(
        app,
        settings.host,
        settings.command_port,
        app.state.ending.set,
        trusted_proxies=settings.trusted_proxies,
    )


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_settings("kek_file")
    keks_of(settings)  # what is wrong with keys is told at once
    configure_logs("command-api", settings.log_level)
    KeySource(settings)  # likewise, before MongoDB is asked
    uvloop.run(answer(settings, schema_at_start(settings)))


if __name__ == "__main__":
    main()
