"""A log of 5,000 events is tampered with in every way, at every kind of place: all is found, in its place."""

import io
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from events.log.event import HASHED, RecordedEvent, export_line
from tests.chained import Log, checkpoint, event, heads, lines, resealed, stream, verify
from verifier import Finding, Recorded, read_lines, walk

LENGTHS = {1: 600, 2: 400, 4: 400, 100: 20}
FIELDS = [*HASHED, "hash"]


def place(length: int) -> list[int]:
    """The first, second, middle, last but one and last index."""
    return sorted({index for index in (0, 1, length // 2, length - 2, length - 1) if 0 <= index < length})


PLACES = [(length, index) for length in LENGTHS for index in place(length)]


@pytest.fixture(scope="module")
def streams() -> dict[str, Log]:
    """Every stream by its person."""
    return {
        f"p{length:03}-{number:03}": stream(f"p{length:03}-{number:03}", length)
        for length, count in LENGTHS.items()
        for number in range(count)
    }


@pytest.fixture(scope="module")
def checkpoints(streams, tmp_path_factory):
    """A folder with a checkpoint of the log as it was, and one of when it was half as long."""
    folder = tmp_path_factory.mktemp("checkpoints")
    checkpoint(folder, [one for each in streams.values() for one in each[: len(each) // 2]])
    checkpoint(folder, [one for each in streams.values() for one in each])
    return folder


def changed(of: RecordedEvent, field: str) -> RecordedEvent:
    value = getattr(of, field)
    if field == "version":
        return replace(of, version=value + 1000)
    if isinstance(value, int):
        return replace(of, **{field: value + 1})
    if isinstance(value, dict):
        return replace(of, data={**value, "grade": -1})
    if isinstance(value, tuple):
        return replace(of, sealed_fields=value[1:])
    if value is None or isinstance(value, str):
        return replace(of, **{field: f"{value}0"})
    return replace(of, **{field: value + timedelta(milliseconds=1)})


def forged(log: Log, at: int) -> RecordedEvent:
    """An event that nobody sealed, in the place of one."""
    return replace(log[at], data={**log[at].data, "grade": 99}, event_id="forged", command_id="forged")


def sealed(log: Log, at: int, **changes) -> RecordedEvent:
    """The same with the hash that it must bear, made to follow the one before it."""
    return resealed(forged(log, at), prev=log[at].prev, **changes)


def again(log: Log, at: int, first: RecordedEvent, shift: int = 0) -> Log:
    """The log with another event and all after it sealed anew, as the whole would be forged."""
    made = [*log[:at], first]
    for one in log[at + 1 - shift :]:
        made.append(resealed(one, version=made[-1].version + 1, prev=made[-1].hash))
    return made


def exchanged(log: Log, at: int, seal_them: bool) -> Log:
    """Two neighbours in each other's places; of the last one, the one before."""
    at = min(at, len(log) - 2)
    one = replace(log[at + 1], version=log[at].version)
    other = replace(log[at], version=log[at + 1].version)
    if seal_them:
        one, other = resealed(one), resealed(other)
    return [*log[:at], one, other, *log[at + 2 :]]


def inserted(log: Log, at: int) -> Log:
    """A forged event that fits, and those after it moved up."""
    moved = [replace(one, version=one.version + 1) for one in log[at:]]
    return [*log[:at], sealed(log, at), *moved]


# What is done to a log at an index. With 1, it itself fits, and the next one is the first that contradicts.
WAYS = {
    **{
        f"change {name}": (lambda log, at, name=name: [*log[:at], changed(log[at], name), *log[at + 1 :]], 0)
        for name in FIELDS
    },
    "exchange the content, with its own hash": (
        lambda log, at: [*log[:at], sealed(log, at), *log[at + 1 :]],
        0,
    ),
    "drop": (lambda log, at: [*log[:at], *log[at + 1 :]], 0),
    "insert beside, before": (lambda log, at: [*log[:at], forged(log, at), *log[at:]], 0),
    "insert beside, after": (lambda log, at: [*log[: at + 1], forged(log, at), *log[at + 1 :]], 0),
    "insert beside, with its own hash": (lambda log, at: [*log[:at], sealed(log, at), *log[at:]], 0),
    "insert and move the others up": (inserted, 1),
    "truncate": (lambda log, at: log[:at], 0),
}
PAIRS = {
    "swap": lambda log, at: exchanged(log, at, False),
    "swap, with their own hashes": lambda log, at: exchanged(log, at, True),
}
WHOLE = {
    "remove the person": lambda log, at: [],
    "rewrite all from there": lambda log, at: again(log, at, sealed(log, at)),
    "insert, and rewrite all from there": lambda log, at: again(log, at, sealed(log, at), shift=1),
}


def tampered(streams, way):
    """Tamper with one stream for each place; return the log and which person's what was tampered with."""
    log, places = dict(streams), {}
    for number, (length, index) in enumerate(PLACES):
        person_id = f"p{length:03}-{number:03}"
        log[person_id] = way(streams[person_id], index)
        places[person_id] = (length, index)
    return lines([one for each in log.values() for one in each]), places


def recorded(length: int) -> tuple[int, int]:
    """The versions that checkpoints recorded of a stream."""
    return length // 2, length


def first_bad(findings: list[dict]) -> dict[str, int]:
    assert len({one["person_id"] for one in findings}) == len(findings), "a person is named once"
    return {one["person_id"]: one["version"] for one in findings}


def test_a_good_log_is_fine_in_any_order(streams, checkpoints, tmp_path):
    log = [one for each in streams.values() for one in each]
    assert len(log) == 5000
    random.Random(1).shuffle(log)
    assert verify(tmp_path, lines(log), checkpoints) == (0, [])
    assert verify(tmp_path, lines(log)) == (0, [])


@pytest.mark.parametrize("name", WAYS)
def test_what_is_done_to_one_event_is_found_in_its_place(streams, checkpoints, tmp_path, name):
    way, later = WAYS[name]
    log, places = tampered(streams, way)
    status, findings = verify(tmp_path, log, checkpoints)
    found = first_bad(findings)
    expected = {
        person_id: index + 1 + (later and index + 1 not in recorded(length))
        for person_id, (length, index) in places.items()
    }
    if name == "change person_id":
        # The event is now in a stream that never was.
        strangers = {f"{person_id}0" for person_id in places}
        assert {one for one in found if one in strangers} == strangers
        found = {person_id: version for person_id, version in found.items() if person_id not in strangers}
    assert (status, found) == (1, expected)


@pytest.mark.parametrize("name", PAIRS)
def test_two_events_in_each_others_places_are_found(streams, checkpoints, tmp_path, name):
    log, places = tampered(streams, lambda log, at: PAIRS[name](log, at) if len(log) > 1 else log)
    status, findings = verify(tmp_path, log, checkpoints)
    expected = {
        person_id: min(index, length - 2) + 1 for person_id, (length, index) in places.items() if length > 1
    }
    assert (status, first_bad(findings)) == (1, expected)


@pytest.mark.parametrize("name", WHOLE)
def test_what_fits_together_is_found_by_a_checkpoint_alone(streams, checkpoints, tmp_path, name):
    log, places = tampered(streams, WHOLE[name])
    assert verify(tmp_path, log) == (0, [])
    status, findings = verify(tmp_path, log, checkpoints)
    assert status == 1
    for person_id, version in first_bad(findings).items():
        length, index = places.pop(person_id)
        if name == "remove the person":
            assert version == 1
        else:
            # Of a checkpoint's two heads, at half and at the end, the first that is not as it was.
            half, whole = recorded(length)
            assert version == (half if index < half else whole)
    assert not places


@pytest.mark.parametrize("name", ["truncate", "drop"])
def test_without_a_checkpoint_the_end_of_a_stream_can_be_cut_off(streams, tmp_path, name):
    log, places = tampered(streams, WAYS[name][0])
    _, findings = verify(tmp_path, log)
    ends = {person_id for person_id, (length, index) in places.items() if index == length - 1}
    found = first_bad(findings)
    assert not ends & set(found)
    assert name == "truncate" or set(found) == set(places) - ends


@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80])
def test_a_change_of_any_byte_of_a_line_is_found_in_its_place(at, mask):
    log = stream("p", 4)
    known = [Recorded(*heads(log)[0], 1)]
    texts = [export_line(one) for one in log]
    for offset in range(len(texts[at])):
        changed_text = bytearray(texts[at])
        changed_text[offset] ^= mask
        text = b"\n".join([*texts[:at], bytes(changed_text), *texts[at + 1 :]])
        read = list(read_lines(io.BytesIO(text)))
        links = sorted(one for one in read if not isinstance(one, Finding))
        found = [one for one in read if isinstance(one, Finding)]
        found += [verdict.finding for verdict in walk(links, known) if verdict.finding]
        # A changed version is one that is missing, or there twice: by an event in that line.
        assert any(one.version == at + 1 or one.line == at + 1 for one in found), (offset, found)


def test_an_event_of_another_person_does_not_fit(tmp_path):
    log = [*stream("a", 3), *stream("b", 3)]
    log[1], log[4] = (replace(log[4], person_id="a"), replace(log[1], person_id="b"))
    status, findings = verify(tmp_path, lines(log))
    assert (status, first_bad(findings)) == (1, {"a": 2, "b": 2})


def test_a_version_below_one_is_none(tmp_path):
    log = [*stream("a", 2), resealed(event("a", 1, "0" * 64), version=0, event_id="x")]
    status, findings = verify(tmp_path, lines(log))
    assert (status, first_bad(findings)) == (1, {"a": 0})
