"""Proving sealed values in a walk: what is proved, what nobody can open, and what is damaged."""

import dataclasses

import pytest

from events.log.stored import event_document
from operations.errors import SetupError
from operations.log_opening import Opening, proved
from service_kit.seals.kek import Keks
from service_kit.seals.opening import ERASED
from service_kit.seals.person_key import PersonKey
from tests.chained import SEALED, SEALING, stream
from verifier import walk

LOG = stream("p", 2)
KEKS = Keks({"one": bytes(32)})


def stored(event, **changes):
    document = {**event_document(event), **changes}
    return document | {name: document[name].replace(tzinfo=None) for name in ("accepted_at", "applied_at")}


def judged(documents, key):
    (verdict,) = walk(proved(one, {"p": key}) for one in documents)
    return verdict


def test_every_value_is_proved_with_the_persons_key():
    verdict = judged([stored(one) for one in LOG], SEALING)
    assert (verdict.finding, verdict.proved, verdict.withheld) == (None, 2 * len(SEALED), 0)


def test_values_of_an_erased_person_are_none_of_those_and_no_finding():
    verdict = judged([stored(one) for one in LOG], ERASED)
    assert (verdict.finding, verdict.proved, verdict.withheld) == (None, 0, 2 * len(SEALED))


@pytest.mark.parametrize(
    "changes",
    [
        {"sealed": LOG[0].sealed},
        {"sealed": LOG[1].sealed[:-1]},
        {"sealed": SEALING.seal(LOG[1].hash, b'{"first_name":"Zoe"}')},
        {"sealed": SEALING.seal(LOG[1].hash, b'{"@source_address":"x","first_name":"a","last_name":"b"}')},
        {"sealed": None},
    ],
)
def test_what_was_sealed_otherwise_is_damaged_which_without_keys_nobody_sees(changes):
    documents = [stored(LOG[0]), stored(LOG[1], **changes)]
    verdict = judged(documents, SEALING)
    assert (verdict.finding.kind, verdict.finding.version) == ("damaged", 2)
    assert judged(documents, ERASED).finding is None
    assert judged(documents, PersonKey(bytes(64))).finding.version == 1


def test_an_altered_event_is_that_first():
    verdict = judged([stored(dataclasses.replace(LOG[0], actor="eve"), sealed=None)], SEALING)
    assert verdict.finding.kind == "altered"


class Rows:
    """Rows of keys, in place of a client, a database and a collection."""

    def __init__(self, *rows):
        self.rows = rows

    def get_database(self, name, **_options):
        assert name == "x_keys"
        return {"keys": self}

    def find(self, query):
        return [row for row in self.rows if row["_id"] in query["_id"]["$in"]]


def test_keys_are_read_from_their_rows_and_a_missing_one_is_trouble():
    kek, wrapped = SEALING.wrapped("p", KEKS)
    opening, documents = Opening("x", KEKS), [stored(one) for one in (*LOG, *stream("q", 1))]
    row, erased = {"_id": "p", "kek": kek, "key": wrapped}, {"_id": "q", "erased_at": LOG[0].applied_at}
    links = list(opening.links(Rows(row, erased), iter(documents)))
    assert [(one.proved, one.withheld) for one in links] == [(3, 0), (3, 0), (0, 3)]
    for rows in (
        [row],
        [row, {"_id": "q"}],
        [{**row, "kek": "other"}, erased],
        [{**row, "key": b"x"}, erased],
    ):
        with pytest.raises(SetupError):
            list(opening.links(Rows(*rows), iter(documents)))
