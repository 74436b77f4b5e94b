"""Puts the query API together: routes, and the clients that are open while it runs."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Final

from fastapi import FastAPI
from prometheus_client import REGISTRY

from events.person.schema.declarations import PersonSchema
from query_api.accesses.queries import AccessReads
from query_api.accesses.routes import add_access_routes
from query_api.dead_letters.queries import ParkedReads
from query_api.dead_letters.routes import add_dead_letter_routes
from query_api.exports.responses import ExportSender
from query_api.exports.streams import Exports
from query_api.feed.asyncapi import add_asyncapi_route
from query_api.feed.buffer import FeedBuffer
from query_api.feed.live_client import HEARTBEAT_SECONDS
from query_api.feed.open_route import FORMS, EventOpening, add_open_route
from query_api.feed.positions import Positions
from query_api.feed.reader import FeedReader
from query_api.feed.replays import Replays
from query_api.feed.routes import RETRY_SECONDS, LiveDependencies, add_live_route
from query_api.feed.tickets import StreamTickets, tickets_secret
from query_api.history.folding import Folds
from query_api.history.queries import LogReads
from query_api.history.routes import add_audit_routes
from query_api.images.routes import add_image_routes
from query_api.imports.routes import add_export_route, add_import_routes
from query_api.metrics import ReplicationLag
from query_api.people.by_values import add_unique_routes
from query_api.people.queries import Reads
from query_api.people.routes import PeopleDependencies, add_read_routes
from query_api.reading.cursors import CURSORS, CursorSeal
from query_api.reading.erasures import RecentErasures
from query_api.reading.lease import Lease
from query_api.reading.projection_check import NEEDED, ProjectionCheck
from query_api.reading.searches import Searches
from query_api.report.gathering import Reports
from query_api.report.routes import add_report_route
from service_kit.access.opening import open_access_log, recording_of
from service_kit.auth.roles_file import load_roles
from service_kit.auth.tokens import TokenVerifier
from service_kit.background import Background
from service_kit.http.guard import Limits
from service_kit.http.openapi import document
from service_kit.http.schema_route import add_schema_route
from service_kit.http.turns import turns_of
from service_kit.http.web import create_app
from service_kit.images.gridfs_reader import GridFsReader
from service_kit.mongo import connection as mongo
from service_kit.mongo.claim_secrets import ClaimSecrets
from service_kit.mongo.clocks import ClockWatch
from service_kit.mongo.keys import PersonKeys
from service_kit.mongo.schema_watch import SchemaWatch
from service_kit.mongo.transport_keys import TransportKeys
from service_kit.person_schema import load_person_schema
from service_kit.read_model import projection_of
from service_kit.seals.kek_source import keks_of
from service_kit.settings import Settings
from service_kit.slots import Slots

IMPERSONAL: Final = frozenset(
    {
        *("/", "/docs", "/docs/{name}", "/openapi.json", "/asyncapi.json", "/schema"),
        *("/healthz", "/readyz", "/metrics"),
        # What became of a command, and how far an import is: in codes and counts.
        *("/people/{person_id}/commands/{command_id}", "/imports/{import_id}", "/events/stream/tickets"),
    }
)
"""The routes that show nothing of people: all others are put on record."""
_ABOUT: Final = """Reads people, what they were, and who changed them, from MongoDB's secondaries.

Each route wants a scope. An account's roles give it scopes:

