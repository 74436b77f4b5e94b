"""Where a request ends: what two servers could understand in two ways is refused, and nothing hides behind it."""

import asyncio

import pytest

from tests.unit.service_kit.test_guard import served

HEAD = b"POST /who HTTP/1.1\r\nHost: x\r\nAuthorization: ada\r\n"
HIDDEN = b"GET /who HTTP/1.1\r\nHost: x\r\nAuthorization: eve\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


async def answers_to(requests: bytes) -> bytes:
    """Return all that is answered until the connection ends."""
    async with served() as port, asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(requests)
        answers = await reader.read()
        writer.close()
        return answers


async def test_requests_with_one_end_each_are_answered_one_after_the_other():
    last = HIDDEN.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    for first in (HEAD + b"Content-Length: 4\r\n\r\nbody", HEAD + CHUNKED + b"\r\n4\r\nbody\r\n0\r\n\r\n"):
        answers = await answers_to(first + last)
        assert answers.startswith(b"HTTP/1.1 405 ")
        assert answers.endswith(b"eve")


@pytest.mark.parametrize(
    "request_",
    [
        HEAD + CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n" + HIDDEN,
        HEAD + b"Content-Length: 0, 5\r\n\r\n" + HIDDEN,
        HEAD + b"Content-Length: +0\r\n\r\n" + HIDDEN,
        HEAD + b"Content-Length: -1\r\n\r\n" + HIDDEN,
        HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
        HEAD + b"X-Folded: a\r\n " + CHUNKED + b"\r\n" + HIDDEN,
        HEAD + CHUNKED + b"\r\n0x1\r\nz\r\n0\r\n\r\n" + HIDDEN,
        HEAD + CHUNKED + b"\r\n-1\r\n\r\n" + HIDDEN,
        HEAD + b"X-Bare: a\rContent-Length: 0\r\n\r\n" + HIDDEN,
        HEAD + b"X-Nul: a\x00b\r\n\r\n" + HIDDEN,
        b"POST /who HTTP/1.1\nHost: x\nContent-Length: 0\n\n" + HIDDEN,
    ],
    ids=lambda text: repr(text[len(HEAD) :][:40]),
)
async def test_a_request_with_two_ends_is_refused_and_nothing_after_it_is_read(request_):
    answers = await answers_to(request_)
    assert answers.startswith(b"HTTP/1.1 400 "), answers[:300]
    assert answers.count(b"HTTP/1.1 ") == 1
    assert b"eve" not in answers
