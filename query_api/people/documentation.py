"""What the OpenAPI document says of the read routes: parameters, answers, examples."""

from typing import Any, Final

from events.person.schema.declarations import PersonSchema
from query_api.people.answers import CommandStatus, people_answers
from query_api.people.comparing import asked_schema
from query_api.people.filters import people_queries
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
_IF_MATCH: Final = header(
    "If-Match", "412 if the person is at another version than these.", '"3"', **ENTITY_TAGS
)
_IF_NONE_MATCH: Final = header("If-None-Match", "304 if the person is still at this version.", '"3"')


_NOT_MODIFIED: Final = {304: {"description": "The client's version is the present one"}}

_FIRST: Final = {"person_id": "$response.body#/items/0/id"}
_THIS: Final = {"person_id": "$response.body#/id"}
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


class PeopleDocuments:
    """What the document says of the reads of a schema's people.

    Args:
        schema: What a person is.

    Attributes:
        list: Of the list.
        person: Of reading one person.
    """

    def __init__(self, schema: PersonSchema) -> None:
        self._schema = schema
        answers, queries = people_answers(schema), people_queries(schema)
        of_a_person = {
            "getPerson": {**_THIS, "If-None-Match": "$response.header.ETag"},
            "getHistory": _THIS,
            **{
                operation_of(kind): {name: f"$response.body#/{name}" for name in names}
                for kind, names in schema.unique.items()
            },
        }
        self.list: dict[str, Any] = {
            "summary": "List and search people",
            "description": "Scope `people:read`. Pages follow each other by `next`; "
            "stable while others write.",
            "responses": {
                200: json_answer(
                    "A page",
                    answers.page,
                    "page",
                    links=links({"getPerson": _FIRST, "getHistory": _FIRST}),
                    Link=NEXT_LINK,
                    **_POSITION,
                ),
                **problems(401, 403, 422, 503),
            },
            "openapi_extra": {"parameters": parameters(queries.people)},
        }
        self.person: dict[str, Any] = {
            "summary": "Read a person",
            "description": "Scope `people:read`.",
            "responses": {
                200: json_answer(
                    "The person", answers.shown, "person", links=links(of_a_person), **_ETAG, **_POSITION
                ),
                **_NOT_MODIFIED,
                **problems(
                    *(401, 403, 404, 422, 503),
                    **{"412": "The person is at none of the versions of `If-Match`"},
                ),
            },
            "openapi_extra": {
                "parameters": [PERSON_ID, *parameters(queries.person), _IF_MATCH, _IF_NONE_MATCH]
            },
        }
        self._sparse = parameters(queries.sparse)

    def by_values(self, kind: str) -> dict[str, Any]:
        """Return what the document says of reading the person who has a unique value.

        Args:
            kind: Of claim.
        """
        fields = [self._schema.by_name[name] for name in self._schema.unique[kind]]
        in_paths = [in_path(one.name, **_described(asked_schema(one)), example=one.example) for one in fields]
        return {
            **self.person,
            "summary": f"Read the person with a {kind.replace('_', ' ')}",
            "operation_id": operation_of(kind),
            "openapi_extra": {"parameters": [*in_paths, *self._sparse, _IF_MATCH, _IF_NONE_MATCH]},
        }


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": "As it is asked for in a list", **schema}


def operation_of(kind: str) -> str:
    """Return the id of the operation that reads a person by a unique value."""
    return "getPersonBy" + "".join(part.capitalize() for part in kind.split("_"))
