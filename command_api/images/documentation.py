"""What OpenAPI says of the routes of images beyond their types: headers of commands, files, problems."""

from typing import Any, Final

from command_api.images.answers import UploadedImage, UploadTicket
from command_api.images.requests import Confirmation, ImageFile
from command_api.people.documentation import CHANGE_HEADERS, PeopleDocuments
from events.person.schema.declarations import PersonSchema
from service_kit.http.openapi import TEXT, json_answer, json_body, problems, schemas_of

_FILE: Final = json_body(ImageFile, "multipart/form-data")
_FILE["content"]["multipart/form-data"]["encoding"] = {
    "file": {"contentType": "image/png, image/jpeg, image/webp"}
}
FORMS: Final = schemas_of(ImageFile, Confirmation)
"""The schemas of the bodies."""
_FILE_PROBLEMS: Final = {
    **problems(400, 401, 403, 404, 409, 410, 412, 413, 415, 422, 501, 503),
    413: {**problems(413)[413], "description": "The file has more than 2 MB"},
    415: {**problems(415)[415], "description": "No form, or the file is no PNG, JPEG or WebP"},
    422: {**problems(422)[422], "description": "More than 25 megapixels, broken, or not one field `file`"},
}
_COMMAND: Final[dict[str, Any]] = {"tags": ["images"], "status_code": 202}
UPLOAD_TICKET: Final[dict[str, Any]] = {
    "tags": ["images"],
    "responses": {
        200: json_answer("The ticket", UploadTicket, "ticket"),
        **problems(401, 403, 422, 501, 503),
    },
    "openapi_extra": {"parameters": [one for one in CHANGE_HEADERS if one["name"] == "Idempotency-Key"]},
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


class ImageDocuments:
    """What OpenAPI says of the routes that answer with a person of a schema.

    Args:
        schema: What a person is.

    Attributes:
        change: Of the route that changes an image.
        remove: Of the one that removes it.
        confirm: Of the one that makes an uploaded image a person's.
    """

    def __init__(self, schema: PersonSchema) -> None:
        responses = PeopleDocuments(schema).update["responses"]
        applied = {status: responses[status] for status in (200, 202)}
        self.change: dict[str, Any] = {
            **_COMMAND,
            "responses": {**applied, **_FILE_PROBLEMS},
            "openapi_extra": {"requestBody": _FILE, "parameters": CHANGE_HEADERS},
        }
        self.remove: dict[str, Any] = {
            **_COMMAND,
            "responses": {**applied, **problems(401, 403, 404, 410, 412, 422, 503)},
            "openapi_extra": {"parameters": CHANGE_HEADERS},
        }
        self.confirm: dict[str, Any] = {
            **_COMMAND,
            "responses": {
                **applied,
                **problems(400, 401, 403, 404, 409, 410, 412, 413, 415, 422, 501, 503),
            },
            "openapi_extra": {"requestBody": json_body(Confirmation), "parameters": CHANGE_HEADERS},
        }
