"""Who comes too late is refused, and a slot comes free however its block ends."""

import pytest

from events.errors import Busy
from service_kit.slots import Slots


def test_more_than_there_are_slots_are_refused():
    slots = Slots(2, lambda: Busy("full", retry_after=3))
    slots.take()
    slots.take()
    with pytest.raises(Busy, match="full") as refused:
        slots.take()
    assert refused.value.retry_after == 3
    slots.give_back()
    slots.take()


def test_a_slot_comes_free_when_its_block_fails():
    slots = Slots(1, lambda: Busy("full"))
    with pytest.raises(KeyError), slots.taken():
        raise KeyError
    with slots.taken(), pytest.raises(Busy):
        slots.take()


def test_a_slot_is_given_back_once():
    with pytest.raises(ValueError, match="released"):
        Slots(1, lambda: Busy("full")).give_back()
