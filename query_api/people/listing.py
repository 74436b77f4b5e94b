"""Finds a page of people by the index of the first field that they are sorted by."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from events.errors import InvalidFields
from events.person.orders import Sort, order_of
from query_api.people.filters import PeopleQuery
from query_api.people.search import Condition
from query_api.people.sorting import Orders, behind, beyond, group_of, lacking, there, up_to
from query_api.reading.cursors import (
    MAX_CURSOR,
    Cursor,
    CursorSeal,
    after,
    fingerprint,
    invalid_cursor,
)
from service_kit.mongo.connection import Document, DocumentCollection, MemberAddress

LIVING: Final[Condition] = {"deleted": {"$exists": False}}
"""Who is no tombstone."""
SHOWN: Final = {"hash": 0, "keys": 0, "projection": 0, "image_id": 0, "holds": 0}
"""What of a person's document is nobody's to see is left out."""
Read = Callable[..., Awaitable[list[Document]]]


@dataclass(frozen=True, slots=True)
class Listing:
    """An order of some people, from a place on.

    Attributes:
        orders: The orders that there are.
        sorts: The fields of the order.
        written: The same, as the client wrote them.
        filters: The conditions of all who are listed.
        mark: Fingerprint of the filters.
        values: What the last person of the page before is sorted by; None on the first page.
        last_id: That person's id.
    """

    orders: Orders
    sorts: tuple[Sort, ...]
    written: str
    filters: list[Condition]
    mark: str
    values: list[Any] | None
    last_id: str

    @classmethod
    def of(cls, query: PeopleQuery, seal: CursorSeal) -> Self:
        """Return what a query asks for.

        Args:
            query: The query.
            seal: What has sealed its cursor.

        Raises:
            InvalidFields: The cursor belongs to another query.
        """
        filters, sorts, orders = query.filters, query.sorts, query.orders
        mark = fingerprint(filters)
        if query.cursor is None:
            return cls(orders, sorts, query.sort, filters, mark, None, "")
        cursor = Cursor.decode(query.cursor, query.sort, mark, seal)
        return cls(orders, sorts, query.sort, filters, mark, _values_in(cursor.key, sorts), cursor.last_id)

    @property
    def counted(self) -> list[Condition]:
        """Return the conditions of all who are counted: the same people, by the way that is quickest.

        The index that has the order alone is read quickly; documents are read more quickly in their own order
        than in that of an index.
        """
        if self.filters or self.sorts[0].may_lack:
            return [*self.filters, LIVING]
        return [there(self.sorts[0])]

    def cursor_after(self, person: Mapping[str, Any], seal: CursorSeal) -> str:
        """Return the cursor of the page that follows a person.

        Raises:
            InvalidFields: It is longer than a client may send: the order has several very long texts.
        """
        values = self.orders.values_of(person, self.sorts)
        key = values[0] if _is_text(self.sorts) else orjson.dumps(values).decode()
        cursor = Cursor(self.written, self.mark, key, person["_id"]).encode(seal)
        if len(cursor) > MAX_CURSOR:
            reason = "has values here that are too long for a cursor: sort by fewer fields"
            raise InvalidFields("a parameter is not valid", [{"field": "sort", "reason": reason}])
        return cursor

    async def next_people(
        self, people: DocumentCollection, limit: int
    ) -> tuple[list[Document], MemberAddress | None]:
        """Return the next people, so many at most, and who said so."""
        documents: list[Document] = []
        member: MemberAddress | None = None

        async def read(conditions: list[Condition], **options: Any) -> list[Document]:
            nonlocal member
            found = people.find({"$and": [*self.filters, *conditions]}, self._shown, **options)
            some = await found.to_list(None)
            member = found.address
            return some

        # A first batch has 101 documents at most unless its size is given.
        for conditions, order in self._parts():
            missing = limit - len(documents)
            if not missing:
                break
            documents += await read(conditions, sort=order, limit=missing, batch_size=missing)
        if len(self.sorts) > 1 and not self.orders.is_declared(self.sorts) and len(documents) < limit:
            documents += await self._by_groups(read, limit - len(documents))
        return documents, member

    @property
    def _shown(self) -> dict[str, int]:
        # What is compared may be a key beside the fields: a cursor needs it.
        keyed = any(not sort.is_name and sort.key.startswith("keys.") for sort in self.sorts)
        return {name: value for name, value in SHOWN.items() if name != "keys"} if keyed else SHOWN

    def _parts(self) -> Iterator[tuple[list[Condition], list[tuple[str, int]]]]:
        """Yield the conditions and orders of people who follow each other, each part in an index's order."""
        first, order = self.sorts[0], order_of(self.sorts)
        by_id = [("_id", first.direction)]
        if len(self.sorts) == 1:
            value = None if self.values is None else self.values[0]
            if self.values is None:
                yield [there(first)], order
            elif value is not None:
                yield (
                    [there(first), *after(first.key, value, self.last_id, descending=first.descending)],
                    order,
                )
            if first.may_lack:
                place = (
                    [{"_id": {"$lt" if first.descending else "$gt": self.last_id}}]
                    if self.values is not None and value is None
                    else []
                )
                yield [lacking(first), *place], by_id
            return
        if self.values is not None:
            parts = beyond(self.sorts, self.values, self.last_id)
            if self.orders.is_declared(self.sorts):
                yield from (([part], order) for part in parts)
                return
            group = group_of(first, self.values[0])
            inside = parts[: len(parts) - (0 if self.values[0] is None else 1 + first.may_lack)]
            yield [group, {"$or": inside}], order
        elif self.orders.is_declared(self.sorts):
            # An index has before the value that it is not lacking.
            sure = {first.lack_key: None} if first.may_lack else {}
            yield [{first.own_key: {"$gte": first.least}, **sure}], order
            if first.may_lack:
                yield [lacking(first)], order

    async def _by_groups(self, read: Read, limit: int) -> list[Document]:
        """Return the next people, so many at most, beyond the group of the last one, if there is one.

        The index of the first field tells how far to read; only those who share the last of its values are
        read beyond that, and what is read is sorted by the other fields.
        """
        first, order = self.sorts[0], order_of(self.sorts)
        if self.values is not None and self.values[0] is None:
            return []
        wanted = [there(first)]
        if self.values is not None:
            wanted.append(behind(first, self.values[0]))
        end = await read(wanted, sort=[(first.key, first.direction)], skip=limit - 1, limit=1)
        reach = [up_to(first, first.own_value(end[0]))] if end else []
        documents = await read([*wanted, *reach], sort=order, limit=limit, batch_size=limit)
        if first.may_lack and len(documents) < limit:
            missing = limit - len(documents)
            documents += await read([lacking(first)], sort=order, limit=missing, batch_size=missing)
        return documents


def _is_text(sorts: Sequence[Sort]) -> bool:
    """Return whether what a page ends with is one text, whoever it is."""
    return len(sorts) == 1 and isinstance(sorts[0].least, str) and not sorts[0].may_lack


def _values_in(key: str, sorts: Sequence[Sort]) -> list[Any]:
    """Return what a cursor's key says, a value for each field of the order."""
    if _is_text(sorts):
        return [key]
    try:
        values = orjson.loads(key)
    except ValueError:
        values = None
    if not (isinstance(values, list) and len(values) == len(sorts) and all(map(_may_be, values, sorts))):
        raise invalid_cursor("is no cursor of this API")
    return values


def _may_be(value: object, sort: Sort) -> bool:
    return (value is None and sort.may_lack) or type(value) is type(sort.least)
