"""Owns the routes under /people: authenticate, validate, stamp, publish, and wait if asked to."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar, assert_never

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import Counter
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect

from command_api import documentation as doc
from command_api.person_input import PersonInput, PersonPatch, ReversionInput
from command_api.preferences import Preferences, read_preferences
from command_api.publisher import CommandPublisher
from command_api.replies import ReplyInbox
from events.commands import (
    Command,
    CreatePerson,
    DeletePerson,
    Reversion,
    RevertPerson,
    UpdatePerson,
)
from events.controls import Message
from events.errors import BodyTooLarge, InvalidFields, MalformedBody, UnsupportedMediaType
from events.outcomes import Applied, Parked, Rejected
from events.person import PersonChanges, PersonFields
from events.rejections import REJECTIONS
from events.times import to_milliseconds
from service_kit.ids import derived_id, new_id
from service_kit.problems import field_errors, problem_of
from service_kit.tokens import Caller, TokenVerifier
from service_kit.web import PlainRoute, authorize, path_id

ACCEPTED = Counter("rollcall_commands_accepted_total", "Commands that the broker confirmed", ["type"])

MAX_BODY_BYTES: Final = 64 * 1024
BODY_SECONDS: Final = 30.0

Input = TypeVar("Input", bound=BaseModel)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class CommandDesk:
    """What the routes need, given by the composition root.

    Attributes:
        publisher: Takes commands to the broker.
        inbox: Brings outcomes back.
        verifier: Checks tokens.
        clock: Tells the time, UTC.
        phone_region: Region of national phone numbers.
        query_url: Public base of the query API; may be empty.
    """

    publisher: CommandPublisher
    inbox: ReplyInbox
    verifier: TokenVerifier
    clock: Callable[[], datetime]
    phone_region: str
    query_url: str

    async def authorize(self, request: Request, scope: str) -> Caller:
        """Return the caller if the token is good and has the scope."""
        return await authorize(request, self.verifier, scope)

    async def submit(self, command: Command, preferences: Preferences) -> Response:
        """Publish a command and answer: at once with 202, or with its outcome if that was asked for."""
        if preferences.wait is None:
            await self.publish(command, None)
            return self._accepted(command)
        token = new_id()
        async with self.inbox.expect(token) as waiting:
            await self.publish(command, waiting.reply if waiting else None)
            if waiting is None:
                return self._accepted(command)
            await asyncio.wait({waiting.outcome}, timeout=preferences.wait)
            if waiting.outcome.cancelled() or not waiting.outcome.done():
                return self._accepted(command)
            outcome = waiting.outcome.result()
            if isinstance(outcome, Parked):
                return self._accepted(command, status="parked")
            return _settled(command, outcome, preferences.wait)

    async def publish(self, command: Message, reply: tuple[str, str] | None) -> None:
        """Publish a command or control, and return when the broker has it."""
        await self.publisher.publish(command, reply)
        ACCEPTED.labels(command.type).inc()
        log.info(
            "accepted",
            command_id=command.command_id,
            type=command.type,
            person_id=command.person_id,
            actor=command.actor,
            traceparent=command.traceparent,
        )

    def _accepted(self, command: Command, *, status: str = "accepted") -> Response:
        body = {
            "person_id": command.person_id,
            "command_id": command.command_id,
            "status": status,
        }
        location = f"{self.query_url}/people/{command.person_id}/commands/{command.command_id}"
        return _json(body, 202, {"Location": location})

    def stamp(self, request: Request, caller: Caller, preferences: Preferences) -> dict[str, Any]:
        """Return what every command carries beside its person and data."""
        client = request.client
        key = preferences.idempotency_key
        command_id = (
            new_id() if key is None else derived_id(caller.subject, request.method, request.url.path, key)
        )
        return {
            "command_id": command_id,
            "accepted_at": to_milliseconds(self.clock()),
            "actor": caller.subject,
            "actor_name": caller.name,
            "expected_version": preferences.expected_version,
            "correlation_id": preferences.correlation_id or command_id,
            "causation_id": preferences.causation_id,
            "traceparent": preferences.traceparent,
            "source_address": client.host if client else None,
            "user_agent": preferences.user_agent,
        }

    async def read(self, request: Request, form: type[Input], *media_types: str) -> Input:
        """Return the request's body as the given form.

        Raises:
            UnsupportedMediaType: The content type is none of `media_types`.
            BodyTooLarge: Over `MAX_BODY_BYTES`; no more than that is ever held.
            MalformedBody: Not JSON, cut off, or not there in time.
            InvalidFields: JSON that is not the form; names each field that is wrong.
        """
        content_type = request.headers.get("content-type", media_types[0])
        if content_type.partition(";")[0].strip().lower() not in media_types:
            raise UnsupportedMediaType(f"send one of {', '.join(media_types)}")
        context = {"today": self.clock().date(), "phone_region": self.phone_region}
        body = await _body(request)
        try:
            return form.model_validate_json(body, context=context)
        except ValidationError as exc:
            errors = exc.errors(include_url=False, include_input=False, include_context=False)
        if errors[0]["type"] == "json_invalid":
            raise MalformedBody(errors[0]["msg"])
        raise InvalidFields("the body is not valid", field_errors(errors))


async def _body(request: Request) -> bytes:
    declared = request.headers.get("content-length", "")
    body = b""
    try:
        if not (declared.isdigit() and int(declared) > MAX_BODY_BYTES):
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        break
                else:
                    return body
    except ClientDisconnect as exc:
        raise MalformedBody("the body was cut off") from exc
    except TimeoutError:
        raise MalformedBody(f"the body did not come within {BODY_SECONDS:g} s") from None
    raise BodyTooLarge(f"send at most {MAX_BODY_BYTES} bytes")


def _json(content: object, status: int, headers: dict[str, str]) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")


def _settled(command: Command, outcome: Applied | Rejected, waited: int) -> Response:
    honoured = {"Preference-Applied": f"wait={waited}"}
    match outcome:
        case Rejected(code=code, detail=detail):
            response = problem_of(REJECTIONS[code](detail))
            response.headers.update(honoured)
            return response
        case Applied(version=version):
            headers = {**honoured, "ETag": f'"{version}"', "X-Command-Id": command.command_id}
            if isinstance(command, CreatePerson):
                return _json(outcome.person, 201, headers)
            if outcome.person is not None:
                return _json(outcome.person, 200, headers)
            body = {"id": command.person_id, "version": version, "deleted": True}
            return _json(body, 200, headers)
        case _:
            assert_never(outcome)


def add_people_routes(app: FastAPI, desk: CommandDesk) -> None:
    """Add the routes that create, change and delete people."""
    app.router.route_class = PlainRoute

    @app.post("/people", tags=["people"], status_code=202, **doc.CREATE)
    async def create_person(request: Request) -> Response:
        caller = await desk.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        person = await desk.read(request, PersonInput, "application/json")
        stamp = desk.stamp(request, caller, preferences)
        key = preferences.idempotency_key
        person_id = new_id() if key is None else derived_id("person", stamp["command_id"])
        fields = PersonFields.model_construct(**person.__dict__)
        command = CreatePerson.model_construct(person_id=person_id, data=fields, **stamp)
        return await desk.submit(command, preferences)

    @app.patch("/people/{person_id}", tags=["people"], status_code=202, **doc.UPDATE)
    async def update_person(request: Request) -> Response:
        caller = await desk.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        patch = await desk.read(request, PersonPatch, "application/merge-patch+json", "application/json")
        changes = patch.model_dump(exclude_unset=True)
        if not changes:
            raise InvalidFields("the patch is empty: name at least one field")
        command = UpdatePerson.model_construct(
            person_id=path_id(request, "person_id"),
            data=PersonChanges.model_construct(**changes),
            **desk.stamp(request, caller, preferences),
        )
        return await desk.submit(command, preferences)

    @app.post("/people/{person_id}/revert", tags=["people"], status_code=202, **doc.REVERT)
    async def revert_person(request: Request) -> Response:
        caller = await desk.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        wanted = await desk.read(request, ReversionInput, "application/json")
        command = RevertPerson.model_construct(
            person_id=path_id(request, "person_id"),
            data=Reversion(to_version=wanted.to_version),
            **desk.stamp(request, caller, preferences),
        )
        return await desk.submit(command, preferences)

    @app.delete("/people/{person_id}", tags=["people"], status_code=202, **doc.DELETE)
    async def delete_person(request: Request) -> Response:
        caller = await desk.authorize(request, "people:delete")
        preferences = read_preferences(request.headers)
        command = DeletePerson.model_construct(
            person_id=path_id(request, "person_id"), **desk.stamp(request, caller, preferences)
        )
        return await desk.submit(command, preferences)
