"""The pure parts of a rebuild: what events come to, how documents differ, what is left to do."""

import dataclasses
import json
import unicodedata
from itertools import groupby

import pytest
from bson import BSON
from bson.codec_options import CodecOptions
from hypothesis import given

from events.log.commitments import jcs
from events.log.stored import event_document
from events.person.decider import fold
from operations.addresses import DatabaseAddress
from operations.errors import SetupError
from operations.log_walk import Range, all_ranges
from operations.rebuild.connections import RebuildReport
from operations.rebuild.differences import LEFT_ALONE, TEXTS, difference
from operations.rebuild.folding import Folded, folds
from operations.rebuild.rebuilding import beside
from operations.rebuild.resume import ResumeFile, what
from operations.rebuild.verb import described
from query_api.reading import projection_check
from service_kit import read_model as documents
from service_kit.read_model import person_document, projection_of
from service_kit.seals.opening import ERASED
from service_kit.seals.person_key import PersonKey
from tests.chained import SEALING, event
from tests.claims import known_names
from tests.default_schema import SCHEMA, UNIQUE_EMAIL
from tests.unit.events.test_decider import ID, STEPS, apply, commands_of, create, delete, update

NAIVE = CodecOptions(tz_aware=False)


def stored(log, key=SEALING):
    return [(BSON.encode(event_document(one)).decode(NAIVE), {ID: key}) for one in log]


def folded(*commands) -> Folded:
    (one,) = folds(stored(apply(*commands)[1]), SCHEMA, known_names(SCHEMA))
    return one


@given(STEPS)
def test_what_it_makes_of_events_is_what_a_worker_makes(steps):
    state, log = apply(*commands_of(steps))
    found = list(folds(stored(log), UNIQUE_EMAIL, known_names(UNIQUE_EMAIL)))
    if not log:
        assert found == []
        return
    (one,) = found
    assert (one.person_id, one.events, one.version) == (ID, len(log), len(log))
    assert (
        one.document == person_document(state, UNIQUE_EMAIL) == person_document(fold(ID, log), UNIQUE_EMAIL)
    )
    assert one.claims == known_names(UNIQUE_EMAIL).held(state.fields)
    assert one.problem is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"actor": "eve"}, "version 2 of the log: it was altered"),
        ({"version": 3}, "version 2 of the log: it is missing"),
        ({"type": "person.renamed"}, "version 2 of the log is no event"),
        ({"schema": 7}, "version 2 of the log: an event has schema 7, and this version"),
        ({"data": {"last_name": 5}}, "the log makes no person"),
    ],
)
def test_what_cannot_be_folded_says_so(changes, words):
    log = apply(create(), update(2, last_name="Paz"))[1]
    if words == "version 2 of the log: it was altered":
        bad = dataclasses.replace(log[1], **changes)
    else:
        bad = event(ID, prev=log[0].hash, **{"version": 2, "data": log[1].data, **changes})
    (one,) = folds(stored([log[0], bad]), SCHEMA, known_names(SCHEMA))
    assert one.document is None
    assert one.problem is not None and one.problem.startswith(words)
    found = difference(one, {"_id": ID})
    assert found is not None and found.kind == "unreadable"


def test_an_erased_person_comes_to_a_tombstone_though_the_log_does_not_say_so():
    log = apply(create(), update(2, last_name="Paz"))[1]
    (one,) = folds(stored(log, key=ERASED), UNIQUE_EMAIL, known_names(UNIQUE_EMAIL))
    gone = {"_id": ID, "version": 2, "hash": log[1].hash, "deleted": True}
    assert one.document == {**gone, "projection": projection_of(UNIQUE_EMAIL)}
    assert (one.claims, one.milestones, one.problem) == (frozenset(), (), None)


def test_a_key_that_is_not_there_is_trouble_and_no_erasure():
    log = apply(create(), delete(2))[1]
    (one,) = folds([(document, {}) for document, _ in stored(log)], SCHEMA, known_names(SCHEMA))
    assert one.document is None
    assert one.problem == f"version 1 of the log: there is no key for {ID}, who has sealed values"
    (other,) = folds(stored(log, key=PersonKey.new()), SCHEMA, known_names(SCHEMA))
    assert other.document is None
    assert other.problem is not None and "do not open with the person's key" in other.problem
    assert "Ana" not in one.problem + other.problem


