"""What moves when shards are to hold the same: little, within present ranges, and once."""

from hypothesis import given
from hypothesis import strategies as st
from spread import TOLERANCE, Range, moves

LEAST, END = -(2**63), 2**63


def cut(ranges: list[Range], planned: list[Range]) -> list[Range]:
    """Return who holds what after the moves."""
    held = list(ranges)
    for move in planned:
        (source,) = [one for one in held if one.low <= move.low and move.high <= one.high]
        held.remove(source)
        before, after = Range(source.low, move.low, source.shard), Range(move.high, source.high, source.shard)
        held += [part for part in (before, move, after) if part.low < part.high]
    return held


def shares(ranges: list[Range], shards: list[str]) -> dict[str, int]:
    return {shard: sum(one.high - one.low for one in ranges if one.shard == shard) for shard in shards}


@st.composite
def clusters(draw) -> tuple[list[Range], list[str]]:
    shards = [f"shard-{number}" for number in range(draw(st.integers(1, 6)))]
    bounds = sorted({LEAST, END, *draw(st.lists(st.integers(LEAST + 1, END - 1), max_size=12))})
    owners = draw(st.lists(st.sampled_from(shards), min_size=len(bounds), max_size=len(bounds)))
    return [Range(*both, owner) for *both, owner in zip(bounds, bounds[1:], owners, strict=False)], shards


@given(clusters())
def test_every_shard_ends_with_the_same_and_nothing_moves_twice(cluster):
    ranges, shards = cluster
    planned = moves(ranges, shards)
    after = cut(ranges, planned)
    fair, slack = 2**64 // len(shards), TOLERANCE * 2 * (len(ranges) + len(shards))
    assert sum(shares(after, shards).values()) == 2**64
    assert all(abs(share - fair) <= slack for share in shares(after, shards).values())
    # No more moves than what was too much somewhere.
    surplus = sum(max(0, share - fair) for share in shares(ranges, shards).values())
    assert sum(move.high - move.low for move in planned) <= surplus + slack


def test_an_added_shard_takes_a_part_of_each_and_then_rests():
    half = [Range(LEAST, 0, "a"), Range(0, END, "b")]
    planned = moves(half, ["a", "b", "c"])
    assert [move.shard for move in planned] == ["c", "c"]
    after = cut(half, planned)
    assert all(abs(share - 2**64 // 3) < TOLERANCE for share in shares(after, ["a", "b", "c"]).values())
    assert moves(after, ["a", "b", "c"]) == []
    assert moves(half, ["a", "b"]) == []
