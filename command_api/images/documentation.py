"""What OpenAPI says of the routes of images beyond their types: headers of commands, files, problems."""

from typing import Any, Final

from command_api.images.answers import UploadedImage, UploadTicket
from command_api.images.requests import Confirmation, ImageFile
from command_api.people.documentation import UPDATE
from service_kit.http.openapi import TEXT, json_answer, json_body, problems, schemas_of

_HEADERS: Final[list[dict[str, Any]]] = [
    one for one in UPDATE["openapi_extra"]["parameters"] if one["in"] == "header"
]
_APPLIED: Final = {status: UPDATE["responses"][status] for status in (200, 202)}
_FILE: Final = json_body(ImageFile, "multipart/form-data")
_FILE["content"]["multipart/form-data"]["encoding"] = {
    "file": {"contentType": "image/png, image/jpeg, image/webp"}
}
FORMS: Final = schemas_of(ImageFile, Confirmation)
"""The schemas of the bodies."""
_FILE_PROBLEMS: Final = {
    **problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 501, 503),
    413: {**problems(413)[413], "description": "The file has more than 2 MB"},
    415: {**problems(415)[415], "description": "No form, or the file is no PNG, JPEG or WebP"},
    422: {**problems(422)[422], "description": "More than 25 megapixels, broken, or not one field `file`"},
}
_COMMAND: Final[dict[str, Any]] = {"tags": ["images"], "status_code": 202}
CHANGE_IMAGE: Final[dict[str, Any]] = {
    **_COMMAND,
    "responses": {**_APPLIED, **_FILE_PROBLEMS},
    "openapi_extra": {"requestBody": _FILE, "parameters": _HEADERS},
}
REMOVE_IMAGE: Final[dict[str, Any]] = {
    **_COMMAND,
    "responses": {**_APPLIED, **problems(401, 403, 404, 412, 422, 503)},
    "openapi_extra": {"parameters": _HEADERS},
}
UPLOAD_TICKET: Final[dict[str, Any]] = {
    "tags": ["images"],
    "responses": {
        200: json_answer("The ticket", UploadTicket, "ticket"),
        **problems(401, 403, 422, 501, 503),
    },
    "openapi_extra": {"parameters": [one for one in _HEADERS if one["name"] == "Idempotency-Key"]},
}
UPLOAD: Final[dict[str, Any]] = {
    "tags": ["images"],
    "status_code": 201,
    "responses": {
        201: json_answer("Kept, and waiting to be confirmed", UploadedImage, "uploaded"),
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
    **_COMMAND,
    "responses": {
        **_APPLIED,
        **problems(400, 401, 403, 404, 409, 412, 413, 415, 422, 501, 503),
    },
    "openapi_extra": {"requestBody": json_body(Confirmation), "parameters": _HEADERS},
}
