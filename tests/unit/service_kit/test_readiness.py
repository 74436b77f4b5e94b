"""Readiness asks the parts of a service once a second, however often it is asked itself."""

import asyncio

from httpx import ASGITransport, AsyncClient

from events.errors import StoreUnavailable
from service_kit.http.readiness import KEPT_SECONDS, ReadinessChecks
from service_kit.http.web import create_app


class Part:
    """A part that counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.well = True

    async def check(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.well:
            raise StoreUnavailable("MongoDB does not answer")


async def test_many_requests_at_once_ask_the_parts_once():
    part, remark = Part(), Part()
    app = create_app("test", {"mongodb": part.check}, remarks={"clock": remark.check})
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert answers[0].json() == {"ready": True, "parts": {"mongodb": "ok"}, "remarks": {"clock": "ok"}}
    assert (part.asked, remark.asked) == (1, 1)


async def test_an_answer_stands_for_a_second_and_no_longer():
    part, now = Part(), 0.0
    checks = ReadinessChecks({"mongodb": part.check}, {}, lambda: now)
    assert (await checks.answer()).ready
    part.well, now = False, KEPT_SECONDS - 0.01
    assert (await checks.answer()).ready
    now = KEPT_SECONDS
    assert not (await checks.answer()).ready
    assert (await checks.answer()).parts == {"mongodb": "MongoDB does not answer"}
    assert part.asked == 2


async def test_one_who_leaves_does_not_take_the_answer_along():
    part = Part()
    checks = ReadinessChecks({"mongodb": part.check}, {})
    first = asyncio.create_task(checks.answer())
    second = asyncio.create_task(checks.answer())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).ready
