"""The AsyncAPI 3 document: what Rollcall announces, where, and in which form; from the same models.

https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel

from events.log.event import EVENT_SOURCE, EVENT_TYPES
from events.person.commands import CONTENT_TYPE, Erasure, Hold
from events.person.fields import Image, stored_forms
from events.person.schema.declarations import PersonSchema
from service_kit.broker.topology import EVENT_LOG, EVENTS


def data_forms(schema: PersonSchema) -> dict[str, type[BaseModel] | None]:
    """Return what each type of event says of a schema's people; None for nothing."""
    forms = stored_forms(schema)
    return {
        "person.created": forms.fields,
        "person.updated": forms.changes,
        "person.image_changed": Image,
        "person.deleted": None,
        "person.held": Hold,
        "person.hold_lifted": Hold,
        "person.erased": Erasure,
    }


_MEANING: Final = {
    "person.created": "A person is new: all the given fields",
    "person.updated": "The fields that changed, null for removed ones; none if nothing did",
    "person.image_changed": "Where the person's image is now; nulls if it was removed",
    "person.deleted": "A person is forgotten",
    "person.held": "A hold forbids erasing the person",
    "person.hold_lifted": "A hold is over",
    "person.erased": "Nothing personal of the person can be opened any more",
}
_TEXT: Final = {"type": "string"}
_UUID: Final = {"type": "string", "format": "uuid"}
_TIME: Final = {"type": "string", "format": "date-time"}
_HASH: Final = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_ATTRIBUTES: Final[dict[str, Any]] = {
    "specversion": {"const": "1.0"},
    "id": {**_UUID, "description": "The event's; the same if it is announced again"},
    "source": {"const": EVENT_SOURCE},
    "subject": {**_UUID, "description": "The person"},
    "time": {**_TIME, "description": "When it was applied"},
    "datacontenttype": {"const": "application/json"},
    "schemaversion": {"type": "integer", "minimum": 1},
    "partitionkey": {**_UUID, "description": "The person: order holds for each"},
    "version": {"type": "integer", "minimum": 1, "description": "Of the person: 1, 2, 3 …"},
    "commandid": {**_UUID, "description": "The command that made it"},
    "actor": {**_TEXT, "description": "Who: the subject of the access token"},
    "acceptedat": {**_TIME, "description": "When the command was accepted"},
    "correlationid": _TEXT,
    "prevhash": {**_HASH, "description": "`hash` of the person's event before it"},
    "hash": _HASH,
    "sealedfields": {
        "type": "array",
        "items": _TEXT,
        "description": "The names of the sealed values, ascending; those with an @ belong to the request",
    },
    "values": {**_HASH, "description": "The root over what commits to the sealed values"},
}
_EXTRA: Final = ("causationid", "traceparent")
_OPTIONAL: Final[dict[str, Any]] = {
    **dict.fromkeys(_EXTRA, _TEXT),
    "sealed": {
        "type": "string",
        "pattern": "^([0-9a-f]{2})+$",
        "description": "The sealed values: `POST /events/open` of the query API opens them",
    },
    "personschema": {
        "type": "integer",
        "minimum": 1,
        "description": "Number of the person schema; absent from events of before there was one",
    },
}


def payload(type_: str, schema: PersonSchema) -> dict[str, Any]:
    """Return the JSON schema of an announcement: a CloudEvent of one type."""
    model = data_forms(schema)[type_]
    nothing = {"type": "object", "additionalProperties": False}
    # As data is flat, a model's schema refers to nothing outside itself.
    data = nothing if model is None else model.model_json_schema()
    data.pop("required", None)  # what is sealed is not here
    return {
        "type": "object",
        "required": [*_ATTRIBUTES, "type", "data"],
        "additionalProperties": False,
        "properties": {**_ATTRIBUTES, **_OPTIONAL, "type": {"const": type_}, "data": data},
    }


def _name(type_: str) -> str:
    return "".join(part.capitalize() for part in type_.replace("_", ".").split("."))


def asyncapi(version: str, schema: PersonSchema) -> dict[str, Any]:
    """Return the document.

    Args:
        version: Of the API.
        schema: What a person is.
    """
    messages = {_name(type_): {"$ref": f"#/components/messages/{_name(type_)}"} for type_ in EVENT_TYPES}
    channels = {
        "events": {
            "address": EVENTS,
            "title": "A queue of one's own",
            "description": "Topic exchange; the routing key is the event's type. Bind `events.<name>` to it.",
            "messages": messages,
            "bindings": {
                "amqp": {"is": "routingKey", "exchange": {"name": EVENTS, "type": "topic", "durable": True}}
            },
        },
        "log": {
            "address": EVENT_LOG,
            "title": "The stream",
            "description": "Consume from an offset with the argument `x-stream-offset`; the header of that "
            "name tells an event's; with a hyphen and its `id` after it, that is a position. A power cut may "
            "put another event at an offset: look whether yours is still there. It keeps 30 days or 20 GB, "
            "unless a policy says otherwise.",
            "messages": messages,
            "bindings": {"amqp": {"is": "queue", "queue": {"name": EVENT_LOG, "durable": True}}},
        },
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Rollcall events",
            "version": version,
            "description": "Each event of the log, at least once; a person's in order. `id` tells repeats.",
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels,
        "operations": {
            f"announce-{name}": {
                "action": "send",
                "channel": {"$ref": f"#/channels/{name}"},
                "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in messages],
            }
            for name in channels
        },
        "components": {
            "messages": {
                _name(type_): {
                    "name": type_,
                    "title": _MEANING[type_],
                    "contentType": CONTENT_TYPE,
                    "payload": payload(type_, schema),
                }
                for type_ in EVENT_TYPES
            }
        },
    }


def add_asyncapi_route(app: FastAPI, schema: PersonSchema) -> None:
    """Serve the document beside the OpenAPI one."""

    @app.get("/asyncapi.json", include_in_schema=False)
    async def document(_request: Request) -> Response:
        return Response(orjson.dumps(asyncapi(app.version, schema)), media_type="application/json")
