"""Which person schema a process goes by, and what it says once a newer one is in force."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from events.errors import Unavailable
from events.log.applied_schema import AppliedSchema, SchemaLog, WithdrawnSchema, schema_text
from events.person.schema.reading import read_schema
from service_kit.mongo import schema_watch
from service_kit.mongo.schema_watch import SchemaWatch
from service_kit.schema_in_force import choose_schema, with_coming

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)


def schema(version, name="x"):
    return read_schema({"version": version, "type": "object", "properties": {name: {"type": "string"}}})


def record(*schemas):
    return [
        AppliedSchema(one, schema_text(one), at, f"{at}", "ada", NOW) for at, one in enumerate(schemas, 1)
    ]


@pytest.mark.parametrize("named", [True, False])
def test_the_file_counts_until_something_is_on_record(named):
    file = schema(4)
    assert choose_schema(file, [], is_named=named) is file


@pytest.mark.parametrize(("named", "number"), [(True, 1), (True, 2), (False, 1), (False, 3)])
def test_the_newest_on_record_counts_from_then_on(named, number):
    first, second = schema(1), schema(2, "y")
    file = schema(number, {1: "x", 2: "y", 3: "z"}[number])
    chosen = choose_schema(file, record(first, second), is_named=named)
    assert (chosen.document, chosen.earlier) == (second.document, (first,))


@pytest.mark.parametrize("number", [1, 2])
def test_a_file_with_a_number_on_record_and_other_content_ends_the_start(number):
    on_record = record(schema(1), schema(2, "y"))
    with pytest.raises(SystemExit, match=f"^cannot start: the person schema's file has number {number}, "):
        choose_schema(schema(number, "other"), on_record, is_named=True)
    assert choose_schema(schema(number, "other"), on_record, is_named=False).version == 2


def test_a_worker_goes_by_what_is_prepared_too():
    unique = {"type": "string", "rollcall": {"unique": True}}
    then = read_schema({"version": 2, "type": "object", "properties": {"x": unique}})
    first, prepared = record(schema(1), then)
    prepared = replace(prepared, type="schema.prepared")
    own = with_coming(first.schema, SchemaLog((first, prepared)))
    assert (own.version, own.on_record, dict(own.coming)) == (1, 2, {"x.2": ("x",)})
    back = WithdrawnSchema(2, (), 3, "3", "ada", NOW)
    own = with_coming(first.schema, SchemaLog((first, prepared, back)))
    assert (own.on_record, dict(own.coming)) == (3, {})
    assert with_coming(first.schema, SchemaLog(())) is first.schema


def test_a_file_that_nobody_has_applied_is_told_of():
    on_record = record(schema(1))
    with capture_logs() as logs:
        assert choose_schema(schema(2), on_record, is_named=True) is on_record[0].schema
    assert [(one["event"], one["file"], one["in_force"]) for one in logs] == [("schema not applied", 2, 1)]


class Stream:
    """The collection of schemas, as far as it is asked: each answer is one look's."""

    def __init__(self, *numbers) -> None:
        self.numbers = list(numbers)

    async def find_one(self, wanted, _shown, sort):
        assert wanted["type"] == "schema.applied"
        assert sort == [("version", -1)]
        number = self.numbers.pop(0) if len(self.numbers) > 1 else self.numbers[0]
        return number and {"data": {"number": number}}


def watch(monkeypatch, *numbers):
    monkeypatch.setattr(schema_watch, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(schema_watch, "reading", lambda *_, **__: {"schema_events": Stream(*numbers)})
    return SchemaWatch(None, "rollcall", schema(2))


async def test_a_service_that_goes_by_an_older_schema_says_so_in_one_line(monkeypatch):
    seen = watch(monkeypatch, 2, 3)
    await seen.check()
    with capture_logs() as logs:
        looking = asyncio.create_task(seen.run())
        for _ in range(10):
            await asyncio.sleep(0)
        looking.cancel()
    with pytest.raises(
        Unavailable, match="number 3 of the person schema is newer than 2, by which this process goes"
    ):
        await seen.check()
    assert [one["event"] for one in logs] == ["schema is older than the one in force"]
