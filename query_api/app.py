"""Owns the query API as one object: routes, and the clients that are open while it runs."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final

from fastapi import FastAPI
from prometheus_client import REGISTRY

from query_api.asyncapi import add_asyncapi_route
from query_api.audit import add_audit_routes
from query_api.dead_letters import add_dead_letter_routes
from query_api.exports import Exports
from query_api.feed import Feed
from query_api.follower import HEARTBEAT_SECONDS
from query_api.gate import Gate
from query_api.images import add_image_routes
from query_api.imports import add_export_route, add_import_routes
from query_api.lease import Lease
from query_api.live import LiveDesk, add_live_route
from query_api.log_reads import LogReads
from query_api.metrics import ReplicationLag
from query_api.parked_reads import ParkedReads
from query_api.people import ReadDesk, add_read_routes
from query_api.positions import Positions
from query_api.reads import Reads
from query_api.replays import Replays
from query_api.tail import Tail
from service_kit import mongo
from service_kit.background import Background
from service_kit.clocks import ClockWatch
from service_kit.guard import Limits
from service_kit.images.gridfs import GridFsReader
from service_kit.openapi import document
from service_kit.roles import roles_table
from service_kit.settings import Settings
from service_kit.tokens import TokenVerifier
from service_kit.web import create_app

_ABOUT: Final = """Reads people, what they were, and who changed them, from MongoDB's secondaries.

Each route wants a scope. An account's roles give it scopes:

"""


def build_app(settings: Settings, heartbeat: float = HEARTBEAT_SECONDS) -> FastAPI:
    """Return the query API.

    Args:
        settings: The process's settings.
        heartbeat: Seconds of silence after which a live client is told its position.

    Raises:
        SystemExit: The token key is missing or weak.
    """
    client = mongo.connect(settings, "rollcall-query-api")
    lease = Lease(client, settings.mongo_db, time.monotonic)
    reads = Reads(client, settings.mongo_db, lease)
    exporting = mongo.connect(settings, "rollcall-query-api exports", lasting=True)
    url = settings.amqp_url.get_secret_value()
    verifier, feed, positions = TokenVerifier(settings), Feed(), Positions(time.monotonic)
    live = LiveDesk(feed, Tail(url, feed, positions), Replays(url), verifier, heartbeat)
    parked = ParkedReads(reads)
    desk = ReadDesk(reads, LogReads(reads), parked, verifier, settings.read_from_header, positions)
    clocks = ClockWatch(client, lambda: datetime.now(UTC))
    background = Background()
    REGISTRY.register(ReplicationLag(client))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        for work in (live.tail.run(), live.replays.run(), clocks.run(), lease.run()):
            background.start(work)
        try:
            yield
        finally:
            await background.stop()
            await mongo.close(client)
            await mongo.close(exporting)

    app = create_app(
        "Rollcall query API",
        {"mongodb": reads.check, "read_model": Gate(client, settings.mongo_db).check},
        lifespan,
        parked.count,
        remarks={"stream": live.tail.check, "clock": clocks.check},
        limits=Limits.of(settings),
        background=background,
        description=_ABOUT + roles_table(),
        version="1",
    )
    exports = Exports(exporting, settings.mongo_db, lease)
    add_export_route(app, desk, exports)
    add_read_routes(app, desk)
    add_audit_routes(app, desk, exports)
    add_import_routes(app, desk, exports, lambda: datetime.now(UTC))
    add_dead_letter_routes(app, desk)
    add_live_route(app, live)
    add_image_routes(app, GridFsReader(client, settings.mongo_db))
    add_asyncapi_route(app)
    app.state.live = live
    document(app)
    return app
