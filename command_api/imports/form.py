"""Takes the one file out of a form (RFC 7578) as it comes, and holds no more of it than came at once."""

import asyncio
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.types import Message, Receive

from command_api.imports.body import IDLE_SECONDS, Cut, silent
from command_api.imports.lines import Unreadable
from events.errors import InvalidFields, MalformedBody
from service_kit.http.bodies import refuse_packed_form

FORM: Final = "multipart/form-data"
_ONE_FILE: Final = "must be one file and nothing else"


class FormFile:
    """The file of a form on its way.

    Args:
        headers: Of the request.
        receive: Gives the form's parts (ASGI).

    Raises:
        MalformedBody: The request does not say what parts its form.
        UnsupportedMediaType: The form is packed as a whole.
    """

    def __init__(self, headers: Headers, receive: Receive) -> None:
        refuse_packed_form(headers)
        self._parser = self._parser_of(headers["content-type"])
        self._receive = receive
        self._more = True
        self._name = self._value = b""
        self._raw: list[tuple[bytes, bytes]] = []
        self._parts = 0
        self._headers: Headers | None = None
        self._content: list[bytes] = []
        self._ended = self._beside = False

    def _parser_of(self, content_type: str) -> MultipartParser:
        callbacks: Any = {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_name,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_content,
            "on_part_data": self._add_content,
            "on_end": self._end,
        }
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        try:
            if boundary:
                return MultipartParser(boundary, callbacks)
        except FormParserError:
            pass  # it is too long
        raise MalformedBody(f"the Content-Type of a form names its boundary: {FORM}; boundary=…")

    async def begin(self) -> Headers:
        """Return the headers of the file, once they have come.

        Raises:
            Cut: The client has gone, or says nothing.
            InvalidFields: The form has another field before a file, or none.
            MalformedBody: It cannot be read.
        """
        try:
            while self._headers is None and not (self._ended or self._beside):
                async with asyncio.timeout(IDLE_SECONDS):
                    message = await self._take()
                if message["type"] == "http.disconnect":
                    raise Cut("the client has gone")
        except TimeoutError:
            raise silent() from None
        except Unreadable as exc:
            raise MalformedBody(exc.reason) from None
        self.check()
        if self._headers is None:
            raise _not_one_file()
        return self._headers

    def check(self) -> None:
        """Return if nothing but the file was found in the form so far.

        Raises:
            InvalidFields: Something was.
        """
        if self._beside:
            raise _not_one_file()

    async def receive(self) -> Message:
        """Return the next part of the file (ASGI).

        Raises:
            Unreadable: The form cannot be read further, or goes on after its file.
        """
        while not self._content:
            if self._beside:
                raise Unreadable("the form goes on after its file: send one file and nothing else")
            if self._ended:
                break
            message = await self._take()
            if message["type"] == "http.disconnect":
                return message
        content, self._content = b"".join(self._content), []
        return {"type": "http.request", "body": content, "more_body": self._beside or not self._ended}

    async def _take(self) -> Message:
        """Read some more of the form, and return what came."""
        if not self._more:
            raise Unreadable("the form has no end: it was cut off")
        message = await self._receive()
        self._more = message.get("more_body", False)
        try:
            self._parser.write(message.get("body", b""))
        except FormParserError:
            raise Unreadable("the form is not as its Content-Type says") from None
        return message

    def _begin_part(self) -> None:
        self._parts += 1
        self._beside = self._parts > 1
        self._raw = []

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._raw.append((self._name.lower(), self._value))
        self._name = self._value = b""

    def _begin_content(self) -> None:
        if self._beside:
            return
        headers = Headers(raw=self._raw)
        _, options = parse_options_header(headers.get("content-disposition", ""))
        if b"filename" in options:
            self._headers = headers
        else:
            self._beside = True

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        if not self._beside:
            self._content.append(data[start:end])

    def _end(self) -> None:
        self._ended = True


def is_form(headers: Headers) -> bool:
    """Return whether a request is a form with a file, as browsers and `curl -F` send one."""
    return headers.get("content-type", "").partition(";")[0].strip().lower() == FORM


def _not_one_file() -> InvalidFields:
    return InvalidFields("the form is not valid", [{"field": "body", "reason": _ONE_FILE}])
