"""The route of imports: what cannot be right is a problem; the rest is answered while it is read."""

from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Query, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from command_api.dispatch.preferences import Preferred
from command_api.dispatch.publisher import Outgoing
from command_api.imports.body import Body, Cut
from command_api.imports.budget import ImportBudget, OverBudget
from command_api.imports.documentation import import_document
from command_api.imports.drafting import Drafter, Refused
from command_api.imports.form import FormFile, is_form
from command_api.imports.formats import ImportFormat, read_format
from command_api.imports.options import ImportQuery, import_query
from command_api.imports.portions import ImportTools
from command_api.imports.record import ImportRecord, ImportRequest
from command_api.imports.running import Ending, Import
from command_api.imports.source import Source
from command_api.imports.workbook.source import WorkbookSource
from command_api.people.routes import PeopleDependencies
from events.errors import BodyTooLarge, Busy, InvalidFields, StoreUnavailable
from events.imports.files import WORKBOOK
from events.times import to_milliseconds
from service_kit.auth.tokens import Caller
from service_kit.http.reasons import Language, in_language, language_headers, language_of, told
from service_kit.http.typed import each_once, wants
from service_kit.ids import new_id
from service_kit.slots import Slots

_BUSY_SECONDS = 10


def import_slots(number: int) -> Slots:
    """Return the slots of the imports that this process may read at once."""
    message = "as many imports as this process reads at once are under way"
    return Slots(number, lambda: Busy(message, _BUSY_SECONDS))


@dataclass(frozen=True, slots=True)
class ImportDependencies:
    """What the route needs, given by the composition root.

    Attributes:
        commands: Of single commands.
        tools: What imports work with; None where there is no MongoDB.
        slots: How many may be read at once.
    """

    commands: PeopleDependencies
    tools: ImportTools | None
    slots: Slots


