"""Runs the query API: `python -m query_api`, settings from the environment."""

import uvloop

from events.person.schema.declarations import PersonSchema
from query_api.app import build_app
from service_kit.auth.token_keys import KeySource
from service_kit.http.serving import serve
from service_kit.logs import configure_logs
from service_kit.schema_in_force import schema_at_start
from service_kit.seals.kek_source import keks_of
from service_kit.settings import Settings, load_settings


async def answer(settings: Settings, schema: PersonSchema) -> None:
    """Serve until SIGTERM. The client of MongoDB belongs to the loop that is running here."""
    app = build_app(settings, schema)
    await serve(
        app,
        settings.host,
        settings.query_port,
        app.state.live.feed.close,
        trusted_proxies=settings.trusted_proxies,
    )


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_settings("mongo_uri", "kek_file")
    keks_of(settings)  # what is wrong with keys is told at once
    configure_logs("query-api", settings.log_level)
    KeySource(settings)  # what is wrong with keys is told at once, before MongoDB is asked
    uvloop.run(answer(settings, schema_at_start(settings)))


if __name__ == "__main__":
    main()
