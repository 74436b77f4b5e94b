"""Who comes too late is refused or waits its turn, and a slot comes free however its block ends."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from events.errors import Busy
from service_kit.slots import WAITING, AtOnce, Slots


def busy() -> Busy:
    return Busy("full", retry_after=3)


def test_more_than_there_are_slots_are_refused():
    slots = Slots(2, busy)
    slots.take()
    slots.take()
    with pytest.raises(Busy, match="full") as refused:
        slots.take()
    assert refused.value.retry_after == 3
    slots.give_back()
    slots.take()


def test_a_slot_comes_free_when_its_block_fails():
    slots = Slots(1, busy)
    with pytest.raises(KeyError), slots.taken():
        raise KeyError
    with slots.taken(), pytest.raises(Busy):
        slots.take()


def test_a_slot_is_given_back_once():
    with pytest.raises(ValueError, match="nobody has"):
        Slots(1, busy).give_back()
    slots = Slots(1, busy)
    slots.take("ada")
    with pytest.raises(ValueError, match="nobody has"):
        slots.give_back("grace")


def test_a_holder_has_its_share_and_leaves_the_rest():
    slots = Slots(3, busy, each=2)
    slots.take("ada")
    slots.take("ada")
    with pytest.raises(Busy):
        slots.take("ada")
    slots.take("grace")
    with pytest.raises(Busy):
        slots.take("grace")
    slots.give_back("ada")
    slots.take("grace")
    assert slots.in_use == 3


@pytest.mark.parametrize("text", ["", "3", "2/3", "2/0", "0/0", "-1/1", "a/b"])
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match="such as 8/2"):
        AtOnce.read(text)
    assert AtOnce.read("8/2") == AtOnce(8, 2)


class Crowd:
    """Blocks that hold a slot until they are let go, in the order in which they got one."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.inside: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}

    async def come(self, name: str, seconds: float = 60) -> None:
        self._ends[name] = asyncio.Event()
        async with self.slots.taken_in_turn(name[0], seconds):
            self.inside.append(name)
            await self._ends[name].wait()
        self.inside.remove(name)

    def end(self, name: str) -> None:
        self._ends[name].set()


@asynccontextmanager
async def crowd(slots: Slots, *names: str):
    """So many at once; the first letter of a name is its holder."""
    made = Crowd(slots)
    tasks = {name: asyncio.create_task(made.come(name)) for name in names}
    await settled()
    try:
        yield made, tasks
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert slots.in_use == 0


async def settled() -> None:
    """Let all that can go on do so."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_waits_longest_comes_first_but_nobody_waits_for_another_holders_share():
    slots = Slots(3, busy, each=2)
    async with crowd(slots, "a1", "a2", "a3", "b1", "b2") as (made, _):
        assert made.inside == ["a1", "a2", "b1"]
        made.end("b1")
        await settled()
        assert made.inside == ["a1", "a2", "b2"]
        made.end("a1")
        await settled()
        assert made.inside == ["a2", "b2", "a3"]


async def test_who_waits_in_vain_is_refused_and_waits_no_more():
    slots = Slots(1, busy)
    async with crowd(slots, "a1") as (made, _):
        with pytest.raises(Busy):
            await made.come("b1", seconds=0)
        made.end("a1")
        await settled()
        assert slots.in_use == 0


async def test_who_is_cancelled_in_the_moment_of_its_turn_gives_it_on():
    slots = Slots(1, busy)
    slots.take("z")
    async with crowd(slots, "a1", "a2") as (made, tasks):
        slots.give_back("z")
        await asyncio.sleep(0)  # its turn has come, and it does not know yet
        tasks["a1"].cancel()
        await settled()
        assert made.inside == ["a2"]


async def test_few_wait_in_all_and_of_each_holder():
    slots = Slots(2, busy, each=1)
    names = [f"{holder}{number}" for holder in "ab" for number in range(WAITING + 1)]
    async with crowd(slots, *names) as (made, tasks):
        assert made.inside == ["a0", "b0"]
        assert not any(task.done() for task in tasks.values())
        for name in ("a9", "c0"):
            with pytest.raises(Busy):
                await made.come(name)


async def test_a_slot_that_another_thread_gives_back_is_given_on():
    slots = Slots(1, busy)
    slots.take("z")
    async with crowd(slots, "a1") as (made, _):
        assert not made.inside
        await asyncio.to_thread(slots.give_back, "z")
        await settled()
        assert made.inside == ["a1"]
