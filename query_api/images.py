"""Owns serving images from GridFS: by ids that nobody can guess, without a token, for ever the same.

A page's `<img>` sends no token, so the id is the permission (docs/adr/0030). RFC 9110 sections 13 and 14 say
what conditions and ranges mean.
"""

import re
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import Response

from events.errors import NotFound
from query_api import image_documentation as doc
from query_api.people import matches
from service_kit.images.gridfs import THUMBNAIL, GridFsReader
from service_kit.problems import problem
from service_kit.web import PlainRoute, path_id

_RANGE: Final = re.compile(r"bytes=(\d{0,15})-(\d{0,15})", re.IGNORECASE)
_ALWAYS: Final = {
    "Accept-Ranges": "bytes",
    # For ever in the browser; in no cache that many share, since a person may want to be forgotten.
    "Cache-Control": "private, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True)
class Span:
    """The bytes that a `Range` header asks for: from one on, up to another, or the last so many.

    Attributes:
        first: The first one; None for the last `last`.
        last: The last one; None for all that follow.
    """

    first: int | None
    last: int | None

    @classmethod
    def read(cls, header: str | None) -> "Span | None":
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
    app.router.route_class = PlainRoute

    @app.head("/images/{image_id}", include_in_schema=False)
    @app.get("/images/{image_id}", tags=["images"], **doc.IMAGE)
    async def image(request: Request) -> Response:
        return await _serve(request, reader, path_id(request, "image_id"))

    @app.head("/images/{image_id}/thumbnail", include_in_schema=False)
    @app.get("/images/{image_id}/thumbnail", tags=["images"], **doc.THUMBNAIL)
    async def thumbnail(request: Request) -> Response:
        return await _serve(request, reader, path_id(request, "image_id") + THUMBNAIL)


async def _serve(request: Request, reader: GridFsReader, file_id: str) -> Response:
    etag = f'"{file_id.replace("/", "-")}"'
    known = matches(request.headers.get("if-none-match", ""), etag)
    reads = request.method == "GET" and not known
    span = None
    if reads and request.headers.get("if-range", etag) == etag:
        span = Span.read(request.headers.get("range"))

    def bounds(length: int) -> tuple[int, int] | None:
        return span.within(length) if span else (0, length if reads else 0)

    part = await reader.read(file_id, bounds)
    if part is None:
        raise NotFound("there is no such image, or no more")
    headers = {**_ALWAYS, "ETag": etag}
    if known:
        return Response(status_code=304, headers=headers)
    if part.bounds is None:
        return _beyond(part.length)
    start, end = part.bounds
    if span is None:
        return Response(part.content, 200, {**headers, "Content-Length": str(part.length)}, part.media_type)
    headers["Content-Range"] = f"bytes {start}-{end - 1}/{part.length}"
    return Response(part.content, 206, headers, part.media_type)


def _beyond(length: int) -> Response:
    headers = {"Content-Range": f"bytes */{length}"}
    title = "The range lies beyond the end"
    return problem(416, "range-not-satisfiable", title, f"the image has {length} bytes", headers=headers)
