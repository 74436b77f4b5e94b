"""The command routes under /people: authenticate, validate, stamp, publish, and wait if asked to."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, TypeVar, assert_never

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.responses import Response
from prometheus_client import Counter
from pydantic import BaseModel

from command_api.dispatch.preferences import Preferences, read_preferences
from command_api.dispatch.publisher import CommandPublisher
from command_api.dispatch.replies import ReplyInbox
from command_api.people.documentation import PeopleDocuments
from command_api.people.input import ReversionInput, input_forms
from events.errors import Forbidden, InvalidFields
from events.parking.controls import Message
from events.person.commands import (
    Command,
    CreatePerson,
    DeletePerson,
    ErasePerson,
    Protection,
    Reversion,
    RevertPerson,
    UpdatePerson,
)
from events.person.fields import stored_forms
from events.person.outcomes import Applied, Parked, Rejected, Unchanged, Unreadable
from events.person.rejections import ValueTaken, rejection_of
from events.person.schema.declarations import PersonSchema
from events.times import to_milliseconds
from service_kit.auth.roles import AUDIT_SCOPE
from service_kit.auth.tokens import Caller, TokenVerifier
from service_kit.http.bodies import read_body
from service_kit.http.problems import problem_of
from service_kit.http.reasons import language_of
from service_kit.http.web import PlainRoute, authorize, path_id
from service_kit.ids import new_id
from service_kit.person_view import PersonView
from service_kit.seals.repeatable_ids import RepeatableIds

ACCEPTED = Counter("rollcall_commands_accepted_total", "Commands that the broker confirmed", ["type"])

Input = TypeVar("Input", bound=BaseModel)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PeopleDependencies:
    """What the routes need, given by the composition root.

    Attributes:
        publisher: Takes commands to the broker.
        inbox: Brings outcomes back.
        verifier: Checks tokens.
        clock: Tells the time, UTC.
        phone_region: Region of national phone numbers.
        query_url: Public base of the query API; may be empty.
        schema: What a person is.
        repeatable_ids: Gives what makes the ids of requests that may be repeated.
    """

    publisher: CommandPublisher
    inbox: ReplyInbox
    verifier: TokenVerifier
    clock: Callable[[], datetime]
    phone_region: str
    query_url: str
    schema: PersonSchema
    repeatable_ids: Callable[[], RepeatableIds]

    async def authorize(self, request: Request, scope: str) -> Caller:
        """Return the caller if the token is good and has the scope."""
        return await authorize(request, self.verifier, scope)

    async def submit(self, command: Command, preferences: Preferences, caller: Caller) -> Response:
        """Publish a caller's command, and answer: with 202, or with its outcome if that was asked for."""
        if preferences.wait is None:
            await self.publish_and_count(command, None)
            return self._accepted(command)
        token = new_id()
        async with self.inbox.expect(token) as waiting:
            await self.publish_and_count(command, waiting.reply if waiting else None)
            if waiting is None:
                return self._accepted(command)
            await asyncio.wait({waiting.outcome}, timeout=preferences.wait)
            if waiting.outcome.cancelled() or not waiting.outcome.done():
                return self._accepted(command)
            outcome = waiting.outcome.result()
            if isinstance(outcome, Parked | Unreadable):
                return self._accepted(command, status=outcome.status)
            if _is_former(command, outcome, caller):
                # The command's status says what became of it, and nothing of the person.
                return self._accepted(command)
            return self._outcome_response(command, outcome, preferences, caller)

    async def publish_and_count(self, command: Message, reply: tuple[str, str] | None) -> None:
        """Publish a command or control, and return when the broker has it."""
        await self.publisher.publish_command(command, reply)
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

    def _outcome_response(
        self,
        command: Command,
        outcome: Applied | Unchanged | Rejected,
        preferences: Preferences,
        caller: Caller,
    ) -> Response:
        view = PersonView.of(self.schema, caller.scopes)
        honoured = {"Preference-Applied": f"wait={preferences.wait}"}
        if outcome.replayed:
            honoured["Idempotent-Replayed"] = "true"
        match outcome:
            case Rejected(code=code, detail=detail, version=at):
                language = language_of(preferences.accept_language)
                rejection = rejection_of(code, detail, at, self.schema)
                if isinstance(rejection, ValueTaken) and not view.hidden.isdisjoint(rejection.fields):
                    rejection.fields = ()
                response = problem_of(rejection, language)
                response.headers.update(honoured)
                return response
            case Applied(version=version) | Unchanged(version=version):
                headers = {**honoured, "ETag": f'"{view.tag(version)}"', "X-Command-Id": command.command_id}
                body = outcome.person
                if isinstance(command, ErasePerson):
                    body = {"id": command.person_id, "version": version, "erased": True}
                elif isinstance(command, Protection):
                    body = {"id": command.person_id, "version": version}
                elif body is None:
                    body = {"id": command.person_id, "version": version, "deleted": True}
                elif isinstance(command, RevertPerson) and AUDIT_SCOPE not in caller.scopes:
                    body = {"id": command.person_id, "version": version}
                else:
                    body = view.of_values(body) if view.hidden else body
                return _json(body, 201 if isinstance(command, CreatePerson) else 200, headers)
            case _:
                assert_never(outcome)

    def stamp(
        self, request: Request, caller: Caller, preferences: Preferences, content: object
    ) -> dict[str, Any]:
        """Return what every command carries beside its person and data.

        With an `Idempotency-Key`, the command's id is made of the key and of what is asked: the same request
        is the same command, and a worker sees the same key with other content.

        Args:
            request: What it came with.
            caller: Whose it is.
            preferences: What its headers ask for.
            content: What was validated, JSON-ready.
        """
        client = request.client
        key, idempotency_id, command_id = preferences.idempotency_key, None, new_id()
        if key is not None:
            ids = self.repeatable_ids()
            idempotency_id = ids.of("key", caller.subject, request.method, request.url.path, key)
            versions = preferences.expected_versions
            asked = orjson.dumps(
                [content, None if versions is None else sorted(versions)], option=orjson.OPT_SORT_KEYS
            )
            command_id = ids.of("command", idempotency_id, sha256(asked).hexdigest())
        return {
            "command_id": command_id,
            "person_schema": self.schema.version,
            "idempotency_id": idempotency_id,
            "accepted_at": to_milliseconds(self.clock()),
            "actor": caller.subject,
            "actor_name": caller.name,
            "expected_versions": preferences.expected_versions,
            "correlation_id": preferences.correlation_id or command_id,
            "causation_id": preferences.causation_id,
            "traceparent": preferences.traceparent,
            "source_address": client.host if client else None,
            "user_agent": preferences.user_agent,
        }

    async def read(self, request: Request, form: type[Input], *media_types: str) -> Input:
        """Return the request's JSON body as the given form; raises what `read_body` does."""
        context = {"today": self.clock().date(), "phone_region": self.phone_region}
        return await read_body(request, form, media_types, context)


