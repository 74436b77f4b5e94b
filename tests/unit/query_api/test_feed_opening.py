"""The feed is opened where it is read: whole, erased, or damaged, and never waiting in vain for a key."""

import orjson
import pytest

from events.errors import KeyTrouble, StoreUnavailable
from events.log.event import encode_event
from query_api.feed import opening
from query_api.feed.opening import open_entries, open_when_possible
from service_kit.broker.stream import FeedEntry
from service_kit.seals.opening import ERASED
from service_kit.seals.person_key import PersonKey
from tests.chained import ALL_KEYS, SEALING, event

PERSON = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
SEALED = event(PERSON, 1, "0" * 64)


def entry(**changes) -> FeedEntry:
    body = orjson.dumps({**encode_event(SEALED), **changes})
    return FeedEntry(7, SEALED.type, PERSON, body, SEALED.event_id, 1, "")


class Keys:
    """Has one key for everybody, after some troubles."""

    def __init__(self, key: PersonKey | None, *troubles: StoreUnavailable) -> None:
        self._key, self._troubles = key, list(troubles)

    async def load(self, person_ids):
        if self._troubles:
            raise self._troubles.pop(0)
        return dict.fromkeys(person_ids, self._key)


async def told(keys, one: FeedEntry) -> dict:
    (opened,) = await open_entries([one], keys)
    return orjson.loads(opened.body)


async def test_an_event_comes_with_its_values_and_without_what_is_sealed():
    assert b"Zo" not in entry().body
    content = await told(ALL_KEYS, entry())
    assert content["data"] == dict(SEALED.data)
    assert content["sourceaddress"] == "127.0.0.1"
    assert "sealed" not in content and content["hash"] == SEALED.hash


async def test_of_an_erased_person_there_is_what_stays_readable():
    content = await told(Keys(ERASED), entry())
    assert content["erased"] is True
    assert content["data"] == {"grade": 1} and "sourceaddress" not in content


@pytest.mark.parametrize(
    "harm",
    [
        {"sealed": SEALED.sealed.hex()[:-2] + "00" if not SEALED.sealed.hex().endswith("00") else "ff"},
        {"sealed": "no hexadecimal"},
        {"hash": "f" * 64},
        {"sealedfields": ["first_name"]},
    ],
    ids=["sealed", "no bytes", "moved", "names"],
)
async def test_what_does_not_open_is_damaged_and_not_erased(harm):
    content = await told(ALL_KEYS, entry(**harm))
    assert content["damaged"] is True and "erased" not in content
    assert content["data"] == {"grade": 1}


async def test_another_s_key_opens_nothing():
    assert (await told(Keys(PersonKey.new()), entry()))["damaged"] is True


async def test_what_is_none_of_ours_stays_as_it_is():
    foreign = FeedEntry(0, "x", "y", b'{"sealed":"not ours"}')
    assert await open_entries([foreign], ALL_KEYS) == [foreign]


async def test_the_feed_waits_for_a_key_and_a_replay_does_not(monkeypatch):
    monkeypatch.setattr(opening, "backoff", lambda _attempt: 0.0)
    troubles = StoreUnavailable("MongoDB is away"), KeyTrouble("no row")
    (opened,) = await open_when_possible([entry()], Keys(SEALING, *troubles))
    assert orjson.loads(opened.body)["data"] == dict(SEALED.data)
    with pytest.raises(StoreUnavailable):
        await open_entries([entry()], Keys(SEALING, *troubles))
