"""When an erasure is final: nothing is left by which an old copy could be opened."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from operations.erasing.finality import Remains, left_from_before

THEN = datetime(2026, 3, 10, 12, tzinfo=UTC)
FINAL = Remains(["20260311-aa"], ["2026-03-11"], ["2026-04"], {"m:1": THEN + timedelta(seconds=1)})


def test_it_is_final_once_all_that_is_there_is_younger():
    assert list(left_from_before(THEN, FINAL)) == []


@pytest.mark.parametrize(
    ("older", "told"),
    [
        ({"keks": ["20260310-aa", "20260311-bb"]}, "key-encryption key 20260310-aa"),
        ({"keks": ["mine"]}, "key-encryption key mine"),
        (
            {"transport_days": ["2026-03-11", "2026-03-10", "2026-03-09"]},
            "transport keys from 2026-03-09 to 2026-03-10",
        ),
        ({"access_months": ["2026-03", "2026-04"]}, "access keys from 2026-03 to 2026-03"),
        ({"oplogs": {"m:1": THEN}}, "the oplog of m:1, which begins at 2026-03-10T12:00:00Z"),
        ({"oplogs": {"m:1": None}}, "the oplog of m:1, which cannot be looked at"),
    ],
)
def test_what_is_left_from_before_is_named(older, told):
    assert list(left_from_before(THEN, replace(FINAL, **older))) == [told]