def _json(content: object, status: int, headers: dict[str, str]) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")


def _is_former(command: Command, outcome: Applied | Unchanged | Rejected, caller: Caller) -> bool:
    """Return whether an outcome has values of before, which the caller may not see."""
    if isinstance(command, RevertPerson | Protection) or isinstance(outcome, Rejected):
        return False
    if outcome.person is None:
        return False
    return outcome.former and AUDIT_SCOPE not in caller.scopes


def refuse_fixed(schema: PersonSchema, caller: Caller, names: Iterable[str]) -> None:
    """Return if a caller may set all of some fields.

    Raises:
        Forbidden: One wants a scope that the caller lacks.
    """
    if fixed := schema.fixed(caller.scopes):
        for name in names:
            if name in fixed:
                raise Forbidden(f"the field {name} wants the scope {fixed[name]}", scope=fixed[name])


def add_people_routes(app: FastAPI, dependencies: PeopleDependencies) -> None:
    """Add the routes that create, change and delete people."""
    app.router.route_class = PlainRoute
    schema = dependencies.schema
    doc, forms, stored = PeopleDocuments(schema), input_forms(schema), stored_forms(schema)

    @app.post("/people", tags=["people"], status_code=202, **doc.create)
    async def create_person(request: Request) -> Response:
        caller = await dependencies.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        preferences.refuse_condition()
        person = await dependencies.read(request, forms.person, "application/json")
        fields = person.fields()
        refuse_fixed(schema, caller, [name for name, value in fields.items() if value is not None])
        stamp = dependencies.stamp(request, caller, preferences, fields)
        key_id = stamp["idempotency_id"]
        ids = dependencies.repeatable_ids
        person_id = new_id() if key_id is None else ids().of("person", key_id)
        data = stored.fields.model_construct(**fields)
        command = CreatePerson.model_construct(person_id=person_id, data=data, **stamp)
        return await dependencies.submit(command, preferences, caller)

    @app.patch("/people/{person_id}", tags=["people"], status_code=202, **doc.update)
    async def update_person(request: Request) -> Response:
        caller = await dependencies.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        patch = await dependencies.read(
            request, forms.patch, "application/merge-patch+json", "application/json"
        )
        changes = patch.changes()
        if not changes:
            raise InvalidFields("the patch is empty: name at least one field")
        refuse_fixed(schema, caller, changes)
        command = UpdatePerson.model_construct(
            person_id=path_id(request, "person_id"),
            data=stored.changes.model_construct(**changes),
            **dependencies.stamp(request, caller, preferences, changes),
        )
        return await dependencies.submit(command, preferences, caller)

    @app.post("/people/{person_id}/revert", tags=["people"], status_code=202, **doc.revert)
    async def revert_person(request: Request) -> Response:
        caller = await dependencies.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        wanted = await dependencies.read(request, ReversionInput, "application/json")
        command = RevertPerson.model_construct(
            person_id=path_id(request, "person_id"),
            data=Reversion(to_version=wanted.to_version, left=tuple(schema.fixed(caller.scopes))),
            **dependencies.stamp(request, caller, preferences, wanted.to_version),
        )
        return await dependencies.submit(command, preferences, caller)

    @app.delete("/people/{person_id}", tags=["people"], status_code=202, **doc.delete)
    async def delete_person(request: Request) -> Response:
        caller = await dependencies.authorize(request, "people:delete")
        preferences = read_preferences(request.headers)
        command = DeletePerson.model_construct(
            person_id=path_id(request, "person_id"), **dependencies.stamp(request, caller, preferences, None)
        )
        return await dependencies.submit(command, preferences, caller)
