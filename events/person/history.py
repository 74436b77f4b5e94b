"""Computes what a person's history shows of an event: each field before and after it. Pure."""

from collections.abc import Mapping

from events.person.fields import STATE_NAMES

Changes = dict[str, dict[str, str | None]]
"""By field: `from` and `to`, null where there is no value."""


def changes_between(before: Mapping[str, str], after: Mapping[str, str]) -> Changes:
    """Return each field whose value is another one after an event.

    Args:
        before: The person's fields before it; none before the first.
        after: The fields after it; none after a deletion.
    """
    return {
        name: {"from": before.get(name), "to": after.get(name)}
        for name in STATE_NAMES
        if before.get(name) != after.get(name)
    }
