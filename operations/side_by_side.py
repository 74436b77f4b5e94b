"""Makes one order of documents of two, of which one has few."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


def beside(
    many: Iterator[dict[str, Any]],
    few: Iterator[dict[str, Any]],
    place: Callable[[Mapping[str, Any]], tuple[Any, ...]],
) -> Iterator[dict[str, Any]]:
    """Yield the documents of two orders as one; of a document that is in both, as while it is moved, one.

    Args:
        many: In order; quick where the others are far.
        few: In order.
        place: Returns a document's place in the order.
    """
    waiting = next(few, None)
    if waiting is None:
        yield from many
        return
    for document in many:
        if waiting is not None:
            here = place(document)
            while waiting is not None and place(waiting) <= here:
                if waiting["_id"] != document["_id"]:
                    yield waiting
                waiting = next(few, None)
        yield document
    if waiting is not None:
        yield waiting
        yield from few
