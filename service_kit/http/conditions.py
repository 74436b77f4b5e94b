"""Reads the entity tags of `If-Match` and `If-None-Match` (RFC 9110, section 13.1)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import Headers

from events.errors import InvalidFields

_TAG: Final = r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"'
_ONE: Final = re.compile(_TAG)
_VERSION: Final = re.compile(r"(0|[1-9][0-9]{0,8})(?:\.[0-9a-f]{8})?")
"""Perhaps with what of a person the caller saw, which does not count here."""
_LIST: Final = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
"""Empty members of a list do not count (section 5.6.1.2)."""
ENTITY_TAGS: Final[dict[str, Any]] = {
    "format": "rollcall-entity-tags",
    "pattern": rf"^(?:[ \t]*\*[ \t]*|{_LIST.pattern})$",
}
"""What OpenAPI says of a condition that is refused if it is none: `*`, or a list of entity tags."""


@dataclass(frozen=True, slots=True)
class EntityTags:
    """The entity tags that a condition names, without their quotes.

    Attributes:
        strong: Those that are written `"3"`.
        weak: Those that are written `W/"3"`.
        any: Whether it is `*`: whatever there is.
    """

    strong: frozenset[str] = frozenset()
    weak: frozenset[str] = frozenset()
    any: bool = False

    def matches_strongly(self, tag: str) -> bool:
        """Return whether the condition holds for a strong tag, as `If-Match` compares (section 8.8.3.2)."""
        return self.any or tag in self.strong

    def matches_weakly(self, tag: str) -> bool:
        """Return whether the condition holds for a tag, as `If-None-Match` compares."""
        return self.any or tag in self.strong or tag in self.weak


def read_entity_tags(lines: Iterable[str]) -> EntityTags:
    """Return the entity tags that a condition names.

    Args:
        lines: The values of all the request's lines of that name, at least one; together they are one list
            (section 5.3).

    Raises:
        ValueError: It is neither a list of entity tags nor `*`.
    """
    text = ", ".join(lines)
    if text.strip(" \t") == "*":
        return EntityTags(any=True)
    if not _LIST.fullmatch(text):
        raise ValueError('must be versions in quotes, "3" or "3", "4" say, or *')
    tags = _ONE.findall(text)
    return EntityTags(
        frozenset(tag for mark, tag in tags if not mark), frozenset(tag for mark, tag in tags if mark)
    )


def expected_tags(headers: Headers) -> EntityTags | None:
    """Return what `If-Match` says that there must be; None if the request has no such condition.

    Raises:
        InvalidFields: It is no condition: ignoring it would do something else than was asked.
    """
    lines = headers.getlist("if-match")
    if not lines:
        return None
    try:
        return read_entity_tags(lines)
    except ValueError as exc:
        raise InvalidFields("a header is not valid", [{"field": "If-Match", "reason": str(exc)}]) from exc


def versions_in(tags: EntityTags | None) -> frozenset[int] | None:
    """Return the versions that a condition names; weak tags never match (section 13.1.1).

    Returns:
        Empty if no version can match, None if any may.
    """
    if tags is None or tags.any:
        return None
    return frozenset(int(found[1]) for tag in tags.strong if (found := _VERSION.fullmatch(tag)))


def is_known(headers: Headers, tag: str) -> bool:
    """Return whether `If-None-Match` says that the client has what a tag stands for; then the answer is 304.

    A condition that is none does not count: the answer is then only longer than it need be.

    Args:
        headers: Of the request.
        tag: Of what there is, without quotes.
    """
    lines = headers.getlist("if-none-match")
    try:
        return bool(lines) and read_entity_tags(lines).matches_weakly(tag)
    except ValueError:
        return False
