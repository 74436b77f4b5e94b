"""Runs the command API: `python -m command_api`, settings from the environment."""

from datetime import UTC, datetime

import uvloop

from command_api.app import build_app
from service_kit.logs import configure_logs
from service_kit.settings import load_settings
from service_kit.web import serve


def main() -> None:
    """Serve until SIGTERM."""
    settings = load_settings()
    configure_logs("command-api", settings.log_level)
    app = build_app(settings, lambda: datetime.now(UTC))
    uvloop.run(serve(app, settings.host, settings.command_port))


if __name__ == "__main__":
    main()
