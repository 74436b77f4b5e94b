"""Ids of requests that may be repeated: the same for the same parts, and for nobody without the secret."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.seals.kek import Keks
from service_kit.seals.repeatable_ids import RepeatableIds, wrapped_secret
from tests.system import TEST_KEKS

IDS = RepeatableIds(b"i" * 32)


def test_one_is_as_it_was_worked_out_by_hand():
    # echo -n '["key","ada","POST","/people","k-1"]' | openssl dgst -sha256 -mac HMAC -macopt hexkey:69…69
    assert IDS.of("key", "ada", "POST", "/people", "k-1") == "3500c744-92b4-8f01-bf91-3000e7a1345b"


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_it_is_a_uuid_of_version_8_and_always_the_same(parts):
    made = IDS.of(*parts)
    assert str(UUID(made)) == made
    assert (UUID(made).version, UUID(made).variant) == (8, "specified in RFC 4122")
    assert IDS.of(*parts) == made
    assert RepeatableIds(b"j" * 32).of(*parts) != made


def test_parts_do_not_run_into_each_other():
    assert len({IDS.of("a", "bc"), IDS.of("ab", "c"), IDS.of("a,b", "c"), IDS.of('a","b', "c")}) == 4


def test_it_comes_out_of_its_row_as_it_went_in():
    keks = Keks(TEST_KEKS)
    assert RepeatableIds.unwrapped(*wrapped_secret(b"i" * 32, keks), keks).of("a") == IDS.of("a")


def test_a_secret_of_another_length_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        RepeatableIds(b"short")
