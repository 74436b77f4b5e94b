"""Sealed values: known answers for the verifier's code and the log's own, and that no harm to one stays hidden."""

import copy
import hashlib
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import verifier
from events.errors import UnknownSchema
from events.log import commitments
from events.log.event import GENESIS, canonical, event_of_line, export_line, hash_of
from events.log.stored import event_document
from events.log.upcasting import lift
from operations.errors import SetupError
from operations.log_links import link_of_document
from service_kit.seals.opening import open_document, prove_values
from service_kit.seals.person_key import PersonKey
from tests.chained import SEALING, Log, lines, resealed, stream, verify
from verifier.values import MEMBERS

KNOWN = json.loads(Path(__file__).with_name("seal-known-answers.json").read_text())
KEY = PersonKey(bytes.fromhex(KNOWN["key"]))
EVENT, NAMES, VALUES = KNOWN["event"], KNOWN["event"]["sealed_fields"], KNOWN["values_in"]
SALTS, COMMITMENTS = (dict(zip(NAMES, KNOWN[part], strict=True)) for part in ("salts", "commitments"))
OPENED = {name: {"salt": SALTS[name], "value": VALUES[name]} for name in NAMES}


def line_of(**changes):
    return json.dumps({**EVENT, "hash": KNOWN["hash"], **changes}).encode()


def test_the_verifier_gives_the_known_answers():
    made = {name: verifier.commitment(SALTS[name], name, VALUES[name]) for name in NAMES}
    assert made == COMMITMENTS
    assert verifier.root(made.items()) == EVENT["values"]
    link = verifier.link_of(line_of(opened=OPENED), 1)
    assert (link.sealed, link.fault, link.proved) == (KNOWN["hash"], None, 5)


def test_the_log_gives_the_known_answers():
    assert KEY.salts(EVENT["event_id"], len(NAMES)) == KNOWN["salts"]
    assert [commitments.commitment(SALTS[name], name, VALUES[name]) for name in NAMES] == KNOWN["commitments"]
    assert commitments.root_of_values(KNOWN["salts"], VALUES.items()) == EVENT["values"]
    event = event_of_line(line_of())
    assert hash_of(event) == KNOWN["hash"]
    assert export_line(event) == verifier.canonical({**EVENT, "hash": KNOWN["hash"]})
    document = {**event_document(event), "sealed": bytes.fromhex(KNOWN["sealed"])}
    assert prove_values(document, KEY) == VALUES
    assert open_document(document, KEY)["data"] == VALUES


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = st.from_regex(r"@?[a-zA-Z][a-zA-Z0-9_]{0,8}", fullmatch=True)
values = (
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts | st.lists(texts, max_size=3)
)
salts = st.binary(min_size=16, max_size=16).map(bytes.hex)


@st.composite
def openings(draw):
    """Return names with salts and values, two at least, as an event was sealed with them."""
    drawn = draw(st.dictionaries(names, st.tuples(salts, values), min_size=2, max_size=6))
    # As salts are: each another.
    drawn = {
        name: (f"{number}{salt[1:]}", value) for number, (name, (salt, value)) in enumerate(drawn.items())
    }
    return {name: {"salt": salt, "value": value} for name, (salt, value) in sorted(drawn.items())}


def committed(entry, name):
    return {"commitment": verifier.commitment(entry["salt"], name, entry["value"])}


def line_with(opened, shown):
    """Return a line of an event that sealed some values, with its hash, and something laid open."""
    event = {**EVENT, "sealed_fields": list(opened)}
    event["values"] = verifier.root(
        (name, committed(one, name)["commitment"]) for name, one in opened.items()
    )
    hashed = verifier.canonical(event)
    return json.dumps({**event, "hash": hashlib.sha256(hashed).hexdigest(), "opened": shown}).encode()


@given(openings(), st.data())
def test_any_part_of_the_values_may_be_withheld(opened, data):
    withheld = data.draw(st.sets(st.sampled_from(sorted(opened))))
    shown = {name: committed(one, name) if name in withheld else one for name, one in opened.items()}
    link = verifier.link_of(line_with(opened, shown), 1)
    assert (link.sealed, link.fault) == (link.hash, None)
    assert (link.proved, link.withheld) == (len(opened) - len(withheld), len(withheld))


HARM = (
    "swapped",
    "moved",
    "added",
    "hidden",
    "another value",
    "another salt",
    "another commitment",
    "no entry",
)


def harm(way, shown, one, other):
    if way == "swapped":
        shown[one], shown[other] = shown[other], shown[one]
    elif way == "moved":
        shown[f"{one}_"] = shown.pop(one)
    elif way == "added":
        shown[f"{one}_"] = shown[one]
    elif way == "hidden":
        del shown[one]
    elif way == "another value":
        shown[one] = {**shown[one], "value": [shown[one]["value"]]}
    elif way == "another salt":
        shown[one] = {**shown[one], "salt": f"{shown[one]['salt'][:-1]}{'01'[shown[one]['salt'][-1] == '0']}"}
    elif way == "another commitment":
        shown[one] = {"commitment": committed(shown[other], other)["commitment"]}
    else:
        shown[one] = {"value": shown[one]["value"]}


