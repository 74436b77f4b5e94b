"""Documents of two collections come as those of one, in order, whatever batches they come in."""

from hypothesis import given
from hypothesis import strategies as st

from events.accounts.event import ACCOUNT_EVENT_TYPES
from events.log.applied_schema import SCHEMA_EVENT_TYPES
from events.log.stored import ACCOUNT_EVENTS, EVENTS, SCHEMA_EVENTS
from operations.side_by_side import beside
from query_api.exports.batches import MergedBatches
from query_api.history.filters import EventsQuery

PERSON = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"


class Source:
    address = ("host", 1)

    def __init__(self, batches) -> None:
        self.batches, self.closed = list(batches), False

    async def next(self):
        return self.batches.pop(0) if self.batches else None

    async def close(self) -> None:
        self.closed = True


def place(document):
    return document["at"], document["_id"]


def parted(documents, sizes):
    """Return documents in batches of these sizes, and the rest; some are empty."""
    batches = []
    for size in sizes:
        batches.append(documents[:size])
        documents = documents[size:]
    return [*batches, documents]


KEYS = st.lists(st.tuples(st.integers(0, 9), st.booleans()), max_size=60)
SIZES = st.lists(st.integers(0, 7), max_size=6)


@given(KEYS, SIZES, SIZES, st.booleans())
async def test_batches_are_merged_in_order(keys, sizes, others, descending):
    documents = [{"_id": f"{number:03}", "at": at} for number, (at, _) in enumerate(keys)]
    expected = sorted(documents, key=place, reverse=descending)
    of_people = {one["_id"] for one, (_, people) in zip(documents, keys, strict=True) if people}
    sources = [
        Source(parted([one for one in expected if one["_id"] in of_people], sizes)),
        Source(parted([one for one in expected if one["_id"] not in of_people], others)),
    ]
    merged, found = MergedBatches(sources, place, descending=descending), []
    while (batch := await merged.next()) is not None:
        found += batch
    assert found == expected
    assert merged.address == ("host", 1)
    await merged.close()
    assert all(source.closed for source in sources)


@given(KEYS)
def test_two_orders_are_read_as_one_and_what_is_in_both_once(keys):
    documents = sorted(({"_id": f"{n:03}", "at": at} for n, (at, _) in enumerate(keys)), key=place)
    of_people = {f"{n:03}" for n, (_, people) in enumerate(keys) if people}
    many = [one for one in documents if one["_id"] in of_people]
    few = [one for one in documents if one["_id"] not in of_people]
    assert list(beside(iter(many), iter(few), place)) == documents
    assert list(beside(iter(many), iter(documents), place)) == documents
    assert list(beside(iter(documents), iter(few), place)) == documents


def test_a_search_asks_only_where_what_it_wants_may_be():
    for filters, collections in (
        ({}, (EVENTS, ACCOUNT_EVENTS, SCHEMA_EVENTS)),
        ({"actor": "ada"}, (EVENTS, ACCOUNT_EVENTS, SCHEMA_EVENTS)),
        ({"type": "person.created"}, (EVENTS,)),
        ({"type": "person.*"}, (EVENTS,)),
        ({"type": "account.*"}, (ACCOUNT_EVENTS,)),
        ({"type": "account.logged_in"}, (ACCOUNT_EVENTS,)),
        ({"type": "schema.applied"}, (SCHEMA_EVENTS,)),
        ({"person_id": "schema:person"}, (SCHEMA_EVENTS,)),
        ({"person_id": PERSON}, (EVENTS,)),
        ({"person_id": "account:ada"}, (ACCOUNT_EVENTS,)),
        ({"person_id": f"token:{PERSON}"}, (ACCOUNT_EVENTS,)),
        ({"person_id": PERSON, "type": "account.*"}, (EVENTS,)),
    ):
        assert EventsQuery(**filters).collections == collections, filters


def test_an_event_of_a_person_that_stands_among_others_is_not_found():
    for filters in ({}, {"actor": "ada"}):
        query = EventsQuery(**filters)
        assert query.conditions_in(EVENTS) == query.conditions
        for log, types in ((ACCOUNT_EVENTS, ACCOUNT_EVENT_TYPES), (SCHEMA_EVENTS, SCHEMA_EVENT_TYPES)):
            assert query.conditions_in(log) == [*query.conditions, {"type": {"$in": list(types)}}]
