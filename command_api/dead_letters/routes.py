"""Routes for operators: retry or drop the waiting commands of a parked person, and dead letters."""

from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Path, Query, Request, Response
from fastapi.routing import APIRoute

from command_api.dead_letters.answers import (
    DeadMessage,
    DeadMessages,
    DroppedDeadMessage,
    RetriedDeadMessage,
    RetriedDeadMessages,
    WholeDeadMessage,
)
from command_api.dispatch.preferences import read_preferences
from command_api.people.routes import PeopleDependencies
from events.parking.controls import Chosen, Control, DropParked, RetryParked
from service_kit.auth.tokens import Caller
from service_kit.broker import dead_letters, dead_messages
from service_kit.broker.topology import DEAD_QUEUES
from service_kit.http.answers import AcceptedCommand
from service_kit.http.openapi import TEXT, json_answer, problems
from service_kit.http.typed import PathId, wants

ParkedId = Annotated[PathId, Path(description="The parked person's id")]
WaitingId = Annotated[PathId, Path(description="The waiting command's id")]
MessageId = Annotated[str, Path(description="As the list names it")]
Queues = Annotated[
    list[str],
    Query(
        alias="queue",
        default_factory=list,
        description="Which queues of dead letters: `commands.dead`, or a subscriber's, `events.NAME.dead`. "
        f"Without it, {' and '.join(f'`{name}`' for name in DEAD_QUEUES)}",
    ),
]
_ASKED: Final[dict[str, Any]] = {
    "tags": ["operations"],
    "status_code": 202,
    "responses": {
        202: json_answer(
            "Durable in the broker; a worker does it in the person's order. Nothing happens if nothing waits",
            AcceptedCommand,
            "accepted",
            Location={"description": "What waits of the person, on the query API", "schema": TEXT},
        ),
        **problems(401, 403, 404, 422, 503),
    },
}
_MESSAGE_PROBLEMS: Final = problems(400, 401, 403, 404, 503)


def add_dead_letter_routes(app: FastAPI, dependencies: PeopleDependencies, url: str) -> None:
    """Add the routes that change dead letters, and those that read the broker's.

    Args:
        app: The application.
        dependencies: Checks tokens and publishes.
        url: AMQP URL.
    """
    app.router.route_class = APIRoute
    # Before those that would take `messages` for a person.
    _add_message_routes(app, wants(dependencies.verifier, "ops"), url)
    _add_parked_routes(app, dependencies)


def _add_parked_routes(app: FastAPI, dependencies: PeopleDependencies) -> None:
    async def stamp(
        request: Request, person_id: ParkedId, caller: Annotated[Caller, wants(dependencies.verifier, "ops")]
    ) -> dict[str, Any]:
        stamp = dependencies.stamp(request, caller, read_preferences(request.headers), None)
        return {"person_id": str(person_id), **stamp}

    async def ask(control: Control, response: Response) -> AcceptedCommand:
        await dependencies.publish_and_count(control, None)
        response.headers["Location"] = f"{dependencies.query_url}/dead-letters/{control.person_id}"
        return AcceptedCommand(person_id=control.person_id, command_id=control.command_id, status="accepted")

    Stamp = Annotated[dict[str, Any], Depends(stamp)]  # noqa: N806 - a type

    @app.post("/dead-letters/{person_id:uuid}/retry", summary="Apply what waits of a parked person", **_ASKED)
    async def retry_parked_person(stamp: Stamp, response: Response) -> AcceptedCommand:
        """Scope `ops`. In order, from the command that failed; what fails again waits on, with its reason."""
        return await ask(RetryParked.model_construct(**stamp), response)

    # Only what is an id: other words are other routes.
    @app.delete(
        "/dead-letters/{person_id:uuid}", summary="Give up all that waits of a parked person", **_ASKED
    )
    async def drop_parked_person(stamp: Stamp, response: Response) -> AcceptedCommand:
        """Scope `ops`. Each command is put on record as refused, `dropped`, and the person is free."""
        return await ask(DropParked.model_construct(**stamp, data=Chosen()), response)

    @app.delete(
        "/dead-letters/{person_id:uuid}/{command_id:uuid}", summary="Give up one waiting command", **_ASKED
    )
    async def drop_waiting_command(
        stamp: Stamp, command_id: WaitingId, response: Response
    ) -> AcceptedCommand:
        """Scope `ops`. It is put on record as refused, `dropped`; the others wait until they are retried."""
        chosen = Chosen(command_ids=(str(command_id),))
        return await ask(DropParked.model_construct(**stamp, data=chosen), response)


