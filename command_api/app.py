"""Puts the command API together: routes, limits, and what is open while it runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from command_api.accounts import routes as account_routes
from command_api.accounts.services import keep_accounts
from command_api.dead_letters.routes import add_dead_letter_routes
from command_api.dispatch.publisher import CommandPublisher
from command_api.dispatch.replies import ReplyInbox
from command_api.erasing.routes import add_erasing_routes
from command_api.images import documentation as image_documents
from command_api.images.routes import ImageDependencies, add_image_routes
from command_api.images.uploads import Uploads
from command_api.imports import documentation as import_documents
from command_api.imports.budget import ImportLimits
from command_api.imports.portions import ImportTools
from command_api.imports.routes import ImportDependencies, add_import_routes, import_slots
from command_api.imports.store import ImportStore
from command_api.people import documentation as people_documents
from command_api.people.routes import PeopleDependencies, add_people_routes
from events.person.schema.declarations import PersonSchema
from service_kit.access.opening import open_access_log, recording_of
from service_kit.auth.roles_file import load_roles
from service_kit.auth.tokens import TokenVerifier
from service_kit.background import Background
from service_kit.http.addresses import COMMAND, PREFIX
from service_kit.http.guard import Limits
from service_kit.http.openapi import document
from service_kit.http.readiness import Check
from service_kit.http.schema_route import add_schema_route
from service_kit.http.web import create_app
from service_kit.images import ImageSecret
from service_kit.images.stores import open_stores
from service_kit.mongo import connection as mongo
from service_kit.mongo.clocks import ClockWatch
from service_kit.mongo.schema_watch import SchemaWatch
from service_kit.mongo.transport_keys import TransportKeys
from service_kit.person_schema import load_person_schema
from service_kit.seals.kek_source import keks_of
from service_kit.settings import Settings

_READS: Final = frozenset({"/dead-letters/messages", "/dead-letters/messages/{id}"})
"""The routes that show what others sent."""
IMPERSONAL: Final = frozenset(COMMAND) - _READS
"""All others: what they did is on record in the log, and only what they refused is an access record."""
_ABOUT: Final = """Takes requests to create, change and delete people, and answers once the broker has
them on disk. A worker decides each in the person's order; the query API tells the outcome.

Each route wants a scope. An account's roles give it scopes:

"""


class UnderPrefix:
    """Answers under `/command` as well: a proxy may share one address between both APIs.

    What is asked for under the prefix refers to the rest under it, too: its documentation, say.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on (ASGI), with the prefix as the root path if it has it."""
        if scope["type"] == "http" and scope["path"].startswith(f"{PREFIX}/"):
            scope = {**scope, "root_path": PREFIX}
        elif scope["type"] == "http" and scope["path"] == PREFIX:
            scope = {**scope, "root_path": PREFIX, "path": f"{PREFIX}/"}
        await self._app(scope, receive, send)


def build_app(
    settings: Settings, clock: Callable[[], datetime], schema: PersonSchema | None = None
) -> FastAPI:
    """Return the command API.

    Args:
        settings: The process's settings.
        clock: Tells the time, UTC.
        schema: What a person is; without it, what the settings' file says.

    Raises:
        SystemExit: The token key is missing or weak; the store of images that is named lacks its address; a
            file that is named is wrong.
    """
    url = settings.amqp_url.get_secret_value()
    background = Background()
    schema = schema or load_person_schema(settings.person_schema)
    roles = load_roles(settings.roles, schema)
    verifier = TokenVerifier(settings, roles)
    # For accounts, images and the progress of imports; commands need the transport keys in it, once.
    client = mongo.connect(settings, "rollcall-command-api") if settings.mongo_uri else None
    keys = TransportKeys(client, settings.mongo_db, keks_of(settings), clock, settings.transport_cache)
    publisher = CommandPublisher(url, settings.partitions, keys)
    inbox = ReplyInbox(url, background.start, keys)
    accounts = keep_accounts(settings, client, verifier.ring, clock, roles)
    people = PeopleDependencies(
        publisher=publisher,
        inbox=inbox,
        verifier=verifier,
        clock=clock,
        phone_region=settings.phone_region,
        query_url=settings.query_url.rstrip("/"),
        schema=schema,
        repeatable_ids=keys.repeatable_ids,
    )
    stores = open_stores(settings, client)
    images = ImageDependencies(stores.new, ImageSecret.of(settings), Uploads())
    ending = asyncio.Event()
    progress = None if client is None else ImportStore(client, settings.mongo_db)
    import_tools = (
        None
        if progress is None
        else ImportTools(
            publisher,
            progress,
            clock,
            ImportLimits(settings.import_bytes, settings.import_rows, settings.import_seconds),
            settings.import_patience,
            ending,
        )
    )

    clocks = None if client is None else ClockWatch(client, clock)
    schemas = None if client is None else SchemaWatch(client, settings.mongo_db, schema)
    access_log = None if client is None else open_access_log(settings, client, "command-api")
    remarks: dict[str, Check] = {}
    if clocks is not None and schemas is not None:
        remarks |= {"clock": clocks.check, "schema": schemas.check}
    if access_log is not None:
        remarks["access_records"] = access_log.check

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        background.start(publisher.run())
        background.start(keys.run())
        if clocks is not None and schemas is not None:
            background.start(clocks.run())
            background.start(schemas.run())
        if access_log is not None:
            background.start(access_log.run())
        try:
            yield
        finally:
            await background.stop()
            if access_log is not None:
                await access_log.close()
            images.uploads.close()
            stores.close()
            if accounts is not None:
                accounts.directory.hasher.close()
            if client is not None:
                await mongo.close(client)

    app = create_app(
        "Rollcall command API",
        {"rabbitmq": publisher.check, "keys": keys.check, "ids": keys.check_ids},
        lifespan,
        remarks=remarks,
        limits=Limits.of(settings),
        background=background,
        # Who has no good token is counted by its address, and a failed login is on record of its own.
        recording=recording_of(access_log, IMPERSONAL, nameless=False),
        description=_ABOUT + roles.table(),
        version="1",
        # What its page tries out goes to the address without the prefix, which is this one's too.
        root_path_in_servers=False,
    )
    app.add_middleware(UnderPrefix)
    add_people_routes(app, people)
    add_erasing_routes(app, people)
    add_schema_route(app, verifier, schema)
    add_import_routes(app, ImportDependencies(people, import_tools, import_slots(settings.imports_at_once)))
    add_dead_letter_routes(app, people, url)
    account_routes.add_account_routes(app, accounts, verifier.ring, people.read)
    add_image_routes(app, people, images)
    app.state.ending = ending
    forms = (
        people_documents.forms_of(schema)
        | account_routes.FORMS
        | image_documents.FORMS
        | import_documents.FORMS
    )
    document(app, forms, schema, IMPERSONAL)
    return app
