"""Lines of events with their values laid open: the verifier proves each, and what is withheld stays a name."""

import csv
import dataclasses
import io
import json

import pytest

from events.errors import Damaged, InvalidFields, KeyTrouble
from events.log.event import export_line
from events.log.stored import event_document
from events.person.schema.reading import parse_schema
from query_api.exports.event_lines import COLUMNS, EVENTS_HEADER, KEY, csv_rows, ndjson
from query_api.exports.opened_batches import OpenedBatches
from query_api.exports.options import EventsExportQuery
from service_kit.person_view import PersonView
from service_kit.seals.opening import ERASED
from tests.chained import SEALED, SEALING, resealed, stream, verify
from tests.default_schema import SCHEMA
from verifier import link_of, root

LOG = stream("p", 3)


def naive(event):
    document = event_document(event)
    return document | {name: document[name].replace(tzinfo=None) for name in ("accepted_at", "applied_at")}


def keyed(event, key=SEALING):
    return {**naive(event), KEY: key}


def test_without_openings_a_line_shows_names_alone():
    line = ndjson([naive(LOG[0])])
    assert line == export_line(LOG[0]) + b"\n"
    assert "Zoé".encode() not in line and b"127.0.0.1" not in line
    assert json.loads(line)["sealed_fields"] == list(SEALED)


def test_opened_values_are_proved_and_withheld_ones_are_not_shown(tmp_path):
    text = ndjson([keyed(one) for one in LOG], withheld={"last_name", "@source_address"})
    opened = json.loads(text.splitlines()[0])["opened"]
    assert opened["first_name"]["value"] == "Zoé"
    assert [list(opened[name]) for name in ("@source_address", "last_name")] == [["commitment"]] * 2
    assert b"127.0.0.1" not in text and "Ñu".encode() not in text
    assert verify(tmp_path, text) == (0, [])
    link = link_of(text.splitlines()[0], 1)
    assert (link.proved, link.withheld) == (1, 2)
    everything = ndjson([keyed(LOG[0])])
    assert link_of(everything.rstrip(), 1).proved == len(SEALED)


def test_of_an_erased_person_nothing_is_opened_and_the_lines_verify(tmp_path):
    erased = {"type": "person.erased", "version": 4, "event_id": "p.4", "prev": LOG[-1].hash}
    last = resealed(LOG[-1], **erased, data={}, sealed_fields=(), values=root(()), sealed=None)
    text = ndjson([keyed(one, ERASED) for one in (*LOG, last)])
    lines = [json.loads(line) for line in text.splitlines()]
    assert ["opened" in line for line in lines] == [False, False, False, True]
    assert lines[-1]["opened"] == {}
    assert verify(tmp_path, text) == (0, [])


@pytest.mark.parametrize(
    "harm",
    [
        {"sealed": LOG[1].sealed},
        {"sealed": LOG[0].sealed[:-1]},
        {"sealed": None},
        {"values": root(())},
        {"sealed_fields": SEALED[1:]},
    ],
)
def test_damaged_values_are_never_told_as_erased(harm):
    document = {**naive(LOG[0]), **harm, KEY: SEALING}
    with pytest.raises(Damaged, match="version 1 of p is damaged"):
        ndjson([document])


def test_a_row_of_csv_has_the_same():
    text = csv_rows([keyed(LOG[0])], withheld={"last_name"}) + csv_rows([naive(LOG[1])])
    rows = list(csv.DictReader(io.StringIO((EVENTS_HEADER + text).decode(), newline="")))
    assert tuple(rows[0]) == COLUMNS
    assert set(COLUMNS) == {*json.loads(export_line(LOG[0])), "opened"}
    opened = json.loads(rows[0]["opened"])
    assert (opened["first_name"]["value"], list(opened["last_name"])) == ("Zoé", ["commitment"])
    assert json.loads(rows[0]["data"]) == {"grade": 1}
    assert rows[1]["opened"] == ""
    odd = dataclasses.replace(LOG[0], actor="=1+1")
    (row,) = csv.DictReader(io.StringIO((EVENTS_HEADER + csv_rows([naive(odd)])).decode(), newline=""))
    assert row["actor"] == "'=1+1"


