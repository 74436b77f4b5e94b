"""Serves images from GridFS: by ids that nobody can guess, without a token, each always the same.

A page's `<img>` sends no token, so the id is the permission (docs/adr/0030). RFC 9110 sections 13 and 14 say
what conditions and ranges mean.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, Path, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from events.errors import NotFound
from events.images.errors import OtherImage
from query_api.reading.forms import Consistency
from service_kit.http.conditions import ENTITY_TAGS, expected_tags, is_known
from service_kit.http.guard import POLICY, is_head
from service_kit.http.openapi import TEXT, problems
from service_kit.http.problems import problem
from service_kit.http.reasons import Language, language_of
from service_kit.http.typed import PathId
from service_kit.images.gridfs_reader import GridFsReader

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.IGNORECASE)
_ALWAYS: Final = {
    "Accept-Ranges": "bytes",
    # A day in the browser, since a person may want to be forgotten, and for that in no cache that many share.
    "Cache-Control": "private, max-age=86400, immutable",
    "Content-Security-Policy": f"{POLICY}; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}


_CONTENT: Final = {
    media_type: {"schema": {"type": "string", "format": "binary"}}
    for media_type in ("image/jpeg", "image/webp")
}
_HEADERS: Final = {
    "ETag": {
        "description": "The same for ever: an image never changes, another one has another address",
        "schema": TEXT,
    },
    "Cache-Control": {"description": "A day, in the client's own cache", "schema": TEXT},
    "Accept-Ranges": {"description": "`bytes`", "schema": TEXT},
}
_DOCUMENTED: Final[dict[str, Any]] = {
    "tags": ["images"],
    "description": ("No token: whoever knows the address may see it; nobody can guess it. 404 once removed."),
    "response_class": Response,
    "responses": {
        200: {"description": "The image", "content": _CONTENT, "headers": _HEADERS},
        206: {
            "description": "The part of it that `Range` asks for",
            "content": _CONTENT,
            "headers": _HEADERS,
        },
        304: {"description": "The client has it"},
        **problems(404, 416, 422, 503, **{"412": "The image is another one than `If-Match` says"}),
    },
}

ImageId = Annotated[PathId, Path(description="The image's id")]
IfNoneMatch = Annotated[
    str,
    Header(
        alias="If-None-Match",
        description="304 if the client has it.",
        examples=['"0199b1f0-7a10-8c55-8f2b-1d2e3f4a5b6c"'],
    ),
]
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        description="412 if the image is none of these.",
        examples=['"0199b1f0-7a10-8c55-8f2b-1d2e3f4a5b6c"'],
        json_schema_extra=ENTITY_TAGS,
    ),
]
Range = Annotated[str, Header(alias="Range", description="One range of bytes.", examples=["bytes=0-1023"])]


@dataclass(frozen=True, slots=True)
class ByteRange:
    """The bytes that a `Range` header asks for: from one on, up to another, or the last so many.

    Attributes:
        first: The first one; None for the last `last`.
        last: The last one; None for all that follow.
    """

    first: int | None
    last: int | None

    @classmethod
    def read(cls, header: str) -> "ByteRange | None":
        """Return what is asked for; None for everything.

        A header that is not understood, or asks for several ranges, asks for everything (section 14.2).
        """
        match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
        if match is None or match.group(0).endswith("=-"):
            return None
        first, last = (int(text) if text else None for text in match.groups())
        if first is not None and last is not None and last < first:
            return None
        return cls(first, last)

    def within(self, length: int) -> tuple[int, int] | None:
        """Return the first byte and the one after the last; None if there are no such bytes."""
        if self.first is None:
            suffix = min(self.last or 0, length)
            return (length - suffix, length) if suffix else None
        if self.first >= length:
            return None
        return self.first, length if self.last is None else min(self.last + 1, length)


def add_image_routes(app: FastAPI, reader: GridFsReader) -> None:
    """Add the routes that serve images."""
    app.router.route_class = APIRoute

    @app.get("/images/{image_id}", summary="A person's image", **_DOCUMENTED)
    async def get_image(
        request: Request,
        image_id: ImageId,
        consistency: Consistency = "eventual",
        _: IfMatch = "",
        __: IfNoneMatch = "",
        range_: Range = "",
    ) -> Response:
        strong = consistency == "strong"
        return await _serve(request, reader, str(image_id), range_, thumbnail=False, strong=strong)

    @app.get(
        "/images/{image_id}/thumbnail",
        summary="A person's image, square and 256 pixels wide",
        **_DOCUMENTED,
    )
    async def get_thumbnail(
        request: Request,
        image_id: ImageId,
        consistency: Consistency = "eventual",
        _: IfMatch = "",
        __: IfNoneMatch = "",
        range_: Range = "",
    ) -> Response:
        strong = consistency == "strong"
        return await _serve(request, reader, str(image_id), range_, thumbnail=True, strong=strong)


async def _serve(
    request: Request, reader: GridFsReader, image_id: str, range_: str, *, thumbnail: bool, strong: bool
) -> Response:
    tag = f"{image_id}-thumbnail" if thumbnail else image_id
    etag = f'"{tag}"'
    expected = expected_tags(request.headers)
    known = is_known(request.headers, tag)
    reads = not (is_head(request.scope) or known)
    span = None
    if reads and request.headers.get("if-range", etag) == etag:
        span = ByteRange.read(range_)

    def bounds(length: int) -> tuple[int, int] | None:
        return span.within(length) if span else (0, length if reads else 0)

    part = await reader.read(image_id, bounds, thumbnail=thumbnail, strong=strong)
    if part is None:
        raise NotFound("there is no such image, or no more")
    if expected is not None and not expected.matches_strongly(tag):
        raise OtherImage("the image is another one than If-Match says")
    headers = {**_ALWAYS, "ETag": etag}
    if known:
        return Response(status_code=304, headers=headers)
    if part.bounds is None:
        return _beyond(part.length, language_of(request.headers.get("accept-language")))
    start, end = part.bounds
    if span is None:
        return Response(part.content, 200, {**headers, "Content-Length": str(part.length)}, part.media_type)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{part.length}"
    return Response(part.content, 206, headers, part.media_type)


def _beyond(length: int, language: Language) -> Response:
    headers = {"Content-Range": f"bytes */{length}"}
    title = "The range lies beyond the end"
    detail = f"the image has {length} bytes"
    return problem(416, "range-not-satisfiable", title, detail, language, headers=headers)