def test_each_way_to_differ_has_its_name():
    one = folded(create(), update(2, address="Calle 9"))
    good = one.document
    assert good is not None
    assert difference(one, dict(good)) is None
    kinds = {
        "missing": None,
        "changed": {**good, "address": "elsewhere", "version": 2},
        "stale": {**good, "version": 1},
        "ahead": {**good, "version": 3},
        "outdated": {**good, "projection": 0},
        "newer": {**good, "projection": documents.PROJECTION + 1, "version": 9},
    }
    for kind, seen in kinds.items():
        found = difference(one, seen)
        assert found is not None and found.kind == kind
        assert "elsewhere" not in found.sentence + json.dumps(found.as_json())
    assert difference(one, {**good, "address": "elsewhere", "more": 1}).fields == ("address", "more")
    assert difference(one, {**good, "version": "2"}).kind == "stale"
    assert difference(Folded(ID), good).kind == "orphan"
    assert difference(Folded(ID), None) is None
    assert difference(folded(create(), delete(2)), good).kind == "changed"
    assert set(TEXTS) > LEFT_ALONE


def test_both_sides_are_gone_through_together():
    known = [Folded("b", 1), Folded("d", 1), Folded("e", 1)]
    seen = [{"_id": one} for one in ("a", "b", "c", "e", "f")]
    pairs = [
        (one.person_id, one.events, document and document["_id"]) for one, document in beside(known, seen)
    ]
    assert pairs == [
        *[("a", 0, "a"), ("b", 1, "b"), ("c", 0, "c")],
        *[("d", 1, None), ("e", 1, "e"), ("f", 0, "f")],
    ]
    assert [one for one, _ in groupby(pairs)] == pairs


def test_an_unfinished_rebuild_goes_on_by_its_own_borders(tmp_path):
    address = DatabaseAddress("mongodb://me:secret@h1,h2/?replicaSet=x", "rollcall")
    folder, of = tmp_path / "state", what(address, UNIQUE_EMAIL)
    assert "secret" not in str(of)
    file = ResumeFile(folder, of)
    progress = file.load(afresh=False)
    assert progress.plan(["b", "d"]) == all_ranges(["b", "d"])
    progress.done = [0, 2]
    file.save(progress)
    again = file.load(afresh=False)
    assert again.plan(["x"]) == [Range(1, "b", "d")]
    assert not file.load(afresh=True).done
    assert not ResumeFile(folder, what(address, SCHEMA)).load(afresh=False).done
    assert not list(folder.glob("*.new"))

    again.began -= 25 * 3600
    file.save(again)
    assert not file.load(afresh=False).done
    (folder / "rebuild-rollcall.json").write_text("{")
    assert not file.load(afresh=False).done
    file.forget()
    file.forget()
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written"):
        ResumeFile(tmp_path / "file", of).save(again)


def test_a_run_is_said_in_a_sentence():
    total = RebuildReport()
    assert described(total.repaired, total.repaired, check=True) == "the read model is what the log says"
    total.repaired.update(missing=1200, claim_missing=2)
    left = type(total.repaired)(ahead=1)
    said = described(total.repaired, left, check=False)
    assert said == "put right 1,200 missing, 2 claim missing; left alone 1 ahead"
    assert described(type(left)(), left, check=True) == "found 1 ahead"


def test_the_query_api_needs_no_newer_form_than_workers_write():
    assert projection_check.NEEDED <= documents.PROJECTION


def test_a_projection_grows_with_its_form_and_then_with_unicode():
    versions = ("13.0.0", "14.0.0", "15.0.0", "15.1.0", "16.0.0", "17.0.0")
    numbers = [
        *(
            documents.projection_number(form, one)
            for form in (documents.FORM, documents.FORM + 1)
            for one in versions
        )
    ]
    assert numbers == sorted(set(numbers))
    # Of before it was counted, when the number was that of the form alone.
    assert numbers[0] > documents.FORM
    assert documents.projection_name(documents.projection_number(2, "15.1.0")) == "2 (Unicode 15.1)"
    assert documents.projection_number(documents.FORM, unicodedata.unidata_version) == documents.PROJECTION


def test_values_that_were_sealed_wrong_are_found_by_who_proves_them():
    log = apply(create(), update(2, last_name="Paz"))[1]
    other = SEALING.seal(log[1].hash, jcs({"last_name": "Eve"}))
    documents = stored([log[0], dataclasses.replace(log[1], sealed=other)])
    (trusted,) = folds(documents, SCHEMA, known_names(SCHEMA))
    assert trusted.document is not None and trusted.document["last_name"] == "Eve"
    (one,) = folds(documents, SCHEMA, known_names(SCHEMA), prove=True)
    assert one.document is None
    assert one.problem is not None and "not those that it commits to" in one.problem
    (whole,) = folds(stored(log), SCHEMA, known_names(SCHEMA), prove=True)
    assert whole.problem is None
