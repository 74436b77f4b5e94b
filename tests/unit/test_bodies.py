"""A body is read in bounded memory and time, whoever sends it."""

import asyncio

import pytest
from fastapi import Request

from command_api import people
from command_api.people import MAX_BODY_BYTES
from events.errors import BodyTooLarge, MalformedBody


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
    assert await people._body(request(part(b"{"), part(b"}", more=False))) == b"{}"


async def test_no_more_is_taken_than_a_body_may_have():
    with pytest.raises(BodyTooLarge):
        await people._body(request(part(b"x" * MAX_BODY_BYTES), part(b"x")))


async def test_a_client_that_leaves_or_says_no_more_is_given_up(monkeypatch):
    with pytest.raises(MalformedBody, match="cut off"):
        await people._body(request(part(b"{"), {"type": "http.disconnect"}))
    monkeypatch.setattr(people, "BODY_SECONDS", 0.05)
    async with asyncio.timeout(5):
        with pytest.raises(MalformedBody, match="did not come within"):
            await people._body(request(part(b"{")))