class Batches:
    """One batch."""

    address = None

    def __init__(self, documents):
        self.left = [documents]

    async def next(self):
        return self.left.pop() if self.left else None


class Keys:
    """Has the key of p; q is erased, and of nobody else there is a row."""

    def __init__(self):
        self.asked = []

    async def load(self, person_ids):
        self.asked.append(set(person_ids))
        known = {"p": SEALING, "q": ERASED}
        if missing := set(person_ids) - known.keys():
            raise KeyTrouble(f"there is no key for {missing}")
        return {one: known[one] for one in person_ids}


async def test_events_come_with_the_keys_of_their_people_and_none_is_made_up():
    account = resealed(LOG[0], person_id="account:ada", sealed_fields=(), values=root(()), sealed=None)
    keys = Keys()
    batches = OpenedBatches(Batches([naive(one) for one in (LOG[0], *stream("q", 1), account)]), keys)
    documents = await batches.next()
    assert [one[KEY] for one in documents] == [SEALING, ERASED, ERASED]
    assert keys.asked == [{"p", "q"}]
    assert json.loads(ndjson(documents).splitlines()[2])["opened"] == {}
    assert await batches.next() is None
    with pytest.raises(KeyTrouble):
        await OpenedBatches(Batches([naive(stream("stranger", 1)[0])]), keys).next()


def schema(version, **properties):
    content = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Person",
        "version": version,
    }
    return content | {
        "type": "object",
        "required": ["first_name"],
        "properties": {"first_name": NAME, **properties},
    }


NAME = {"type": "string", "format": "name", "maxLength": 100}
TEXT = {"type": "string", "format": "text", "maxLength": 50}


@pytest.fixture
def renamed():
    """A schema in which a field has its third name, and another was removed."""
    first, second, third = (
        parse_schema(json.dumps(schema(version, **properties)))
        for version, properties in (
            (1, {"iban": {**TEXT, "rollcall": {"read": "payroll:read"}}, "nick": TEXT}),
            (2, {"account": {**TEXT, "rollcall": {"read": "payroll:read", "renamed_from": "iban"}}}),
            (3, {"bank": {**TEXT, "rollcall": {"read": "payroll:read", "renamed_from": "account"}}}),
        )
    )
    return dataclasses.replace(third, earlier=(first, second))


def test_what_is_withheld_is_so_under_all_its_names(renamed):
    def withheld(**query):
        return EventsExportQuery(**query).withheld(renamed)

    assert withheld() == withheld(opened=True) == frozenset()
    assert withheld(opened=True, withhold="account") == {"iban", "account", "bank"}
    assert withheld(opened=True, withhold="bank, nick") == {"iban", "account", "bank", "nick"}
    assert withheld(opened=True, withhold="@source_address,image_id") == {"@source_address", "image_id"}
    for wrong in (
        {"withhold": "bank"},
        {"opened": True, "withhold": "ibn"},
        {"opened": True, "withhold": ""},
    ):
        with pytest.raises(InvalidFields):
            withheld(**wrong)


def test_a_field_that_wants_a_scope_is_withheld_under_all_its_names(renamed):
    hidden = PersonView.of(renamed, {"audit:read"}).hidden
    assert hidden == {"iban", "account", "bank"}
    assert not PersonView.of(renamed, {"payroll:read"}).hidden
    assert not PersonView.of(SCHEMA, {"audit:read"}).hidden


def test_a_page_of_events_has_nothing_of_an_export():
    EventsExportQuery().check_paged()
    with pytest.raises(InvalidFields):
        EventsExportQuery(opened=True).check_paged()
