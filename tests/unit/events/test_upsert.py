"""A command that changes a person who exists, and creates one who does not; decided from the state alone."""

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from events.log.event import record
from events.person.commands import decode_command, encode_command
from events.person.decider import PersonState, decide, evolve
from events.person.rejections import PersonExists, PersonNotFound
from query_api.imports.routes import SILENT, import_view
from service_kit.ids import new_id
from tests.chained import SEALING
from tests.default_schema import SCHEMA, PersonChanges, UpsertPerson
from workers.deciding.person_batch import PersonBatch

NOW = datetime(2026, 2, 28, 9, 30, tzinfo=UTC)
ID = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
WHOLE = {
    "document_type": "citizen_id",
    "document_id": "1020304",
    "first_name": "Ana",
    "last_name": "Gómez",
    "birth_date": "1990-12-10",
    "gender": "female",
    "email": "ana@example.com",
    "phone": "+573001234567",
}


def upsert(**fields: str | None) -> UpsertPerson:
    command = UpsertPerson(
        command_id=new_id(),
        person_id=ID,
        accepted_at=NOW,
        actor="ada",
        correlation_id="import:x",
        causation_id="row:000000001",
        data=PersonChanges(**fields),
    )
    assert decode_command(orjson.dumps(encode_command(command)), SCHEMA) == command
    return command


def after(state: PersonState, command: UpsertPerson) -> PersonState:
    (event,) = decide(command, state, SCHEMA)
    stamps = {"event_id": new_id(), "version": state.version + 1, "applied_at": NOW, "prev": state.hash}
    return evolve(state, record(event, command, **stamps, schema=SCHEMA, key=SEALING))


def test_whoever_is_not_there_is_created_and_then_changed_in_what_the_row_has():
    created = after(PersonState(ID), upsert(**WHOLE, address=None))
    assert (created.version, created.fields) == (1, WHOLE)
    changed = after(created, upsert(occupation="Chef", first_name="Ana"))
    assert decide(upsert(occupation="Chef", first_name="Eva"), changed, SCHEMA)[0].data == {
        "first_name": "Eva"
    }
    assert changed.fields == {**WHOLE, "occupation": "Chef"}
    assert after(changed, upsert(occupation=None)).fields == WHOLE


def test_whoever_is_so_already_stays_at_the_version():
    created = after(PersonState(ID), upsert(**WHOLE, address=None))
    assert decide(upsert(**WHOLE, address=None), created, SCHEMA) == []


def test_nobody_is_created_of_a_part_and_nobody_comes_back():
    with pytest.raises(PersonNotFound, match=r"lacks document_type, .*phone"):
        decide(upsert(occupation="Chef"), PersonState(ID), SCHEMA)
    with pytest.raises(PersonExists):
        decide(upsert(**WHOLE), PersonState(ID, status="deleted", version=2), SCHEMA)


def test_the_log_is_asked_before_a_part_is_refused():
    assert PersonBatch(PersonState(ID), undecided=[upsert(occupation="Chef")]).needs_log


def document(**changes: object) -> dict[str, object]:
    plain = dict.fromkeys(("delimiter", "columns", "actor_name"))
    counts = {"read": 10, "accepted": 8, "refused": 2, "applied": 5, "undone": 1}
    facts = {"mode": "create", "dry_run": False, "media_type": "text/csv", "packed": False, "actor": "ada"}
    state = {"_id": ID, "state": "reading", "whole": False, "digest": "d", "begun_at": NOW, "updated_at": NOW}
    return {**plain, **counts, **facts, **state, **changes}


def test_an_import_that_nobody_notes_any_more_is_interrupted():
    assert import_view(document(), NOW + SILENT, "en")["state"] == "reading"
    told = import_view(document(), NOW + SILENT + timedelta(seconds=1), "en")
    assert (told["state"], told["rejected"], told["sha256"]) == ("interrupted", 3, None)


def test_the_row_at_which_an_import_stopped_is_counted_with_it():
    told = import_view(document(state="stopped", reason="row 11 is not valid"), NOW, "es")
    assert told["reason"] == "la fila 11 no es válida"
    assert (told["read"], told["invalid"], told["rejected"]) == (11, 3, 4)
