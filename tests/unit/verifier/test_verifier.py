"""The standalone verifier: its agreement with the log's own rules, its checkpoints, and what it cannot read."""

import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from bson import Code, DatetimeMS, Decimal128, Int64
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.log.event import RecordedEvent, canonical, event_of_line, export_line, hash_of
from events.log.stored import event_document, event_of
from operations.log_links import link_of_document
from tests.chained import event, lines, resealed, stream, verify
from tests.system import ROOT
from verifier import (
    Finding,
    link_of,
    read_lines,
    walk,
)
from verifier import canonical as verifier_canonical

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
maybe = st.none() | texts
times = st.integers(0, 253_402_214_400_000).map(
    lambda ms: datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)
)
events = st.builds(
    RecordedEvent,
    event_id=texts,
    person_id=texts,
    version=st.integers(-(2**31), 2**53 - 1),
    type=texts,
    schema=st.just(2),
    person_schema=st.none() | st.integers(0, 2**53 - 1),
    data=st.dictionaries(texts, maybe | st.booleans() | st.integers(-(2**53), 2**53) | st.lists(texts)),
    command_id=texts,
    actor=texts,
    actor_name=st.none(),
    accepted_at=times,
    applied_at=times,
    correlation_id=texts,
    causation_id=maybe,
    traceparent=maybe,
    source_address=st.none(),
    user_agent=st.none(),
    prev=texts,
    hash=texts,
)


@given(events)
def test_it_reads_and_hashes_any_event_as_the_log_does(one):
    line = export_line(one)
    link = link_of(line, 7)
    assert link == (
        one.person_id,
        one.version,
        one.prev,
        one.hash,
        hash_of(one),
        one.event_id,
        7,
        None,
        0,
        0,
        0,
    )
    content = json.loads(line)
    assert verifier_canonical(content) == line
    del content["hash"]
    assert verifier_canonical(content) == canonical(one)
    assert event_of_line(line) == one


@given(events)
def test_the_walk_over_the_database_hashes_any_event_as_the_log_does(one):
    document = event_document(one)
    naive = {name: document[name].replace(tzinfo=None) for name in ("accepted_at", "applied_at")}
    link = link_of_document({**document, **naive})
    assert link == (
        one.person_id,
        one.version,
        one.prev,
        one.hash,
        hash_of(one),
        one.event_id,
        None,
        None,
        0,
        0,
        0,
    )
    assert event_of(document) == one


@pytest.mark.parametrize(
    "change",
    [
        {"note": "x"},
        {"event_id": "p.1"},
        {"version": 1.0},
        {"schema": True},
        {"schema": Decimal128("1")},
        {"accepted_at": DatetimeMS(2**60)},
        {"actor": Code("ada")},
        {"data": {"first_name": b"x"}},
        {"_id": 5},
        {"hash": None},
        {"prev": None},
    ],
)
def test_a_document_with_what_no_event_holds_has_another_hash(change):
    one = event("p", 1, "0" * 64)
    stored = event_document(one)
    naive = {name: stored[name].replace(tzinfo=None) for name in ("accepted_at", "applied_at")}
    assert link_of_document({**stored, **naive}).sealed == one.hash
    assert link_of_document({**stored, **naive, "version": Int64(1)}).sealed == one.hash
    link = link_of_document({**stored, **naive, **change})
    assert link.version == 1
    (verdict,) = walk([link])
    assert verdict.finding is not None
    assert verdict.finding.sentence
    assert json.dumps(verdict.finding.as_json())


LOG = [*stream("a", 3), *stream("b", 1), *stream("c", 2)]


