"""Reads JSON bodies: in bounded memory and time, unpacked, in UTF-8, with each key once."""

import asyncio
import json
import re
import zlib
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect

from events.errors import BodyTooLarge, InvalidFields, MalformedBody, UnsupportedMediaType
from service_kit.http.problems import field_errors, names_of

MAX_BODY_BYTES: Final = 64 * 1024
"""As it is sent, and unpacked."""
BODY_SECONDS: Final = 30.0
CODINGS: Final = ("gzip",)

_GZIP: Final = b"\x1f\x8b"
_MARKS: Final = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_CODECS: Final = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8"),
    "utf-16": "utf-16",
    "utf-16le": "utf-16-le",
    "utf-16be": "utf-16-be",
    **dict.fromkeys(("us-ascii", "ascii"), "ascii"),
    # Read as browsers do (https://encoding.spec.whatwg.org/#names-and-labels).
    **dict.fromkeys(("iso-8859-1", "latin1", "windows-1252", "cp1252"), "cp1252"),
    **dict.fromkeys(("iso-8859-15", "latin-9"), "iso8859-15"),
}
_PLACE: Final = re.compile(r"at line (\d+) column (\d+)")

Form = TypeVar("Form", bound=BaseModel)


async def read_body(
    request: Request,
    form: type[Form],
    media_types: tuple[str, ...],
    context: Mapping[str, Any] | None = None,
    most: int = MAX_BODY_BYTES,
) -> Form:
    """Return a request's JSON body as the given form.

    Args:
        request: The request.
        form: What the body must be.
        media_types: What it may be sent as; without a content type it is the first.
        context: For the form's validators.
        most: Bytes that it may have, as it is sent and unpacked.

    Raises:
        UnsupportedMediaType: It is sent as something else, or in a coding or charset that is not read.
        BodyTooLarge: Over `most`; no more than that is ever held.
        MalformedBody: Not JSON, with a key twice, cut off, or not there in time.
        InvalidFields: JSON that is not the form; names each field that is wrong.
    """
    headers = request.headers
    charset = _charset(headers.get("content-type", media_types[0]), media_types)
    packed = "content-encoding" in headers and is_packed(headers)
    body = _plain(await body_bytes(request, most), packed=packed, charset=charset, most=most)
    try:
        content = form.model_validate_json(body, context=context)
    except ValidationError as exc:
        first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        if first["type"] == "json_invalid":
            raise MalformedBody(_not_json(first["msg"])) from None
        _refuse_repeated_keys(body)
        raise InvalidFields("the body is not valid", field_errors(exc, names_of(form))) from None
    # Each key has a colon: with as many as there are fields, none is there twice.
    if body.count(b":") != len(content.model_fields_set):
        _refuse_repeated_keys(body)
    return content


def is_packed(headers: Headers) -> bool:
    """Return whether a body comes as gzip, by its `Content-Encoding` (RFC 9110, section 8.4).

    Raises:
        UnsupportedMediaType: It comes in a coding that is not read.
    """
    codings = [one.strip().lower() for one in ",".join(headers.getlist("content-encoding")).split(",")]
    wanted = [coding for coding in codings if coding not in ("", "identity")]
    if wanted not in ([], ["gzip"], ["x-gzip"]):
        raise UnsupportedMediaType("send the body as it is, or packed with gzip", CODINGS)
    return bool(wanted)


def refuse_packed_form(headers: Headers) -> None:
    """Return if a form comes as it is.

    Raises:
        UnsupportedMediaType: It is packed.
    """
    if is_packed(headers):
        raise UnsupportedMediaType("send the form as it is", ("identity",))


def not_packed() -> UnsupportedMediaType:
    """Return the error that a body is not gzip, though its headers say so."""
    return UnsupportedMediaType("the body is not gzip, though its Content-Encoding says so", CODINGS)


