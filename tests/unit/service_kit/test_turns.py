"""A few requests of each subject are worked on at once, and those of others wait for none of them."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import httpx
import pytest
from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from service_kit.http import turns as module
from service_kit.http.guard import Limits
from service_kit.http.turns import step_aside, turns_of
from service_kit.http.web import PlainRoute, authorize, create_app
from service_kit.slots import AtOnce
from tests.unit.service_kit.test_guard import Verifier, client


def stage() -> SimpleNamespace:
    """An application that lets in two requests of each subject; they go on once the gate opens."""
    slots = turns_of(AtOnce(8, 2))
    app = create_app("test", {}, limits=Limits({}, turns=slots))
    app.router.route_class = PlainRoute
    at = SimpleNamespace(app=app, slots=slots, gate=asyncio.Event(), inside=0)

    @app.get("/{what}")
    async def answer(request: Request) -> Response:
        # Some routes want a second scope: it is one request all the same.
        for _ in range(2):
            await authorize(request, Verifier(), "people:read")
        at.inside += 1
        if request.path_params["what"] == "aside":
            step_aside()
        elif request.path_params["what"] == "fails":
            raise RuntimeError
        if request.path_params["what"] == "stream":
            return StreamingResponse(chunks())
        await at.gate.wait()
        return Response("done")

    async def chunks():
        yield b"first"
        await at.gate.wait()

    return at


@asynccontextmanager
async def asked(at: SimpleNamespace, *requests: tuple[str, str]):
    """Ask, each as a subject for something; give the tasks once all that can go on has done so."""

    async def ask(subject: str, what: str) -> httpx.Response:
        async with client(at.app, Authorization=subject) as one:
            return await one.get(f"/{what}")

    tasks = [asyncio.create_task(ask(*request)) for request in requests]
    for _ in range(200):
        await asyncio.sleep(0)
    yield tasks
    at.gate.set()
    assert {answer.status_code for answer in await asyncio.gather(*tasks)} <= {200, 500, 503}
    assert at.slots.in_use == 0


async def test_each_subject_has_a_few_at_once_and_nobody_waits_for_anothers():
    at = stage()
    async with asked(at, *[("ada", "x")] * 5, ("grace", "x")):
        assert (at.inside, at.slots.in_use) == (3, 3)
    assert at.inside == 6


@pytest.mark.parametrize("what", ["aside", "stream", "fails"])
async def test_a_turn_ends_with_the_answers_head_at_the_latest(what):
    at = stage()
    async with asked(at, *[("ada", what)] * 4):
        assert (at.inside, at.slots.in_use) == (4, 0)


async def test_who_waits_in_vain_is_told_when_to_come_again(monkeypatch):
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.0)
    at = stage()
    async with asked(at, *[("ada", "x")] * 3) as tasks:
        await asyncio.wait(tasks, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        (refused,) = [task.result() for task in tasks if task.done()]
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["type"] == "urn:rollcall:problem:busy"
