"""Chooses the form of an answer by the request's `Accept` header (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Sequence
from typing import Final

from events.errors import NotAcceptable

_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_MEMBER: Final = re.compile(rf'(?:[^,"]|{_QUOTED})+')
_PART: Final = re.compile(rf'(?:[^;"]|{_QUOTED})+')
_WEIGHT: Final = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """Return the media type to answer in.

    Args:
        accept: The header's value; None accepts all.
        offered: What there is; the first of those that are wanted equally wins.

    Raises:
        NotAcceptable: None of them is wanted.
    """
    if accept is None:
        return offered[0]
    wanted: dict[str, float] = {}
    for name, weight in map(_range, _MEMBER.findall(accept)):
        wanted[name] = max(weight, wanted.get(name, 0.0))
    weights = {one: _weight(one, wanted) for one in offered}
    best = max(offered, key=weights.__getitem__)
    if weights[best] <= 0:
        raise NotAcceptable(f"this can be had as {', '.join(offered)}")
    return best


def _range(text: str) -> tuple[str, float]:
    """Return a media range and its weight; parameters other than `q` do not count."""
    name, *parameters = (part.strip().lower() for part in _PART.findall(text) or [""])
    for parameter in parameters:
        if parameter.startswith("q="):
            weight = _WEIGHT.fullmatch(parameter)
            return name, float(weight[1]) if weight else 0.0
    return name, 1.0


def _weight(media_type: str, wanted: dict[str, float]) -> float:
    """Return how much a media type is wanted: the closest range tells."""
    for name in (media_type, f"{media_type.partition('/')[0]}/*", "*/*"):
        if name in wanted:
            return wanted[name]
    return 0.0