class ImportAnswer(Response):
    """Answers 202 with the import's id at once, reads the import, and then tells how that ended.

    Args:
        import_id: The import.
        reading: The import.
        location: Where its status is; None if it has none.
        taken: What it holds until it has ended.
        language: In which to tell that.
    """

    def __init__(
        self, import_id: str, reading: Import, location: str | None, taken: ExitStack, language: Language
    ) -> None:
        headers = language_headers(language)
        if location is not None:
            headers["Location"] = location
        super().__init__(None, 202, headers, "application/json")
        del self.headers["content-length"]
        self._import_id = import_id
        self._reading = reading
        self._taken = taken
        self._language = language

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send both parts (ASGI)."""
        del scope, receive  # the body is being read already
        try:
            await send({"type": "http.response.start", "status": 202, "headers": self.raw_headers})
            begin = f'{{"import_id":"{self._import_id}",'.encode()
            await send({"type": "http.response.body", "body": begin, "more_body": True})
            ending = await self._reading.run()
            rest = _told(ending, self._language)
            await send({"type": "http.response.body", "body": rest, "more_body": False})
        finally:
            self._taken.close()


def _told(ending: Ending, language: Language) -> bytes:
    """Return the rest of the answer."""
    stopped = int(ending.state == "stopped")
    content: dict[str, Any] = {
        "read": ending.progress.read + stopped,
        "accepted": ending.progress.accepted,
        "rejected": ending.progress.refused + stopped,
        "state": ending.state,
    }
    if ending.reason is not None:
        content["reason"] = in_language(ending.reason, language)
    if ending.code is not None:
        content["code"] = ending.code
    if ending.first_rows:
        content["first_rows"] = [
            _understood(number, one, language) for number, one in enumerate(ending.first_rows, 1)
        ]
    if ending.errors:
        content["errors"] = [
            {"row": one.row, **told(error, language)} for one in ending.errors for error in one.errors
        ]
        content["rows_left_out"] = content["rejected"] - len(ending.errors)
    return orjson.dumps(content)[1:] + b"\n"


def _understood(number: int, draft: Outgoing | Refused, language: Language) -> dict[str, Any]:
    """Return a row as its command says it, or what is wrong with it."""
    if isinstance(draft, Refused):
        return {"row": number, "values": {}, "errors": [told(error, language) for error in draft.errors]}
    return {"row": number, "values": orjson.loads(draft.body)["data"], "errors": []}


def add_import_routes(app: FastAPI, dependencies: ImportDependencies) -> None:
    """Add the route that takes many people at once."""
    app.router.route_class = APIRoute
    commands = dependencies.commands
    writer = wants(commands.verifier, "people:write")
    query_form: Any = import_query(commands.schema)

    @app.post(
        "/people/import",
        tags=["people"],
        status_code=202,
        dependencies=[writer, each_once("map")],
        **import_document(commands.schema),
    )
    async def import_people(
        request: Request,
        caller: Annotated[Caller, writer],
        preferences: Preferred,
        query: Annotated[query_form, Query()],
    ) -> Response:
        preferences.refuse_condition()
        if query.import_id is not None and preferences.idempotency_key is not None:
            errors = [{"field": "Idempotency-Key", "reason": "cannot be given beside import_id"}]
            raise InvalidFields("a header is not valid", errors)
        if dependencies.tools is None:
            raise StoreUnavailable("imports need MongoDB, and this command API has no address of one")
        dependencies.slots.take()
        with ExitStack() as taken:
            taken.callback(dependencies.slots.give_back)
            commands.publisher.check_connection()  # full queues are waited for
            budget = ImportBudget(dependencies.tools.limits)
            try:
                source, format_ = await _source(request, query, budget)
                taken.callback(source.close)
                header = await source.begin()
            except Cut as exc:
                raise InvalidFields(exc.reason) from exc
            except OverBudget as exc:
                raise BodyTooLarge(exc.reason) from exc
            stamp = commands.stamp(request, caller, preferences, None)
            # The id that a key makes names an import as well as a command: whoever reads it learns nothing.
            import_id = query.import_id or stamp["idempotency_id"] or new_id()
            order = ImportRequest.of(import_id, caller.subject, query, format_, header)
            more = {"actor_name": caller.name, "packed": format_.packed}
            now = to_milliseconds(commands.clock())
            if query.dry_run:
                record = ImportRecord.fresh(order, new_id(), now, more)
            else:
                record = await dependencies.tools.store.begin(order, new_id(), now, more)
            stamp |= {"expected_versions": None, "idempotency_id": None, "accepted_at": now}
            context = {"today": record.begun_at.date(), "phone_region": commands.phone_region}
            drafter = Drafter(
                order.import_id,
                order.mode,
                stamp,
                context,
                commands.schema,
                commands.schema.fixed(caller.scopes),
            )
            stop = query.on_error == "stop"
            reading = Import(dependencies.tools, record, source, drafter, budget, stop=stop)
            location = None if query.dry_run else f"{commands.query_url}/imports/{order.import_id}"
            language = language_of(preferences.accept_language)
            return ImportAnswer(order.import_id, reading, location, taken.pop_all(), language)


async def _source(
    request: Request, query: ImportQuery, budget: ImportBudget
) -> tuple[Source | WorkbookSource, ImportFormat]:
    """Return the file that a request brings, as its body or as that of a form, and in which form it is.

    Raises:
        RollcallError: It cannot be told, or is not what it should be.
        Cut: The client has gone.
        OverBudget: It is larger than an import may be.
    """
    form = FormFile(request.headers, request.receive) if is_form(request.headers) else None
    told = read_format(request.headers if form is None else await form.begin())
    receive = request.receive if form is None else form.receive
    body = Body(receive, packed=told.packed, budget=budget)
    format_ = told.judged(await body.head())
    if form is not None:
        form.check()
    source = WorkbookSource(body, query) if format_.media_type == WORKBOOK else Source(body, format_, query)
    return source, format_
