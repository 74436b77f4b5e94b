"""Owns what the OpenAPI document says of the audit routes: parameters, answers, examples."""

from typing import Any, Final

from query_api.documentation import PERSON_ID
from query_api.log_filters import EventsQuery, HistoryQuery
from service_kit.openapi import TEXT, UUID, json_answer, problems
from service_kit.parameters import parameters

_INTEGER: Final = {"type": "integer"}
_MAYBE: Final = {"type": ["string", "null"]}
_TIME: Final = {"type": "string", "format": "date-time"}
_STAMPS: Final = {
    "actor": {"type": "object", "properties": {"subject": TEXT, "name": _MAYBE}},
    "accepted_at": _TIME,
    "source_address": _MAYBE,
    "user_agent": _MAYBE,
    "command_id": UUID,
    "correlation_id": TEXT,
    "causation_id": _MAYBE,
    "traceparent": _MAYBE,
}
_EVENT: Final = {
    "event_id": UUID,
    "version": _INTEGER,
    "type": TEXT,
    **_STAMPS,
    "applied_at": _TIME,
    "schema": _INTEGER,
    "prev": TEXT,
    "hash": TEXT,
}
_CHANGE: Final = {"type": "object", "properties": {"from": _MAYBE, "to": _MAYBE}}
_ENTRY: Final = {
    "oneOf": [
        {
            "type": "object",
            "properties": {
                "status": {"const": "applied"},
                **_EVENT,
                "changes": {"type": "object", "additionalProperties": _CHANGE},
            },
        },
        {
            "type": "object",
            "properties": {
                "status": {"const": "rejected"},
                "type": TEXT,
                "reason": TEXT,
                "detail": TEXT,
                **_STAMPS,
                "rejected_at": _TIME,
            },
        },
    ]
}
_FOUND: Final = {
    "type": "object",
    "properties": {**_EVENT, "person_id": TEXT, "data": {"type": "object", "additionalProperties": _MAYBE}},
}
_LINK: Final = {"description": '`rel="next"`', "schema": TEXT}


def _page(of: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "required": [*more, "items", "next"],
        "properties": {**more, "items": {"type": "array", "items": of}, "next": _MAYBE},
    }


def _found() -> dict[str, Any]:
    answer = json_answer("A page, or an export", _page(_FOUND), "events", Link=_LINK)
    for media_type in ("application/x-ndjson", "text/csv"):
        answer["content"][media_type] = {"schema": TEXT}
    return answer


HISTORY: Final[dict[str, Any]] = {
    "summary": "Who changed a person, when, from where, and what",
    "description": "Scope `audit:read`. Newest first; of deleted people too.",
    "responses": {
        200: json_answer("A page", _page(_ENTRY, person_id=UUID), "history", Link=_LINK),
        **problems(401, 403, 404, 422, 503),
    },
    "openapi_extra": {"parameters": [PERSON_ID, *parameters(HistoryQuery)]},
}
EVENTS: Final[dict[str, Any]] = {
    "summary": "Search everybody's events, or export them",
    "description": (
        "Scope `audit:read`. With `Accept: application/x-ndjson` or `text/csv`, all that is found, as a "
        "stream; if the connection ends before the last chunk, it is not all. An NDJSON line has every "
        "field that the hash covers, for `python -m verifier`. Of what happens to accounts (`account.*`) the "
        "`person_id` is `account:NAME`; of failures that are no account's, `address:ADDRESS`."
    ),
    "responses": {200: _found(), **problems(401, 403, 406, 422, 503)},
    "openapi_extra": {"parameters": parameters(EventsQuery)},
}
