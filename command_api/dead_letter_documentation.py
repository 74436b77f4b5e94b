"""Owns what the OpenAPI document says of the operators' routes."""

from typing import Any, Final

from service_kit.openapi import DEAD_MESSAGE, TEXT, UUID, in_path, json_answer, problems
from service_kit.topology import DEAD_QUEUES

_PERSON_ID: Final = in_path("person_id", "The parked person's id")
_COMMAND_ID: Final = in_path("command_id", "The waiting command's id")
_MESSAGE_ID: Final = in_path("id", "As the list names it", type="string")
_QUEUES: Final[dict[str, Any]] = {
    "name": "queue",
    "in": "query",
    "required": False,
    "description": (
        "Which queues of dead letters: `commands.dead`, or a subscriber's, `events.NAME.dead`. Without it, "
        f"{' and '.join(f'`{name}`' for name in DEAD_QUEUES)}"
    ),
    "schema": {"type": "array", "items": TEXT},
}
_ACCEPTED: Final = json_answer(
    "Durable in the broker; a worker does it in the person's order. Nothing happens if nothing waits",
    {
        "type": "object",
        "required": ["person_id", "command_id", "status"],
        "properties": {"person_id": UUID, "command_id": UUID, "status": {"const": "accepted"}},
    },
    "accepted",
    Location={"description": "What waits of the person, on the query API", "schema": TEXT},
)


def _control(summary: str, description: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": summary,
        "description": f"Scope `ops`. {description}",
        "responses": {202: _ACCEPTED, **problems(401, 403, 404, 422, 503)},
        "openapi_extra": {"parameters": list(parameters)},
    }


def _message(summary: str, description: str, status: str | None, **more: Any) -> dict[str, Any]:
    properties = {**DEAD_MESSAGE["properties"], **({"status": {"const": status}} if status else {}), **more}
    schema = {**DEAD_MESSAGE, "properties": properties}
    return {
        "summary": summary,
        "description": f"Scope `ops`. {description}",
        "responses": {
            200: json_answer("The message", schema, "dead_message"),
            **problems(400, 401, 403, 404, 503),
        },
        "openapi_extra": {"parameters": [_MESSAGE_ID, _QUEUES]},
    }


RETRY: Final = _control(
    "Apply what waits of a parked person",
    "In order, from the command that failed; what fails again waits on, with its new reason.",
    _PERSON_ID,
)
DROP_ALL: Final = _control(
    "Give up all that waits of a parked person",
    "Each command is put on record as refused, `dropped`, and the person is free.",
    _PERSON_ID,
)
DROP: Final = _control(
    "Give up one waiting command",
    "It is put on record as refused, `dropped`; the others wait until they are retried.",
    _PERSON_ID,
    _COMMAND_ID,
)
_MANY: Final[dict[str, Any]] = {"type": "array", "items": DEAD_MESSAGE}
MESSAGES: Final[dict[str, Any]] = {
    "summary": "List dead messages: that no worker could read, that subscribers gave up",
    "description": (
        "Scope `ops`. Oldest first, at most 1,000 of each queue; `more` tells whether there are more. While "
        "somebody else looks, a message may be missing for a moment. Behind the proxy: "
        "`/command/dead-letters/messages`."
    ),
    "responses": {
        200: json_answer(
            "The messages",
            {
                "type": "object",
                "required": ["items", "more"],
                "properties": {
                    "items": _MANY,
                    "more": {"type": "boolean"},
                },
            },
            "dead_messages",
        ),
        **problems(400, 401, 403, 503),
    },
    "openapi_extra": {"parameters": [_QUEUES]},
}
RETRY_MESSAGES: Final[dict[str, Any]] = {
    "summary": "Hand in all dead messages that can be read",
    "description": (
        "Scope `ops`. In the order in which they died; see the route for one of them. What cannot be read is "
        "left, and named."
    ),
    "responses": {
        200: json_answer(
            "What was published, and what is left",
            {
                "type": "object",
                "required": ["items", "left"],
                "properties": {"items": _MANY, "left": _MANY},
            },
            "handed_in",
        ),
        **problems(400, 401, 403, 503),
    },
    "openapi_extra": {"parameters": [_QUEUES]},
}
MESSAGE: Final = _message("Read such a message whole", "With its body.", None)
RETRY_MESSAGE: Final = _message(
    "Hand such a message in again",
    "It is published to its queue again, behind what waits there, after those of its person that died before "
    "it (`before`), and taken out once that is confirmed. A command that a later change of its person has "
    "overtaken is then refused as `superseded`.",
    "published",
    before=_MANY,
)
DROP_MESSAGE: Final = _message("Delete such a message", "For good.", "dropped")
