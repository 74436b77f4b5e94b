"""What the OpenAPI document says of the read routes: parameters, answers, examples."""

from typing import Any, Final

from events.person.schema import BY_NAME, UNIQUE
from query_api.people.answers import CommandStatus, PageOfPeople, ShownPerson
from query_api.people.comparing import asked_schema
from query_api.people.filters import PeopleQuery, PersonQuery, SparseQuery
from query_api.reading.forms import ReadQuery
from service_kit.http.conditions import ENTITY_TAGS
from service_kit.http.openapi import NEXT_LINK, TEXT, header, in_path, json_answer, links, problems
from service_kit.http.parameters import parameters

_ETAG: Final = {"ETag": {"description": "The version in quotes", "schema": TEXT}}
_POSITION: Final = {
    "X-Stream-Position": {
        "description": "Follow `/events/stream` from here to miss no change: an offset, a hyphen, "
        "an event's id; absent until one is known",
        "schema": TEXT,
    }
}
PERSON_ID: Final = in_path("person_id", "The person's id")
_COMMAND_ID: Final = in_path("command_id", "The command's id")
_DOCUMENT: Final = [
    in_path(name, **asked_schema(BY_NAME[name]), example=BY_NAME[name].example) for name in UNIQUE["document"]
]
_IF_MATCH: Final = header(
    "If-Match", "412 if the person is at another version than these.", '"3"', **ENTITY_TAGS
)
_IF_NONE_MATCH: Final = header("If-None-Match", "304 if the person is still at this version.", '"3"')


_NOT_MODIFIED: Final = {304: {"description": "The client's version is the present one"}}

_FIRST: Final = {"person_id": "$response.body#/items/0/id"}
_THIS: Final = {"person_id": "$response.body#/id"}
_OF_A_PERSON: Final = {
    "getPerson": {**_THIS, "If-None-Match": "$response.header.ETag"},
    "getHistory": _THIS,
    "getPersonByDocument": {name: f"$response.body#/{name}" for name in UNIQUE["document"]},
}

LIST: Final[dict[str, Any]] = {
    "summary": "List and search people",
    "description": "Scope `people:read`. Pages follow each other by `next`; stable while others write.",
    "responses": {
        200: json_answer(
            "A page",
            PageOfPeople,
            "page",
            links=links({"getPerson": _FIRST, "getHistory": _FIRST}),
            Link=NEXT_LINK,
            **_POSITION,
        ),
        **problems(401, 403, 422, 503),
    },
    "openapi_extra": {"parameters": parameters(PeopleQuery)},
}
PERSON: Final[dict[str, Any]] = {
    "summary": "Read a person",
    "description": "Scope `people:read`.",
    "responses": {
        200: json_answer(
            "The person", ShownPerson, "person", links=links(_OF_A_PERSON), **_ETAG, **_POSITION
        ),
        **_NOT_MODIFIED,
        **problems(401, 403, 404, 422, 503, **{"412": "The person is at none of the versions of `If-Match`"}),
    },
    "openapi_extra": {"parameters": [PERSON_ID, *parameters(PersonQuery), _IF_MATCH, _IF_NONE_MATCH]},
}
BY_DOCUMENT: Final[dict[str, Any]] = {
    **PERSON,
    "summary": "Read the person with a document",
    "openapi_extra": {"parameters": [*_DOCUMENT, *parameters(SparseQuery), _IF_MATCH, _IF_NONE_MATCH]},
}
COMMAND: Final[dict[str, Any]] = {
    "summary": "What became of a command",
    "description": (
        "Scope `people:read`. 404 with `Retry-After` until it is decided. `parked`: it failed, or waits "
        "behind one that did, until an operator has seen to it."
    ),
    "responses": {
        200: json_answer("Decided", CommandStatus, "applied"),
        **problems(401, 403, 404, 422, 503),
    },
    "openapi_extra": {"parameters": [PERSON_ID, _COMMAND_ID, *parameters(ReadQuery)]},
}
