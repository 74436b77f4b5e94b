"""Owns the routes for operators: retry or drop what waits of a parked person, and dead messages."""

from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response

from command_api import dead_letter_documentation as doc
from command_api.people import CommandDesk
from command_api.preferences import read_preferences
from events.controls import Chosen, Control, DropParked, RetryParked
from service_kit import dead_letters
from service_kit.dead_messages import message_view
from service_kit.web import PlainRoute, path_id


def add_dead_letter_routes(app: FastAPI, desk: CommandDesk, url: str) -> None:
    """Add the routes that change dead letters, and those that read the broker's.

    Args:
        app: The application.
        desk: Checks tokens and publishes.
        url: AMQP URL.
    """
    app.router.route_class = PlainRoute
    _add_message_routes(app, desk, url)  # before those that would take `messages` for a person

    @app.post("/dead-letters/{person_id:uuid}/retry", tags=["operations"], status_code=202, **doc.RETRY)
    async def retry_line(request: Request) -> Response:
        stamp = await _stamp(desk, request)
        return await _ask(desk, RetryParked.model_construct(**stamp))

    # Only what is an id: other words are other routes.
    @app.delete("/dead-letters/{person_id:uuid}", tags=["operations"], status_code=202, **doc.DROP_ALL)
    async def drop_line(request: Request) -> Response:
        stamp = await _stamp(desk, request)
        return await _ask(desk, DropParked.model_construct(**stamp, data=Chosen()))

    @app.delete(
        "/dead-letters/{person_id:uuid}/{command_id:uuid}", tags=["operations"], status_code=202, **doc.DROP
    )
    async def drop_command(request: Request) -> Response:
        stamp = await _stamp(desk, request)
        chosen = Chosen(command_ids=(path_id(request, "command_id"),))
        return await _ask(desk, DropParked.model_construct(**stamp, data=chosen))


def _add_message_routes(app: FastAPI, desk: CommandDesk, url: str) -> None:
    @app.get("/dead-letters/messages", tags=["operations"], **doc.MESSAGES)
    async def list_messages(request: Request) -> Response:
        await desk.authorize(request, "ops")
        seen = await dead_letters.look(url, _queues(request))
        items = [message_view(message, whole=False) for message in seen.messages]
        return _json({"items": items, "more": seen.more})

    @app.get("/dead-letters/messages/{id}", tags=["operations"], **doc.MESSAGE)
    async def read_message(request: Request) -> Response:
        await desk.authorize(request, "ops")
        message = await dead_letters.find(url, request.path_params["id"], _queues(request))
        return _json(message_view(message, whole=True))

    @app.post("/dead-letters/messages/retry", tags=["operations"], **doc.RETRY_MESSAGES)
    async def retry_messages(request: Request) -> Response:
        await desk.authorize(request, "ops")
        handed = await dead_letters.hand_in_all(url, _queues(request))
        done, left = (
            [message_view(message, whole=False) for message in messages]
            for messages in (handed.done, handed.left)
        )
        return _json({"items": done, "left": left})

    @app.post("/dead-letters/messages/{id}/retry", tags=["operations"], **doc.RETRY_MESSAGE)
    async def retry_message(request: Request) -> Response:
        await desk.authorize(request, "ops")
        *before, message = await dead_letters.hand_in(url, request.path_params["id"], _queues(request))
        also = [message_view(one, whole=False) for one in before]
        return _json({**message_view(message, whole=False), "status": "published", "before": also})

    @app.delete("/dead-letters/messages/{id}", tags=["operations"], **doc.DROP_MESSAGE)
    async def drop_message(request: Request) -> Response:
        await desk.authorize(request, "ops")
        message = await dead_letters.give_up(url, request.path_params["id"], _queues(request))
        return _json({**message_view(message, whole=False), "status": "dropped"})


def _queues(request: Request) -> list[str]:
    return dead_letters.dead_queues(request.query_params.getlist("queue"))


async def _stamp(desk: CommandDesk, request: Request) -> dict[str, Any]:
    caller = await desk.authorize(request, "ops")
    person_id = path_id(request, "person_id")
    return {"person_id": person_id, **desk.stamp(request, caller, read_preferences(request.headers))}


async def _ask(desk: CommandDesk, control: Control) -> Response:
    """Publish what is asked, and answer once the broker has it; a worker does it in the person's order."""
    await desk.publish(control, None)
    body = {"person_id": control.person_id, "command_id": control.command_id, "status": "accepted"}
    return _json(body, 202, {"Location": f"{desk.query_url}/dead-letters/{control.person_id}"})


def _json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")
