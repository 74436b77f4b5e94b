"""What the OpenAPI document says of the command routes: bodies, headers, answers, examples."""

from typing import Any, Final

from command_api.dispatch.preferences import CAUSATION, KEY
from command_api.people.input import ReversionInput, input_forms
from events.person.schema.declarations import PersonSchema
from service_kit.http.answers import AcceptedCommand, DeletedPerson, person_answers
from service_kit.http.conditions import ENTITY_TAGS
from service_kit.http.openapi import (
    TEXT,
    UUID,
    header,
    in_path,
    json_answer,
    json_body,
    links,
    problems,
    schemas_of,
)

_CAUSATION: Final = f"^{CAUSATION.pattern}$"
# That it does not begin as an import's does, many programs cannot read in a pattern: they know no look-ahead.
_CORRELATION: Final = _CAUSATION.replace(":", "")
_IDEMPOTENCY: Final = header(
    "Idempotency-Key",
    "A retry with the same key, by the same subject on the same route, is the same command; with other "
    "content it is refused.",
    "6f1d2c1e-order-17",
    pattern=f"^{KEY.pattern}$",
)
_PREFER: Final = header(
    "Prefer",
    "`wait=N` (RFC 7240): answer with the outcome within N seconds, N ≤ 30.",
    "wait=5",
)
_PERSON_ID: Final = in_path("person_id", "The person's id")
_IF_MATCH: Final = header(
    "If-Match",
    "Apply only to this version of the person, or to one of these (RFC 9110); else the command is refused.",
    '"3"',
    **ENTITY_TAGS,
)
_TRACE: Final = header(
    "traceparent",
    "W3C Trace Context; carried on to the event.",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)
_CORRELATION_ID: Final = header(
    "X-Correlation-Id",
    "Kept with the event; by default the command's id.",
    "import-2026-11",
    pattern=_CORRELATION,
)
_CAUSATION_ID: Final = header(
    "X-Causation-Id",
    "Kept with the event: the id of the event or message that this reacts to.",
    "0199b1f0-7a35-7d0e-b6f3-6f0d3c2b1a09",
    pattern=_CAUSATION,
)
_ALWAYS: Final = [_PREFER, _IDEMPOTENCY, _CORRELATION_ID, _CAUSATION_ID, _TRACE]
CHANGE_HEADERS: Final = [_IF_MATCH, *_ALWAYS]
"""The headers of a command about a person who exists."""


def _changes(**parameters: str) -> dict[str, Any]:
    """Return the links to what may be done next about a person."""
    return links(dict.fromkeys(("updatePerson", "revertPerson", "deletePerson"), parameters))


_THEN: Final = _changes(person_id="$response.body#/id", **{"If-Match": "$response.header.ETag"})
ACCEPTED: Final = json_answer(
    "Durable in the broker; the outcome comes soon. Without `audit:read`, also the answer to a repeat that "
    "waits, if its person has changed since",
    AcceptedCommand,
    "accepted",
    links=_changes(person_id="$response.body#/person_id"),
    Location={"description": "The command's status on the query API", "schema": TEXT},
)
OUTCOME_HEADERS: Final[dict[str, Any]] = {
    "ETag": {"description": "The version in quotes", "schema": TEXT},
    "Preference-Applied": {"schema": TEXT},
    "Idempotent-Replayed": {"description": "`true`: the outcome was on record", "schema": TEXT},
    "X-Command-Id": {"schema": UUID},
}
WAITED: Final = "Applied (with `Prefer: wait`)"


DELETE: Final[dict[str, Any]] = {
    "summary": "Delete a person",
    "description": "Scope `people:delete`. The log keeps the history; the read model nothing personal.",
    "responses": {
        200: json_answer(WAITED, DeletedPerson, "deleted", **OUTCOME_HEADERS),
        202: ACCEPTED,
        **problems(401, 403, 404, 410, 412, 422, 503),
    },
    "openapi_extra": {"parameters": [_PERSON_ID, *CHANGE_HEADERS]},
}


class PeopleDocuments:
    """What the document says of a schema's people.

    Args:
        schema: What a person is.

    Attributes:
        create: Of the route that creates a person.
        update: Of the one that changes a person.
        revert: Of the one that makes a person again what it was.
        delete: Of the one that deletes a person.
    """

    def __init__(self, schema: PersonSchema) -> None:
        answers, forms = person_answers(schema), input_forms(schema)
        self.create: dict[str, Any] = {
            "summary": "Create a person",
            "description": "Scope `people:write`. With `Prefer: wait=N`: 201 and the person, or why not.",
            "responses": {
                201: json_answer(WAITED, answers.person, "person", links=_THEN, **OUTCOME_HEADERS),
                202: ACCEPTED,
                **problems(400, 401, 403, 409, 410, 413, 415, 422, 503),
            },
            "openapi_extra": {
                "requestBody": json_body(forms.person),
                "parameters": _ALWAYS,
            },
        }
        self.update: dict[str, Any] = {
            "summary": "Change a person",
            "description": "Scope `people:write`. A JSON merge patch (RFC 7396).",
            "responses": {
                200: json_answer(WAITED, answers.person, "updated", links=_THEN, **OUTCOME_HEADERS),
                202: ACCEPTED,
                **problems(400, 401, 403, 404, 409, 410, 412, 413, 415, 422, 503),
            },
            "openapi_extra": {
                "requestBody": json_body(forms.patch, "application/merge-patch+json", "application/json"),
                "parameters": [_PERSON_ID, *CHANGE_HEADERS],
            },
        }
        self.revert: dict[str, Any] = {
            "summary": "Make a person again what it was",
            "description": (
                "Scope `people:write`; the answer has the person's values with `audit:read` too. The fields "
                "become those of the version, by an event like any update, whose `causation_id` is that "
                "version's event if `X-Causation-Id` names no other. A deleted person stays deleted."
            ),
            "responses": {
                200: json_answer(WAITED, answers.reverted, "updated", links=_THEN, **OUTCOME_HEADERS),
                202: ACCEPTED,
                **problems(400, 401, 403, 404, 409, 410, 412, 413, 415, 422, 503),
            },
            "openapi_extra": {
                "requestBody": json_body(ReversionInput),
                "parameters": [_PERSON_ID, *CHANGE_HEADERS],
            },
        }
        self.delete = DELETE


def forms_of(schema: PersonSchema) -> dict[str, dict[str, Any]]:
    """Return the schemas of the bodies, by name."""
    inputs = input_forms(schema)
    forms = schemas_of(inputs.person, inputs.patch, ReversionInput)
    for form in forms.values():
        for field in form["properties"].values():
            for kind in field.get("anyOf", ()):
                kind.pop("minLength", None)  # an optional field that is empty is absent
                kind.pop("minItems", None)
    return forms
