"""Owns the route of imports: what cannot be right is a problem; the rest is answered while it is read."""

from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from command_api.imports import documentation as doc
from command_api.imports.drafting import Drafter
from command_api.imports.options import read_form, read_import_query
from command_api.imports.record import Order
from command_api.imports.running import Ending, Import
from command_api.imports.settling import Means
from command_api.imports.source import Cut, Source
from command_api.people import CommandDesk
from command_api.preferences import read_preferences
from events.errors import Busy, InvalidFields, StoreUnavailable
from events.times import to_milliseconds
from service_kit.ids import new_id
from service_kit.web import PlainRoute

_BUSY_SECONDS = 10


@dataclass(slots=True)
class Places:
    """How many imports may be read at once by this process."""

    free: int

    def take(self) -> None:
        """Take one.

        Raises:
            Busy: There is none.
        """
        if not self.free:
            raise Busy("as many imports as this process reads at once are under way", _BUSY_SECONDS)
        self.free -= 1

    def give_back(self) -> None:
        """Let one go."""
        self.free += 1


@dataclass(frozen=True, slots=True)
class ImportDesk:
    """What the route needs, given by the composition root.

    Attributes:
        commands: Of single commands.
        means: What imports need; None where there is no MongoDB.
        places: How many may be read at once.
    """

    commands: CommandDesk
    means: Means | None
    places: Places


class ImportAnswer(Response):
    """Answers 202 with the import's id at once, reads the import, and then tells how that ended.

    Args:
        import_id: The import.
        reading: The import.
        location: Where its status is.
        places: Gets its place back.
    """

    def __init__(self, import_id: str, reading: Import, location: str, places: Places) -> None:
        super().__init__(None, 202, {"Location": location}, "application/json")
        del self.headers["content-length"]
        self._import_id = import_id
        self._reading = reading
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send both parts (ASGI)."""
        del scope, receive  # the body is being read already
        try:
            await send({"type": "http.response.start", "status": 202, "headers": self.raw_headers})
            begin = f'{{"import_id":"{self._import_id}",'.encode()
            await send({"type": "http.response.body", "body": begin, "more_body": True})
            ending = await self._reading.run()
            await send({"type": "http.response.body", "body": _told(ending), "more_body": False})
        finally:
            self._places.give_back()


def _told(ending: Ending) -> bytes:
    """Return the rest of the answer."""
    stopped = int(ending.state == "stopped")
    content: dict[str, Any] = {
        "read": ending.progress.read + stopped,
        "accepted": ending.progress.accepted,
        "rejected": ending.progress.refused + stopped,
        "state": ending.state,
    }
    if ending.reason is not None:
        content["reason"] = ending.reason
    return orjson.dumps(content)[1:] + b"\n"


def add_import_routes(app: FastAPI, desk: ImportDesk) -> None:
    """Add the route that takes many people at once."""
    app.router.route_class = PlainRoute

    @app.post("/people/import", tags=["people"], status_code=202, **doc.IMPORT)
    async def import_people(request: Request) -> Response:
        commands = desk.commands
        caller = await commands.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        query = read_import_query(request.query_params)
        form = read_form(request.headers)
        if desk.means is None:
            raise StoreUnavailable("imports need MongoDB, and this command API has no address of one")
        desk.places.take()
        try:
            commands.publisher.check_connection()  # full queues are waited for
            source = Source(request.receive, form, query)
            try:
                header = await source.begin()
            except Cut as exc:
                raise InvalidFields(exc.reason) from exc
            order = Order.of(query.import_id or new_id(), caller.subject, query, form, header)
            more = {"actor_name": caller.name, "packed": form.packed}
            now = to_milliseconds(commands.clock())
            record = await desk.means.store.begin(order, new_id(), now, more)
            stamp = commands.stamp(request, caller, preferences)
            stamp |= {"expected_version": None, "accepted_at": now}
            context = {"today": record.begun_at.date(), "phone_region": commands.phone_region}
            drafter = Drafter(order.import_id, order.mode, stamp, context)
            reading = Import(desk.means, record, source, drafter, stop=query.on_error == "stop")
            location = f"{commands.query_url}/imports/{order.import_id}"
            return ImportAnswer(order.import_id, reading, location, desk.places)
        except BaseException:
            desk.places.give_back()
            raise