def _add_message_routes(app: FastAPI, ops: Any, url: str) -> None:
    always: dict[str, Any] = {"tags": ["operations"], "dependencies": [ops]}

    @app.get(
        "/dead-letters/messages",
        summary="List dead letters: what no worker could read, and what subscribers gave up",
        responses={
            200: json_answer("The messages", DeadMessages, "dead_messages"),
            **problems(400, 401, 403, 503),
        },
        **always,
    )
    async def list_dead_messages(queues: Queues) -> DeadMessages:
        """Scope `ops`. Oldest first, at most 1,000 of each queue; `more` tells whether there are more.

        While somebody else looks, a message may be missing for a moment. Behind the proxy:
        `/command/dead-letters/messages`.
        """
        seen = await dead_letters.look(url, dead_letters.dead_queues(queues))
        return DeadMessages(items=_listed(seen.messages), more=seen.more)

    @app.get(
        "/dead-letters/messages/{id}",
        summary="Read such a message whole",
        response_model_exclude_unset=True,
        responses={
            200: json_answer("The message", WholeDeadMessage, "dead_message_whole"),
            **_MESSAGE_PROBLEMS,
        },
        **always,
    )
    async def get_dead_message(id: MessageId, queues: Queues) -> WholeDeadMessage:  # noqa: A002 - in the path
        """Scope `ops`. With its body."""
        message = await dead_letters.find(url, id, dead_letters.dead_queues(queues))
        return WholeDeadMessage(**dead_messages.message_view(message, whole=True))

    @app.post(
        "/dead-letters/messages/retry",
        summary="Retry all dead letters that can be read",
        responses={
            200: json_answer("What was published, and what is left", RetriedDeadMessages, "handed_in"),
            **problems(400, 401, 403, 503),
        },
        **always,
    )
    async def retry_dead_messages(queues: Queues) -> RetriedDeadMessages:
        """Scope `ops`. In the order in which they died; see the route for one of them. What cannot be read is
        left, and named.
        """
        handed = await dead_letters.hand_in_all(url, dead_letters.dead_queues(queues))
        return RetriedDeadMessages(items=_listed(handed.done), left=_listed(handed.left))

    @app.post(
        "/dead-letters/messages/{id}/retry",
        summary="Hand such a message in again",
        responses={
            200: json_answer("The message", RetriedDeadMessage, "dead_message_retried"),
            **_MESSAGE_PROBLEMS,
        },
        **always,
    )
    async def retry_dead_message(id: MessageId, queues: Queues) -> RetriedDeadMessage:  # noqa: A002
        """Scope `ops`. It is published to its queue again, behind what waits there, after those of its person
        that died before it (`before`), and taken out once that is confirmed.

        A command that a later change of its person has overtaken is then refused as `superseded`.
        """
        *before, message = await dead_letters.hand_in(url, id, dead_letters.dead_queues(queues))
        view = dead_messages.message_view(message, whole=False)
        return RetriedDeadMessage(**view, status="published", before=_listed(before))

    @app.delete(
        "/dead-letters/messages/{id}",
        summary="Delete such a message",
        responses={
            200: json_answer("The message", DroppedDeadMessage, "dead_message_dropped"),
            **_MESSAGE_PROBLEMS,
        },
        **always,
    )
    async def drop_dead_message(id: MessageId, queues: Queues) -> DroppedDeadMessage:  # noqa: A002
        """Scope `ops`. For good."""
        message = await dead_letters.give_up(url, id, dead_letters.dead_queues(queues))
        return DroppedDeadMessage(**dead_messages.message_view(message, whole=False), status="dropped")


def _listed(messages: Iterable[dead_messages.DeadMessage]) -> list[DeadMessage]:
    return [DeadMessage(**dead_messages.message_view(message, whole=False)) for message in messages]