"""


def build_app(
    settings: Settings, schema: PersonSchema | None = None, heartbeat: float = HEARTBEAT_SECONDS
) -> FastAPI:
    """Return the query API.

    Args:
        settings: The process's settings.
        schema: What a person is; without it, what the settings' file says.
        heartbeat: Seconds of silence after which a live client is told its position.

    Raises:
        SystemExit: The token key is missing or weak; a file that is named is wrong; a key-encryption key is
            missing.
    """
    clock = partial(datetime.now, UTC)
    schema = schema or load_person_schema(settings.person_schema)
    roles = load_roles(settings.roles, schema)
    client = mongo.connect(settings, "rollcall-query-api")
    lease = Lease(client, settings.mongo_db, time.monotonic)
    keks = keks_of(settings)
    gone = RecentErasures(client, settings.mongo_db, clock, time.monotonic)
    reads = Reads(client, settings.mongo_db, lease, CursorSeal(keks.derived(CURSORS)), gone)
    keys = PersonKeys(client, settings.mongo_db, keks)
    exporting = mongo.connect(settings, "rollcall-query-api exports", lasting=True)
    url = settings.amqp_url.get_secret_value()
    verifier, feed, positions = TokenVerifier(settings, roles), FeedBuffer(), Positions(time.monotonic)
    tickets = StreamTickets(tickets_secret(settings), client, settings.mongo_db, schema)
    live = LiveDependencies(
        feed,
        FeedReader(url, feed, positions, keys, note_erased=gone.note),
        Replays(url, settings.replays_at_once, keys),
        verifier,
        tickets,
        Slots.shared(settings.streams_at_once, "clients follow the events", RETRY_SECONDS),
        reads.newest_people,
        schema,
        heartbeat,
    )
    transport = TransportKeys(client, settings.mongo_db, keks, lambda: datetime.now(UTC))
    folds = Folds(reads, settings.search_seconds, keys, schema)
    parked = ParkedReads(reads, transport)
    people = PeopleDependencies(
        reads,
        LogReads(reads, folds, schema, keys),
        parked,
        verifier,
        settings.read_from_header,
        positions,
        settings.phone_region,
        Searches(settings.searches_at_once, settings.search_seconds),
        schema,
    )
    clocks = ClockWatch(client, clock)
    schemas = SchemaWatch(client, settings.mongo_db, schema)
    background = Background()
    access_log = open_access_log(settings, client, "query-api")
    lag = ReplicationLag(client)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        REGISTRY.register(lag)
        for part in (live.reader, live.replays, clocks, schemas, lease, transport, gone):
            background.start(part.run())
        if access_log is not None:
            background.start(access_log.run())
        try:
            yield
        finally:
            REGISTRY.unregister(lag)
            await background.stop()
            if access_log is not None:
                await access_log.close()
            await mongo.close(client)
            await mongo.close(exporting)

    app = create_app(
        "Rollcall query API",
        {
            "mongodb": reads.check,
            "read_model": ProjectionCheck(client, settings.mongo_db, projection_of(schema, NEEDED)).check,
            "stream": live.reader.check_start,
            "erasures": gone.check,
        },
        lifespan,
        parked.count,
        remarks={
            "stream": live.reader.check,
            "clock": clocks.check,
            "schema": schemas.check,
            **({} if access_log is None else {"access_records": access_log.check}),
        },
        limits=Limits.of(settings, turns_of(settings.reads_at_once)),
        background=background,
        recording=recording_of(access_log, IMPERSONAL),
        description=_ABOUT + roles.table(),
        version="1",
    )
    sender = ExportSender(
        people,
        Exports(exporting, settings.mongo_db, lease, schema, keys, gone),
        settings.exports_at_once,
        settings.export_seconds,
    )
    add_export_route(app, people, sender)
    claims = ClaimSecrets(client, settings.mongo_db, keks, schema)
    add_unique_routes(app, people, claims.load)
    add_read_routes(app, people)
    add_schema_route(app, verifier, schema)
    add_audit_routes(app, people, sender)
    accesses = AccessReads(settings, client, reads.cursors)
    add_access_routes(app, people, accesses, sender)
    reports = Reports(folds, people.log, parked, accesses, schema, settings.access_days, clock)
    add_report_route(app, people, reports)
    add_import_routes(app, people, sender, clock)
    add_dead_letter_routes(app, people)
    add_live_route(app, live)
    add_open_route(app, verifier, EventOpening(keys, reads.newest_people, schema))
    add_image_routes(app, GridFsReader(client, settings.mongo_db))
    add_asyncapi_route(app, schema)
    app.state.live = live
    document(app, FORMS, schema, IMPERSONAL)
    return app
