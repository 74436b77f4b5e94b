"""A body is read in bounded memory and time, whoever sends it."""

import asyncio
import gzip
import json
import zlib

import pytest
from fastapi import Request
from pydantic import BaseModel, ConfigDict

from events.errors import BodyTooLarge, InvalidFields, MalformedBody, UnsupportedMediaType
from service_kit.http import bodies
from service_kit.http.bodies import MAX_BODY_BYTES, body_bytes, read_body, repeated_key


def request(*messages: dict) -> Request:
    """Return a request whose body comes in these messages, and then no more."""
    left = iter(messages)

    async def receive() -> dict:
        try:
            return next(left)
        except StopIteration:
            await asyncio.Event().wait()
            raise

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def part(body: bytes, *, more: bool = True) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_may_come_in_parts():
    assert await body_bytes(request(part(b"{"), part(b"}", more=False))) == b"{}"


async def test_no_more_is_taken_than_a_body_may_have():
    with pytest.raises(BodyTooLarge):
        await body_bytes(request(part(b"x" * MAX_BODY_BYTES), part(b"x")))


async def test_a_client_that_leaves_or_says_no_more_is_given_up(monkeypatch):
    with pytest.raises(MalformedBody, match="cut off"):
        await body_bytes(request(part(b"{"), {"type": "http.disconnect"}))
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    async with asyncio.timeout(60):
        with pytest.raises(MalformedBody, match="did not come within"):
            await body_bytes(request(part(b"{")))


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = ""
    number: int = 0


async def read(body: bytes, *headers: tuple[str, str]) -> Form:
    given = request(part(body, more=False))
    given.scope["headers"] = [(name.lower().encode(), value.encode()) for name, value in headers]
    return await read_body(given, Form, ("application/json",))


def packed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


NAME = "Ángela: Łucja"
JSON = json.dumps({"name": NAME}, ensure_ascii=False)
LATIN = JSON.replace("Łucja", "Lucía")


def sent_as(charset: str) -> tuple[str, str]:
    return "Content-Type", f"application/json; charset={charset}"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (JSON.encode(), []),
        (JSON.encode(), [sent_as("utf-8")]),
        (JSON.encode(), [sent_as('"UTF-8"')]),
        (JSON.encode("utf-8-sig"), []),
        (JSON.encode("utf-16"), []),
        (JSON.encode("utf-16"), [sent_as("utf-16")]),
        (JSON.encode("utf-16-be"), [sent_as("utf-16be")]),
        (b"\xfe\xff" + JSON.encode("utf-16-be"), []),
        (json.dumps({"name": NAME}).encode(), [sent_as("US-ASCII")]),
        (packed(JSON.encode()), [("Content-Encoding", "gzip")]),
        (packed(JSON.encode("utf-8-sig")), [("Content-Encoding", "identity, X-GZIP")]),
        (packed(JSON.encode()[:9]) + packed(JSON.encode()[9:]), [("Content-Encoding", "gzip")]),
        (JSON.encode(), [("Content-Encoding", "identity")]),
    ],
)
async def test_a_body_means_the_same_in_every_form(body, headers):
    assert (await read(body, *headers)).name == NAME


@pytest.mark.parametrize("charset", ["iso-8859-1", "ISO-8859-15", "windows-1252"])
async def test_a_charset_of_one_byte_is_obeyed_unless_the_body_is_utf_8(charset):
    assert (await read(LATIN.encode("latin-1"), sent_as(charset))).name == "Ángela: Lucía"
    with pytest.raises(UnsupportedMediaType, match="is in UTF-8"):
        await read(LATIN.encode(), sent_as(charset))


@pytest.mark.parametrize(
    ("body", "headers", "codings"),
    [
        (b"{}", [("Content-Encoding", "gzip")], ("gzip",)),
        (b"{}", [("Content-Encoding", "br")], ("gzip",)),
        (zlib.compress(b"{}"), [("Content-Encoding", "deflate")], ("gzip",)),
        (packed(packed(b"{}")), [("Content-Encoding", "gzip, gzip")], ("gzip",)),
        (packed(b"{}"), [("Content-Encoding", "gzip"), ("Content-Encoding", "br")], ("gzip",)),
        (packed(b"{}"), [], ("gzip",)),
        (b"{}", [("Content-Type", "text/plain")], ()),
        (b"{}", [sent_as("koi8-r")], ()),
        (JSON.encode(), [sent_as("us-ascii")], ()),
        (b"{} ", [sent_as("utf-16")], ()),
    ],
)
async def test_a_body_unlike_what_its_headers_say_is_refused(body, headers, codings):
    with pytest.raises(UnsupportedMediaType) as refused:
        await read(body, *headers)
    assert refused.value.codings == codings


@pytest.mark.parametrize("body", [packed(b"{}")[:-5], packed(b"{}") + b"{}", b"\x1f\x8b{}", b"\x1f\x8b"])
async def test_what_cannot_be_unpacked_is_malformed(body):
    with pytest.raises(MalformedBody):
        await read(body, ("Content-Encoding", "gzip"))


async def test_a_body_may_be_no_larger_when_it_is_unpacked():
    with pytest.raises(BodyTooLarge):
        await read(packed(b" " * (MAX_BODY_BYTES + 1)), ("Content-Encoding", "gzip"))
    with pytest.raises(BodyTooLarge):
        await read(packed(b" " * MAX_BODY_BYTES) + packed(b"{}"), ("Content-Encoding", "gzip"))


@pytest.mark.parametrize(
    "body",
    [
        b'{"name":"a","name":"b"}',
        b'{"name":"a","name":"a"}',
        b'{"name":"a","na\\u006de":"b"}',
        b'{"name":"a:","number":1,"number":1}',
        b'{"other":1,"other":2}',
        b'{"name":{"a":1,"a":2}}',
        b'[{"a":1,"a":2}]',
        b'{"number":' + b"9" * 4299 + b',"number":1}',
    ],
)
async def test_a_key_that_is_there_twice_is_malformed(body):
    with pytest.raises(MalformedBody, match="twice"):
        await read(body)


async def test_colons_in_values_are_no_keys():
    assert (await read(b'{"name":"a:b:\\":"}')).name == 'a:b:":'
    with pytest.raises(InvalidFields):
        await read(b'{"name":{"a":1,"b":2}}')


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{'a':1}", b"\xff{}", b'{"name":"\xff"}', b"[" * 60_000, b"\x00"]
)
async def test_what_is_no_json_is_malformed_in_our_words(body):
    with pytest.raises(MalformedBody, match="^the body is no JSON"):
        await read(body)


def test_a_repeated_key_is_named():
    assert repeated_key('{"a":[{"b":1},{"b":1}],"c":{"a":1}}') is None
    assert repeated_key('{"a":[{"b":1,"b":2}]}') == "b"
