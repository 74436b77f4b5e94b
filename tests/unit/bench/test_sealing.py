"""What benchmarks put into the log opens with the keys that they give its people."""

from bench.audit import _documents
from bench.sealing import sealed
from bench.verify import _stream
from events.log.event import hash_of
from events.log.stored import event_document
from service_kit.seals.opening import open_document, prove_values
from service_kit.seals.person_key import PersonKey

KEY = PersonKey(bytes(64))


def test_events_with_made_up_hashes_open():
    for document in _documents(["p"]):
        closed = sealed(document, KEY)
        assert "first_name" not in closed["data"] and "user_agent" not in closed
        found = open_document(closed, KEY)
        assert {name: found[name] for name in document} == document


def test_events_as_workers_make_them_are_proved():
    for event in _stream(1, "p", KEY):
        prove_values(event_document(event), KEY)
        assert event.hash == hash_of(event)
