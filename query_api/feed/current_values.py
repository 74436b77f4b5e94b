"""Keeps, for the events in memory, which of their values are still so. Pure."""

from dataclasses import dataclass, field

from events.log.event import GONE
from query_api.feed.items import Item
from query_api.feed.withholding import fields_of


@dataclass(slots=True)
class _Value:
    """A field's newest value that the feed has brought, and the items that tell it: repeats of one event."""

    version: int
    items: list[Item]


@dataclass(slots=True)
class _Person:
    """What the events in memory say of one person."""

    count: int = 0
    deleted_at: int = 0
    values: dict[str, _Value] = field(default_factory=dict)


class CurrentValues:
    """Takes a value out of an item once a later event changes it, or deletes the person.

    Each value is taken out once, so an event costs what it changes, however many events came before.
    """

    def __init__(self) -> None:
        self._people: dict[str, _Person] = {}

    def add(self, item: Item) -> None:
        """Note that an event came; it may be one that was announced before."""
        entry, names = item.entry, fields_of(item.entry.body)
        person = self._people.setdefault(entry.person_id, _Person())
        person.count += 1
        if entry.type in GONE:
            for name, value in person.values.items():
                _leave_out(value, name)
            person.values.clear()
            person.deleted_at = entry.version
        if entry.version < person.deleted_at:
            item.leave_out(names)
            return
        item.leave_out([name for name in names if _is_later(person.values.get(name), entry.version)])
        for name in names:
            self._set(person, name, item)

    def _set(self, person: _Person, name: str, item: Item) -> None:
        known = person.values.get(name)
        version = item.entry.version
        if _is_later(known, version):
            return
        if known is None or known.version < version:
            if known is not None:
                _leave_out(known, name)
            known = person.values[name] = _Value(version, [])
        if name in item.names:
            known.items.append(item)

    def drop(self, item: Item) -> None:
        """Forget an event that is not kept in memory any more."""
        person = self._people[item.entry.person_id]
        person.count -= 1
        if not person.count:
            del self._people[item.entry.person_id]
            return
        for name in item.names:
            person.values[name].items.remove(item)

    def clear(self) -> None:
        """Forget all events."""
        self._people.clear()


def _is_later(value: _Value | None, version: int) -> bool:
    return value is not None and value.version > version


def _leave_out(value: _Value, name: str) -> None:
    for item in value.items:
        item.leave_out((name,))
