"""Runs the query API: `python -m query_api`, settings from the environment."""

import uvloop

from query_api.app import build_app
from service_kit.http.serving import serve
from service_kit.logs import configure_logs
from service_kit.settings import Settings, load_settings


async def answer(settings: Settings) -> None:
    """Serve until SIGTERM. The client of MongoDB belongs to the loop that is running here."""
    app = build_app(settings)
    await serve(
        app,
        settings.host,
        settings.query_port,
        app.state.live.feed.close,
        trusted_proxies=settings.trusted_proxies,
    )


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_settings("mongo_uri")
    configure_logs("query-api", settings.log_level)
    uvloop.run(answer(settings))


if __name__ == "__main__":
    main()
