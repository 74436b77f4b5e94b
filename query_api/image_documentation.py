"""Owns what the OpenAPI document says of the routes that serve images."""

from typing import Any, Final

from service_kit.openapi import TEXT, header, in_path, problems

_CONTENT: Final = {
    media_type: {"schema": {"type": "string", "format": "binary"}}
    for media_type in ("image/jpeg", "image/webp")
}
_HEADERS: Final = {
    name: {"description": description, "schema": TEXT}
    for name, description in (
        ("ETag", "The same for ever: an image never changes, another one has another address"),
        ("Cache-Control", "A year, in the client's own cache"),
        ("Accept-Ranges", "`bytes`"),
    )
}
IMAGE: Final[dict[str, Any]] = {
    "summary": "A person's image",
    "description": "No token: whoever knows the address may see it; nobody can guess it. 404 once removed.",
    "responses": {
        200: {"description": "The image", "content": _CONTENT, "headers": _HEADERS},
        206: {
            "description": "The part of it that `Range` asks for",
            "content": _CONTENT,
            "headers": _HEADERS,
        },
        304: {"description": "The client has it"},
        **problems(404, 416, 422, 503),
    },
    "openapi_extra": {
        "parameters": [
            in_path("image_id", "The image's id"),
            header("If-None-Match", "304 if the client has it.", '"0199b1f0-7a10-8c55-8f2b-1d2e3f4a5b6c"'),
            header("Range", "One range of bytes.", "bytes=0-1023"),
        ]
    },
}
THUMBNAIL: Final[dict[str, Any]] = {**IMAGE, "summary": "A person's image, square and 256 pixels wide"}
