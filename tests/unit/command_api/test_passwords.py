"""Passwords: which are taken, how they are hashed, and what happens when too many are."""

import asyncio
from dataclasses import replace

import pytest
from zxcvbn.frequency_lists import FREQUENCY_LISTS

from command_api.accounts.hashing import AT_ONCE, EACH, MOST_WAITING, PARAMETERS, Hasher
from command_api.accounts.passwords import SHORTEST, check_password, normal, one_time_password
from command_api.accounts.requests import LoginInput
from events.errors import Busy, InvalidFields

GOOD = "violet tractor sings"


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("short-Xq7!vb", None),
        ("Xq7!vbzaa-p", "12 to 128"),
        ("x" * 129, "12 to 128"),
        ("passwordpassword", "guessed"),
        ("password123456", "guessed"),
        ("qwertyuiop123", "guessed"),
        ("123456789012", "guessed"),
        ("P@ssw0rd12345", "guessed"),
        ("aaaaaaaaaaaaaaaa", "guessed"),
        ("rollcallrollcall", "guessed"),
        ("ada.lovelace2", "guessed"),
        ("a" * 128, "guessed"),
        (GOOD, None),
        ("пароль из четырёх слов", None),
    ],
)
def test_length_and_being_guessed_first_are_what_counts(password, reason):
    if reason is None:
        check_password(password, "ada.lovelace@example.com", "password")
        return
    with pytest.raises(InvalidFields) as refusal:
        check_password(password, "ada.lovelace@example.com", "password")
    (error,) = refusal.value.errors
    assert error["field"] == "password"
    assert reason in error["reason"]
    assert password not in str(refusal.value) + error["reason"]


def test_none_that_leaked_is_taken_and_none_that_is_made_of_its_account_s_name_or_ours():
    assert len(FREQUENCY_LISTS["passwords"]) >= 30_000
    leaked = [known for known in FREQUENCY_LISTS["passwords"] if len(known) >= SHORTEST]
    assert len(leaked) > 200
    for known in (*leaked, "rollcallrollcall", "Rollcall!2026", "ada.lovelace!1", "ada.lovelace@example.com"):
        with pytest.raises(InvalidFields):
            check_password(known, "ada.lovelace@example.com", "password")
            pytest.fail(known)
    check_password("ada.lovelace!1 tractor", "grace", "password")


@pytest.mark.parametrize(
    "password",
    [
        "violettractorsings",
        "VIOLET-TRACTOR-SINGS",
        "83920175 46291",
        "   violet   tractor   ",
        "🚜 violet tractor 🎵",
        "violet tractor sings " * 6,
        "\t~`!@#$%^&*()_+-=[]{}|",
    ],
)
async def test_characters_of_every_kind_count_just_as_they_are(password):
    check_password(password, "ada", "password")
    hasher = Hasher(replace(PARAMETERS, time_cost=1, memory_cost=8))
    try:
        known = await hasher.hash(password, None)
        assert await hasher.verify(known, password, None)
        for near in (password.swapcase(), password.strip(), password[:-1], password + " ", password[:72]):
            assert near == password or not await hasher.verify(known, near, None), near
    finally:
        hasher.close()


def test_a_one_time_password_is_taken_and_never_the_same():
    first, second = one_time_password(), one_time_password()
    assert first != second
    check_password(first, "ada", "password")


def test_a_password_counts_as_typed_on_any_keyboard():
    assert normal("cafe\u0301 ﬁve") == normal("café five")


async def test_a_hash_belongs_to_its_password_alone_and_is_argon2id():
    hasher = Hasher()
    try:
        known = await hasher.hash(GOOD, None)
        assert known.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert known != await hasher.hash(GOOD, None)
        assert await hasher.verify(known, GOOD, None)
        assert not await hasher.verify(known, GOOD + "x", None)
        assert not await hasher.verify(None, "nobody has this password", None)
        assert not await hasher.verify("no hash at all", GOOD, None)
        assert not hasher.is_outdated(known)
        assert Hasher(replace(PARAMETERS, time_cost=3)).is_outdated(known)
    finally:
        hasher.close()


async def test_more_than_can_wait_are_turned_away_and_places_come_free():
    hasher = Hasher(replace(PARAMETERS, time_cost=1, memory_cost=8))
    throttle = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait():
        return asyncio.run_coroutine_threadsafe(throttle.wait(), loop).result(10)

    try:
        tasks = [asyncio.create_task(hasher.run(wait, "10.0.0.1")) for _ in range(EACH)]
        await asyncio.sleep(0)
        # One address leaves places for others.
        with pytest.raises(Busy):
            await hasher.hash(GOOD, "10.0.0.1")
        others = (f"10.0.1.{number}" for number in range(AT_ONCE + MOST_WAITING - EACH))
        waiting = [*tasks, *(asyncio.create_task(hasher.run(wait, other)) for other in others)]
        await asyncio.sleep(0)
        with pytest.raises(Busy) as refusal:
            await hasher.hash(GOOD, "10.0.0.9")
        assert refusal.value.retry_after == 1
        # One that nobody waits for any more gives its place back once it is over.
        waiting[-1].cancel()
        throttle.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert await hasher.verify(await hasher.hash(GOOD, None), GOOD, None)
    finally:
        hasher.close()


def test_a_password_is_not_shown_by_what_holds_it():
    given = LoginInput(name="Ada@Example.com ", password=GOOD)
    assert given.name == "ada@example.com"
    assert GOOD not in repr(given) + str(given) + given.model_dump_json()
    with pytest.raises(ValueError) as refusal:
        LoginInput(name=GOOD, password=GOOD, other=GOOD)
    assert GOOD not in str(refusal.value)
