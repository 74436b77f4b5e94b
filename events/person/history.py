"""Computes what a person's history shows of an event: each field before and after it. Pure."""

from collections.abc import Iterable, Mapping

from events.person.schema.declarations import Value

Changes = dict[str, dict[str, Value | None]]
"""By field: `from` and `to`, null where there is no value."""


def changes_between(before: Mapping[str, Value], after: Mapping[str, Value], names: Iterable[str]) -> Changes:
    """Return each field whose value is another one after an event.

    Args:
        before: The person's fields before it; none before the first.
        after: The fields after it; none after a deletion.
        names: The fields that are shown, in order.
    """
    return {
        name: {"from": before.get(name), "to": after.get(name)}
        for name in names
        if before.get(name) != after.get(name)
    }
