"""Tasks end when they are to, also those that keep a cancellation to themselves."""

import asyncio
from contextlib import suppress

import pytest

from events.errors import BrokerUnavailable
from service_kit import tasks
from service_kit.tasks import end, together


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(tasks, "CANCEL_SECONDS", 0.05)


async def deaf() -> None:
    """Keep the first cancellation to itself."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def fails(exc: Exception) -> None:
    await asyncio.sleep(0)
    raise exc


async def test_what_keeps_a_cancellation_to_itself_is_cancelled_again():
    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await end([task])
    assert task.cancelled()


@pytest.mark.parametrize("error", [BrokerUnavailable("lost"), IndexError("ours")])
async def test_the_first_error_ends_the_others(error):
    async with asyncio.timeout(60):
        with pytest.raises(type(error)):
            await together(deaf(), fails(error), asyncio.sleep(60))


async def test_works_that_return_wait_for_each_other():
    done = []

    async def returns(seconds: float) -> None:
        await asyncio.sleep(seconds)
        done.append(seconds)

    await together(returns(0.02), returns(0))
    assert done == [0, 0.02]


async def test_a_fault_of_ours_is_told_before_what_is_merely_away():
    async with asyncio.timeout(60):
        with pytest.raises(IndexError):
            await together(fails(BrokerUnavailable("lost")), fails(IndexError("ours")))


async def test_whoever_is_cancelled_ends_its_works_and_then_itself():
    works, begun = [], asyncio.Event()

    async def work() -> None:
        works.append(asyncio.current_task())
        if len(works) == 2:
            begun.set()
        await deaf()

    task = asyncio.create_task(together(work(), work()))
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()  # again, while it waits for them
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await task
    assert all(one.done() for one in works)