def forged(line):
    """Return a line with the hash that it must bear, whatever is in it."""
    before, _, after = line.partition(b'"hash":')
    after = after.partition(b",")[2]
    return before + b'"hash":"%b",' % hashlib.sha256(before + after).hexdigest().encode() + after


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff", "not UTF-8"),
        (b"{", "not JSON"),
        (b"[]", "no JSON object"),
        (b"[" * 100_000, "nested"),
        (b'{"version":' + b"9" * 5000 + b"}", "not JSON"),
        (b'{"version":1e0}', "not whole"),
        (b'{"version":NaN}', "not whole"),
        (b'{"version":true}', "no version"),
        (b'{"version":"1"}', "no version"),
        (b'{"version":99999999999999999999}', "no version"),
        (b'{"version":1,"person_id":5}', "no person_id"),
        (export_line(LOG[0]).replace(b'"actor":"ada"', b'"actor":"bob","actor":"ada"'), "key twice"),
        (export_line(LOG[0]).replace(b'"ada"', rb'"\ud800"'), "UTF-8"),
        (forged(export_line(LOG[0]).replace(b'"a"', rb'"\ud800"')), "UTF-8"),
        (b"x" * (1 << 21), "longer"),
    ],
)
def test_a_line_that_is_no_event_is_named(tmp_path, line, reason):
    status, findings = verify(tmp_path, lines(LOG) + line + b"\n" + lines(stream("d", 1)))
    assert status == 1
    assert [(one["kind"], one["line"]) for one in findings] == [("unreadable", 7)]
    assert reason in findings[0]["text"]


def test_white_space_and_the_order_of_keys_do_not_matter(tmp_path):
    text = b"".join(
        json.dumps(dict(reversed(json.loads(export_line(one)).items())), indent=None).encode() + b"\r\n\n"
        for one in LOG
    )
    assert verify(tmp_path, text) == (0, [])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(max_size=200) | st.just(b"\x1f\x8b") | events.map(export_line), max_size=5))
def test_no_bytes_crash_it(tmp_path, parts):
    status, findings = verify(tmp_path, b"\n".join(parts))
    assert (status == 1) == bool(findings)
    assert status in (0, 1, 2)


@settings(deadline=None)
@given(st.data())
def test_a_good_log_with_any_bytes_in_it_is_found_or_the_same(data):
    text = bytearray(lines(LOG[:2]))
    at = data.draw(st.integers(0, len(text)))
    text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    read = list(read_lines(io.BytesIO(bytes(text))))
    good = [one for one in read if not isinstance(one, Finding) and one.sealed == one.hash]
    before = [link_of(export_line(one), 0)[:6] for one in LOG[:2]]
    assert all(one[:6] in before for one in good)


def run(*arguments, stdin=b""):
    command = [sys.executable, "-m", "verifier", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, input=stdin, capture_output=True, check=False, timeout=60)


def test_the_program_reads_files_packed_files_and_standard_input(tmp_path):
    packed = tmp_path / "log.gz"
    packed.write_bytes(gzip.compress(lines(LOG)))
    for done in (run(packed), run("-", stdin=lines(LOG)), run("-", stdin=gzip.compress(lines(LOG)))):
        assert (done.returncode, done.stdout) == (0, b"")
        assert b"6 events in 3 streams: nothing was altered" in done.stderr


def test_the_program_says_in_a_sentence_what_it_found(tmp_path):
    bad = [resealed(LOG[0], person_id="a\x1b[2J\nb"), *LOG[:1], *LOG[2:]]
    bad[0] = replace(bad[0], actor="eve")
    done = run("-", stdin=lines(bad))
    assert done.returncode == 1
    assert done.stdout.decode().splitlines() == [
        "person a, version 2: it is missing: after version 1 comes version 3",
        r"person a\x1b[2J\nb, version 1: it was altered: its hash is not that of its content (event a.1, line 1)",
    ]


def test_the_program_says_what_it_cannot_read(tmp_path):
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(lines(LOG))[:-20])
    key = tmp_path / "key"
    key.write_text("none")
    for arguments in (
        [tmp_path / "nowhere"],
        [tmp_path],
        [cut],
        [cut, "--checkpoints", tmp_path],
        [cut, "--checkpoints", tmp_path, "--public-key", key],
        [cut, "--checkpoints", tmp_path / "nowhere", "--public-key", key],
    ):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, b""), done
        assert b"Traceback" not in done.stderr
        assert done.stderr


def test_it_runs_with_nothing_of_ours_beside_it(tmp_path):
    shutil.copytree(ROOT / "verifier", tmp_path / "verifier", ignore=shutil.ignore_patterns("__pycache__"))
    command = [
        sys.executable,
        "-I",
        "-c",
        "import sys; sys.path.insert(0, '.'); import verifier.__main__ as m; ",
    ]
    command[-1] += "sys.exit(m.main(['-']))"
    done = subprocess.run(
        command, cwd=tmp_path, input=lines(LOG), capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
