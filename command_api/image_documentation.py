"""Owns what the OpenAPI document says of the routes of images."""

from typing import Any, Final

from command_api.documentation import UPDATE
from service_kit.openapi import TEXT, json_answer, problems

_PARAMETERS: Final[list[dict[str, Any]]] = UPDATE["openapi_extra"]["parameters"]
_OF_TICKET: Final = frozenset({"person_id", "Idempotency-Key"})
_APPLIED: Final = {status: UPDATE["responses"][status] for status in (200, 202)}
_FILE: Final = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "additionalProperties": False,
                "properties": {
                    "file": {
                        "type": "string",
                        "format": "binary",
                        "description": "PNG, JPEG or WebP, by its content: up to 2 MB and 25 megapixels",
                    }
                },
            },
            "encoding": {"file": {"contentType": "image/png, image/jpeg, image/webp"}},
        }
    },
}
_FILE_PROBLEMS: Final = {
    **problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 501, 503),
    413: {**problems(413)[413], "description": "The file has more than 2 MB"},
    415: {**problems(415)[415], "description": "No form, or the file is no PNG, JPEG or WebP"},
    422: {**problems(422)[422], "description": "More than 25 megapixels, broken, or not one field `file`"},
}
CHANGE_IMAGE: Final[dict[str, Any]] = {
    "summary": "Change a person's image",
    "description": (
        "Scope `people:write`. The picture is decoded, freed of its metadata (EXIF, location), made upright, "
        "no larger than 2048 pixels, encoded anew as JPEG, or WebP if it is transparent, and given a square "
        "thumbnail of 256. Of an animation, the first image. 503 if its store is away: nothing changes then."
    ),
    "responses": {
        **_APPLIED,
        **_FILE_PROBLEMS,
    },
    "openapi_extra": {"requestBody": _FILE, "parameters": _PARAMETERS},
}
REMOVE_IMAGE: Final[dict[str, Any]] = {
    "summary": "Remove a person's image",
    "description": "Scope `people:write`. The picture itself is removed soon after.",
    "responses": {
        **_APPLIED,
        **problems(401, 403, 404, 412, 422, 503),
    },
    "openapi_extra": {"parameters": _PARAMETERS},
}
UPLOAD_TICKET: Final[dict[str, Any]] = {
    "summary": "Let a browser upload an image by itself",
    "description": (
        "Scope `people:write`. Send a form with all of `fields`, then the file as `file_field`, to `url`: no "
        "token is needed there, and every field is signed. Then send the ticket to `confirm`. Good for ten "
        "minutes and one picture."
    ),
    "responses": {
        200: json_answer(
            "The ticket",
            {
                "type": "object",
                "required": ["url", "method", "fields", "file_field", "expires_at", "confirm", "ticket"],
                "properties": {
                    "url": {"type": "string", "format": "uri"},
                    "method": {"const": "POST"},
                    "fields": {"type": "object", "additionalProperties": TEXT},
                    "file_field": {"const": "file"},
                    "max_bytes": {"type": "integer"},
                    "expires_at": {"type": "string", "format": "date-time"},
                    "confirm": {"type": "string", "format": "uri"},
                    "ticket": TEXT,
                },
            },
            "ticket",
        ),
        **problems(401, 403, 422, 501, 503),
    },
    "openapi_extra": {
        "parameters": [one for one in _PARAMETERS if one["name"] in {"person_id", "Idempotency-Key"}]
    },
}
UPLOAD: Final[dict[str, Any]] = {
    "summary": "Upload an image with a ticket",
    "description": "No token: the ticket is the permission. It changes nobody until it is confirmed.",
    "responses": {
        201: {"description": "Kept, and waiting to be confirmed"},
        **{status: _FILE_PROBLEMS[status] for status in (400, 409, 413, 415, 422, 501, 503)},
    },
    "openapi_extra": {
        "requestBody": _FILE,
        "parameters": [
            {"name": "ticket", "in": "query", "required": True, "schema": TEXT, "description": "As given"}
        ],
    },
}
CONFIRM: Final[dict[str, Any]] = {
    "summary": "Make an uploaded image a person's",
    "description": (
        "Scope `people:write`, and the subject that got the ticket. Checks what was uploaded; repeated, it "
        "is the same command."
    ),
    "responses": {
        **_APPLIED,
        **problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 501, 503),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "type": "object",
                        "required": ["ticket"],
                        "additionalProperties": False,
                        "properties": {"ticket": TEXT},
                    }
                }
            },
        },
        "parameters": _PARAMETERS,
    },
}