async def body_bytes(request: Request, most: int = MAX_BODY_BYTES) -> bytes:
    """Return a request's body as it is sent, of at most so many bytes.

    Raises:
        BodyTooLarge: Over `most`; no more than that is ever held.
        MalformedBody: It is cut off, or not there in time.
    """
    declared = request.headers.get("content-length", "")
    body = b""
    try:
        if not (declared.isdigit() and int(declared) > most):
            async with asyncio.timeout(BODY_SECONDS):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > most:
                        break
                else:
                    return body
    except ClientDisconnect as exc:
        raise MalformedBody("the body was cut off") from exc
    except TimeoutError:
        raise MalformedBody(f"the body did not come within {BODY_SECONDS:g} s") from None
    raise _too_large(most)


def _charset(content_type: str, media_types: tuple[str, ...]) -> str | None:
    """Return the codec that a content type names; None if it names none.

    Raises:
        UnsupportedMediaType: It is another type, or its charset is not known.
    """
    name, *parameters = content_type.split(";")
    if name.strip().lower() not in media_types:
        raise UnsupportedMediaType(f"send one of {', '.join(media_types)}")
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            codec = _CODECS.get(value.strip(' "').lower())
            if codec is None:
                raise UnsupportedMediaType("the charset is not known here: send the body in UTF-8")
            return codec
    return None


def _plain(body: bytes, *, packed: bool, charset: str | None, most: int) -> bytes:
    """Return a body as JSON is read: unpacked, in UTF-8, without a byte order mark."""
    if body[:1] == b"{" and not packed and charset in (None, "utf-8"):
        return body  # as most come
    if packed and not body.startswith(_GZIP):
        raise not_packed()
    if body.startswith(_GZIP) and not packed:
        raise UnsupportedMediaType("the body is gzip, and its Content-Encoding does not say so", CODINGS)
    if packed:
        body = _unpacked(body, most)
    codec = next((codec for mark, codec in _MARKS.items() if body.startswith(mark)), charset)
    if codec in (None, "utf-8"):
        return body.removeprefix(b"\xef\xbb\xbf")
    if codec in ("cp1252", "iso8859-15") and not body.isascii() and _is_utf8(body):
        raise UnsupportedMediaType(
            "the body is in UTF-8, and its charset says something else: leave that out"
        )
    try:
        text = body.decode(str(codec))
    except UnicodeDecodeError as exc:
        raise UnsupportedMediaType(f"the body is not in its charset, from byte {exc.start} on") from None
    return text.removeprefix("\ufeff").encode()


def _unpacked(body: bytes, most: int) -> bytes:
    content = b""
    try:
        while body.startswith(_GZIP):
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            content += member.decompress(body, most + 1 - len(content))
            if len(content) > most:
                raise _too_large(most)
            if not member.eof:
                raise MalformedBody("the packed body was cut off")
            body = member.unused_data
    except zlib.error:
        raise MalformedBody("the body cannot be unpacked") from None
    if body:
        raise MalformedBody("something follows the packed body")
    return content


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _too_large(most: int) -> BodyTooLarge:
    return BodyTooLarge(f"send at most {most} bytes")


def _not_json(words: str) -> str:
    """Return in our words where a body is no JSON; the parser's words end with the place."""
    place = _PLACE.search(words)
    return f"the body is no JSON, at line {place[1]}, column {place[2]}" if place else "the body is no JSON"


def _refuse_repeated_keys(body: bytes) -> None:
    key = repeated_key(body)
    if key is not None:
        raise MalformedBody(f"the body has the key {key[:100]} twice")


def repeated_key(text: bytes | str) -> str | None:
    """Return a key that an object in a JSON text has twice; None if there is none.

    Parsers differ in which of the two counts (RFC 8259, section 4).

    Raises:
        ValueError: It is no JSON.
    """
    repeated: list[str] = []

    def look(pairs: list[tuple[str, Any]]) -> None:
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                repeated.append(name)
            names.add(name)

    # Numbers need not be read: one of many digits would take long.
    json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str, parse_constant=str)
    return repeated[0] if repeated else None
