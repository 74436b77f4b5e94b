"""Between two pieces of heavy work, whoever does them, light work has the event loop for some rounds."""

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise
from types import SimpleNamespace

from service_kit.pieces import ROUNDS, next_piece


@asynccontextmanager
async def counted():
    """Count how often the loop goes round."""
    loop = SimpleNamespace(rounds=0)

    async def count() -> None:
        while True:
            loop.rounds += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    try:
        yield loop
    finally:
        counting.cancel()


async def test_pieces_of_all_who_do_heavy_work_lie_apart_and_take_turns():
    done: list[tuple[str, int]] = []
    async with counted() as loop:

        async def work(name: str) -> None:
            for _ in range(3):
                await next_piece()
                done.append((name, loop.rounds))

        await asyncio.gather(*map(work, "abc"))
    assert "".join(name for name, _ in done) == "abcabcabc"
    rounds = [round_ for _, round_ in done]
    assert all(later - earlier >= ROUNDS for earlier, later in pairwise(rounds))


async def test_who_gives_up_keeps_nobody_waiting():
    async with counted():
        first, second = (asyncio.create_task(next_piece()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        async with asyncio.timeout(10):
            await second


def test_each_event_loop_has_its_own_turns():
    async def two() -> None:
        await asyncio.gather(next_piece(), next_piece())

    asyncio.run(two())
    asyncio.run(two())
