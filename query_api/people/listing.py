"""Finds a page of people by the index of the first field that they are sorted by."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from query_api.people import sorting
from query_api.people.filters import PeopleQuery
from query_api.people.search import Condition
from query_api.people.sorting import Sort
from query_api.reading.cursors import Cursor, after, fingerprint, invalid_cursor
from service_kit.mongo.connection import Document, DocumentCollection, MemberAddress

LIVING: Final[Condition] = {"deleted": {"$exists": False}}
"""Who is no tombstone."""
SHOWN: Final = {"hash": 0, "keys": 0, "projection": 0, "image_id": 0}
"""What of a person's document is nobody's to see is left out."""


@dataclass(frozen=True, slots=True)
class Listing:
    """An order of some people, from a place on.

    Attributes:
        sorts: The fields of the order.
        written: The same, as the client wrote them.
        everybody: The conditions of all who are listed.
        mark: Fingerprint of the filters.
        values: What the last person of the page before is sorted by; None on the first page.
        last_id: That person's id.
    """

    sorts: tuple[Sort, ...]
    written: str
    everybody: list[Condition]
    mark: str
    values: list[str] | None
    last_id: str

    @classmethod
    def of(cls, query: PeopleQuery) -> Self:
        """Return what a query asks for.

        Raises:
            InvalidFields: The cursor belongs to another query.
        """
        filters, sorts = query.filters, query.sorts
        mark = fingerprint(filters)
        # Tombstones have no sort key, so this bound keeps them out without reading them.
        everybody = [*filters, {sorts[0].key: {"$gte": ""}}]
        if query.cursor is None:
            return cls(sorts, query.sort, everybody, mark, None, "")
        cursor = Cursor.decode(query.cursor, query.sort, mark)
        return cls(sorts, query.sort, everybody, mark, _values_in(cursor.key, len(sorts)), cursor.last_id)

    @property
    def counted(self) -> list[Condition]:
        """Return the conditions of all who are counted: the same people, by the way that is quickest.

        The index that has the order alone is read quickly; documents are read more quickly in their own order
        than in that of an index.
        """
        everybody = self.everybody[-1:]
        return [*self.everybody[:-1], LIVING] if len(self.everybody) > 1 else everybody

    @property
    def by_index(self) -> bool:
        """Return whether one index has the whole order."""
        return len(self.sorts) == 1

    def cursor_after(self, person: Mapping[str, Any]) -> str:
        """Return the cursor of the page that follows a person."""
        values = sorting.values_of(person, self.sorts)
        key = values[0] if self.by_index else orjson.dumps(values).decode()
        return Cursor(self.written, self.mark, key, person["_id"]).encode()

    def first_to_last(self, people: DocumentCollection, limit: int) -> Any:
        """Return a driver's cursor over the next people, so many at most, in the order of one index."""
        (sort,) = self.sorts
        wanted = self.everybody
        if self.values is not None:
            wanted = wanted + after(sort.key, self.values[0], self.last_id, descending=sort.descending)
        order = sorting.order_of(self.sorts)
        # A first batch has 101 documents at most unless its size is given.
        return people.find({"$and": wanted}, SHOWN, sort=order, limit=limit, batch_size=limit)

    async def by_several(
        self, people: DocumentCollection, limit: int
    ) -> tuple[list[Document], MemberAddress | None]:
        """Return the next people, so many at most, in an order by several fields, and who said so.

        The index of the first field tells how far to read; only those who share the last of its values are
        read beyond that, and what is read is sorted by the other fields.
        """
        first, order = self.sorts[0], sorting.order_of(self.sorts)
        wanted = self.everybody
        documents: list[Document] = []
        member: MemberAddress | None = None

        async def read(conditions: list[Condition], **options: Any) -> list[Document]:
            nonlocal member
            found = people.find({"$and": conditions}, SHOWN, **options)
            documents = await found.to_list(None)
            member = found.address
            return documents

        if self.values is not None:
            group = sorting.group_of(first, self.values[0])
            rest = sorting.beyond(self.sorts, self.values, self.last_id)
            documents = await read([*wanted, group, rest], sort=order, limit=limit, batch_size=limit)
            wanted = [*wanted, sorting.behind(first, self.values[0])]
        missing = limit - len(documents)
        if missing:
            by_index = [(first.key, first.direction)]
            end = await read(wanted, sort=by_index, skip=missing - 1, limit=1)
            if end:
                wanted = [*wanted, sorting.up_to(first, sorting.own_value(end[0], first))]
            documents += await read(wanted, sort=order, limit=missing, batch_size=missing)
        return documents, member


def _values_in(key: str, count: int) -> list[str]:
    """Return what a cursor's key says, a value for each field of the order."""
    if count == 1:
        return [key]
    try:
        values = orjson.loads(key)
    except ValueError:
        values = None
    if not (isinstance(values, list) and len(values) == count and all(isinstance(v, str) for v in values)):
        raise invalid_cursor("is no cursor of this API")
    return values