@pytest.mark.parametrize("way", HARM)
@given(opened=openings(), data=st.data())
def test_no_harm_to_opened_values_stays_hidden(way, opened, data):
    one, other = data.draw(st.permutations(sorted(opened)))[:2]
    shown = copy.deepcopy(opened)
    harm(way, shown, one, other)
    link = verifier.link_of(line_with(opened, shown), 1)
    (verdict,) = verifier.walk([link._replace(version=1, prev=GENESIS)])
    assert verdict.finding is not None
    assert (verdict.finding.kind, verdict.finding.version) == ("damaged", 1)
    # What is missing or too much is named; of values that do not fit, that it is one of them.
    named = f"{one}_" if way in {"moved", "added"} else one
    assert named in verdict.finding.text
    assert verdict.proved == 0


@given(opened=openings(), shown=st.recursive(values, lambda more: st.dictionaries(names, more, max_size=3)))
def test_nothing_that_is_laid_open_crashes_it(opened, shown):
    assert verifier.link_of(line_with(opened, shown), 1).fault


def rehashed(**changes):
    """Return a line with other content and the hash that fits it."""
    content = {name: value for name, value in {**EVENT, **changes}.items() if value is not ...}
    return {**content, "hash": hashlib.sha256(verifier.canonical(content)).hexdigest()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"schema": 3}, "schema 3"),
        ({"note": "x"}, "what no event has: note"),
        ({"traceparent": ...}, "lacks traceparent"),
        ({"sealed_fields": ["b", "a"]}, "in order, each once"),
        ({"sealed_fields": ["a", "a"]}, "in order, each once"),
        ({"sealed_fields": ["ñ"]}, "in order, each once"),
        ({"sealed_fields": "a"}, "are none"),
        ({"sealed_fields": []}, "no names"),
        ({"data": {"email": "a@example.org"}}, "email is sealed and in the clear"),
        ({"data": []}, "are none"),
        ({"values": "x"}, "no hash"),
    ],
)
def test_what_has_not_the_form_of_an_event_is_damaged_whatever_its_hash(tmp_path, changes, words):
    line = rehashed(**changes)
    status, findings = verify(tmp_path, json.dumps(line).encode())
    assert (status, [one["kind"] for one in findings]) == (1, ["damaged"])
    assert words in findings[0]["text"]


def test_a_name_that_is_taken_out_of_the_sealed_ones_is_an_alteration(tmp_path):
    hidden = {**EVENT, "hash": KNOWN["hash"], "sealed_fields": NAMES[1:]}
    status, findings = verify(tmp_path, json.dumps(hidden).encode())
    assert (status, findings[0]["kind"]) == (1, "altered")


def test_the_hash_covers_the_designed_members():
    assert set(EVENT) == MEMBERS
    assert set(json.loads(canonical(event_of_line(line_of())))) == MEMBERS


def test_lines_of_erased_people_have_nothing_opened_and_verify(tmp_path):
    log: Log = stream("p", 2)
    log.append(
        resealed(
            log[-1],
            event_id="p.3",
            command_id="c-p-3",
            version=3,
            type="person.erased",
            prev=log[-1].hash,
            data={},
            sealed_fields=(),
            values=verifier.root(()),
        )
    )
    assert verify(tmp_path, lines(log)) == (0, [])


def old_line():
    old = {name: value for name, value in EVENT.items() if name not in {"sealed_fields", "values"}}
    return {
        **old,
        "schema": 1,
        "hash": "0" * 64,
        "actor_name": None,
        "source_address": None,
        "user_agent": None,
    }


def test_a_log_of_schema_1_is_refused_in_a_sentence(tmp_path, capsys):
    status, findings = verify(tmp_path, lines(stream("p", 1)) + json.dumps(old_line()).encode())
    assert (status, findings) == (2, [])
    assert "line 2 is an event of schema 1" in capsys.readouterr().err
    old = old_line()
    old["_id"] = old.pop("event_id")
    times = {
        name: stream("p", 1)[0].applied_at.replace(tzinfo=None) for name in ("accepted_at", "applied_at")
    }
    with pytest.raises(SetupError, match="schema 1"):
        link_of_document({**old, **times})
    with pytest.raises(UnknownSchema, match="schema 1, with values in the clear"):
        lift("person.created", 1, {})


def test_an_event_that_only_says_it_is_older_is_a_finding(tmp_path):
    read = list(verifier.read_lines(io.BytesIO(line_of(schema=1))))
    (verdict,) = verifier.walk(read)
    assert verdict.finding.kind == "altered"


def test_a_value_of_a_person_is_salted_by_the_event():
    assert SEALING.salts("a", 2) != SEALING.salts("b", 2)
    assert len(set(SEALING.salts("a", 5))) == 5
