"""Takes in one uploaded picture: how many at once, how many bytes, how long, and in which thread."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from command_api.images.pictures import picture_of
from events.errors import BodyTooLarge, InvalidFields, MalformedBody, Unavailable, UnsupportedMediaType
from service_kit.http.bodies import refuse_packed_form
from service_kit.images import Picture
from service_kit.images.model import MAX_FILE_BYTES
from service_kit.slots import Slots

AT_ONCE: Final = 8
"""So many uploads hold `MAX_BODY_BYTES` each."""
MAX_BODY_BYTES: Final = MAX_FILE_BYTES + 16 * 1024
"""The file, and the form around it."""
READ_SECONDS: Final = 30.0
DECODE_SECONDS: Final = 30.0
_FORM: Final = "multipart/form-data"
_FIELD: Final = "file"


class _Form(MultiPartParser):
    """A form that stays in memory: all of it is less than what is spooled to a disk."""

    spool_max_size = MAX_BODY_BYTES


class Uploads:
    """Lets in so many uploads at once, and refuses the others.

    Args:
        at_once: How many.
    """

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._slots = Slots(at_once, lambda: Unavailable("too many images are uploaded at the moment"))
        # One: a picture of 25 megapixels takes up to 450 MB while it is decoded.
        self._decoder = ThreadPoolExecutor(1, thread_name_prefix="pictures")

    def close(self) -> None:
        """Decode nothing more."""
        self._decoder.shutdown(wait=False, cancel_futures=True)

    def slot(self) -> AbstractContextManager[None]:
        """Hold a slot for as long as the block runs.

        Raises:
            Unavailable: None is free.
        """
        return self._slots.taken()

    async def picture(self, request: Request) -> Picture:
        """Return the picture in a request's form.

        Raises:
            UnsupportedMediaType: The request is no form, or the file no picture of a known format.
            BodyTooLarge: The file has more than `MAX_FILE_BYTES`.
            MalformedBody: The form cannot be read, or does not come in time.
            InvalidFields: It has other fields than one file, or the picture is not good.
            Unavailable: It was not decoded in time, because others are before it.
        """
        content = await _file_of(request)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DECODE_SECONDS):
                return await loop.run_in_executor(self._decoder, picture_of, content)
        except TimeoutError:
            raise Unavailable("too many images are decoded at the moment") from None


async def _file_of(request: Request) -> bytes:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != _FORM:
        raise UnsupportedMediaType(f"send {_FORM} with the image as the field {_FIELD}")
    refuse_packed_form(request.headers)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(READ_SECONDS):
            parser = _Form(request.headers, _bounded(request), max_files=1, max_fields=0)
            form = await parser.parse()
    except MultiPartException as exc:
        raise _form_error(exc.message) from exc
    except ClientDisconnect as exc:
        raise MalformedBody("the body was cut off") from exc
    except TimeoutError:
        raise MalformedBody(f"the body did not come within {READ_SECONDS:g} s") from None
    file = form.get(_FIELD)
    if not isinstance(file, UploadFile):
        await form.close()
        raise InvalidFields("the form is not valid", [{"field": _FIELD, "reason": "is missing"}])
    try:
        content = await file.read()
    finally:
        await form.close()
    if len(content) > MAX_FILE_BYTES:
        raise _too_large()
    return content


async def _bounded(request: Request) -> AsyncGenerator[bytes, None]:
    taken = 0
    async for chunk in request.stream():
        taken += len(chunk)
        if taken > MAX_BODY_BYTES:
            raise _too_large()
        yield chunk


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"the image may have {MAX_FILE_BYTES:,} bytes")


def _form_error(reason: str) -> MalformedBody | InvalidFields:
    if reason.startswith("Too many"):
        error = {"field": "body", "reason": f"must be one file, named {_FIELD}, and nothing else"}
        return InvalidFields("the form is not valid", [error])
    return MalformedBody("the form is not as its Content-Type says")
