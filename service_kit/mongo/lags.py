"""What workers and query APIs agree on about members that lag: the record, its lease, the members' seats."""

from typing import Final

LAGS: Final = "lags"
"""A document for each worker that knows of a lag, and the one with the number of seats."""
SEATS: Final = "seats"
"""The id of that document, whose `count` says how many seats there are."""
LEASE_SECONDS: Final = 0.5
"""How long a query API may read from secondaries after it has asked whether a lag is on record."""
SEAT: Final = "rollcall_seat_"
"""How the replica-set tags of seats begin."""


def seat_tag(number: int) -> str:
    """Return the replica-set tag of a seat.

    Each shard has exactly one member in each seat, so that a read can be sent to a certain member of every
    shard through a router, which hides them; a member may have several.
    """
    return f"{SEAT}{number}"


def seats_of(position: int, members: int, count: int) -> dict[str, str]:
    """Return the tags of a set's member.

    Args:
        position: The member's place among those of its set, from 0.
        members: How many there are.
        count: How many seats: the members of the largest set.
    """
    return {seat_tag(number): "held" for number in range(position, count, members)}
