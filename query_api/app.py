"""Owns the query API as one object: routes, and the client that is open while it runs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from prometheus_client import REGISTRY

from query_api.metrics import ReplicationLag
from query_api.people import ReadDesk, add_read_routes
from query_api.reads import Reads
from service_kit import mongo
from service_kit.openapi import document
from service_kit.settings import Settings
from service_kit.tokens import TokenVerifier
from service_kit.web import create_app

_ABOUT: Final = """Reads people and the outcome of commands, from MongoDB's secondaries."""


def build_app(settings: Settings) -> FastAPI:
    """Return the query API.

    Args:
        settings: The process's settings.

    Raises:
        SystemExit: The token key is missing or weak.
    """
    client = mongo.connect(settings, "rollcall-query-api")
    reads = Reads(client, settings.mongo_db)
    desk = ReadDesk(reads, TokenVerifier(settings), settings.read_from_header)
    REGISTRY.register(ReplicationLag(client))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await mongo.close(client)

    app = create_app(
        "Rollcall query API",
        {"mongodb": reads.check},
        lifespan,
        description=_ABOUT,
        version="1",
    )
    add_read_routes(app, desk)
    document(app)
    return app
