"""Gives searches a time of their own, which MongoDB keeps as well: what is given up is not worked on."""

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo import timeout
from pymongo.errors import ExecutionTimeout, NetworkTimeout

from events.errors import SearchTooLong, StoreUnavailable


@contextmanager
def search_budget(seconds: float) -> Iterator[None]:
    """Let the reads in the block take so long together, in place of the deadline of each operation.

    Args:
        seconds: So long.

    Raises:
        SearchTooLong: They were not done by then.
    """
    try:
        with timeout(seconds):
            yield
    except StoreUnavailable as exc:
        # A member that is away is told apart from one that was at work all the time.
        if isinstance(exc.__cause__, ExecutionTimeout | NetworkTimeout):
            raise SearchTooLong(f"the search was not done within {seconds:g} s: ask for less") from exc
        raise
