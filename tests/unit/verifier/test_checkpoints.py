"""Checkpoints: what they state, and that whatever is done to one of them is found."""

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.chained import KEY, KEYS, checkpoint, heads, lines, stream, verify
from verifier import KnownHeads, MerkleRoot, Unreadable, digest, read_chain, sign
from verifier.checkpoints import Checkpoint, is_signed, public_keys

# The eight leaves and the roots of the first 0 to 8 of them: the test vectors of RFC 6962's reference
# implementation, https://github.com/google/certificate-transparency/blob/master/cpp/merkletree/merkle_tree_test.cc
LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_merkle_roots_are_those_of_rfc_6962():
    root = MerkleRoot()
    assert root.hex() == ROOTS[0]
    for leaf, expected in zip(LEAVES, ROOTS[1:], strict=True):
        root.add(bytes.fromhex(leaf))
        assert root.hex() == expected


LOG = [*stream("a", 3), *stream("b", 1), *stream("c", 2)]


@pytest.fixture
def folder(tmp_path):
    """Three checkpoints, of a log that grows."""
    made = tmp_path / "checkpoints"
    made.mkdir()
    for length in (2, 4, 6):
        checkpoint(made, LOG[:length])
    return made


def found_in(folder, keys=KEYS):
    with KnownHeads(":memory:") as known:
        return [(one.checkpoint, one.text) for one in read_chain(folder, keys, known).findings]


def test_a_chain_of_checkpoints_holds_what_it_was_made_of(folder):
    with KnownHeads(":memory:") as known:
        chain = read_chain(folder, KEYS, known)
        assert not chain.findings
        assert list(known.latest()) == heads(LOG)
        assert [one.version for one in known.of("a")] == [2, 3]
        assert [one.person_id for one in known.recorded("a", "b")] == ["b"]
    first, second, third = chain.checkpoints
    assert (third.streams, third.events, third.changed) == (3, 6, 1)
    assert (second.previous, third.previous) == (digest(first), digest(second))


def test_a_checkpoint_of_an_unchanged_log_lists_no_heads_and_the_same_root(folder):
    again = checkpoint(folder, LOG)
    assert (again.number, again.changed, again.streams) == (4, 0, 3)
    assert not found_in(folder)


def edit(folder, number, **changes):
    """Change a checkpoint's file, as one who has not the key."""
    path = folder / f"checkpoint-{number:06}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def resign(folder, number, **changes):
    """Change a checkpoint as one who has the key."""
    path = folder / f"checkpoint-{number:06}.json"
    path.write_bytes(sign(replace(Checkpoint.decode(path.read_bytes()), **changes), KEY.private).encode())


def swap(folder, one, other):
    for kind in ("json", "heads.gz"):
        a, b = (folder / f"checkpoint-{number:06}.{kind}" for number in (one, other))
        keep = a.read_bytes()
        a.write_bytes(b.read_bytes())
        b.write_bytes(keep)


def repack(folder, change):
    path = folder / "checkpoint-000002.heads.gz"
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


HARM = {
    "another time": (lambda f: edit(f, 2, created_at="2026-01-01T00:00:00.000Z"), 2, "signature is wrong"),
    "another signature": (lambda f: edit(f, 2, signature="0" * 128), 2, "signature is wrong"),
    "another key": (lambda f: edit(f, 2, key_id="0" * 64), 2, "key that is not given"),
    "another format": (lambda f: edit(f, 2, format=2), 2, "format 2"),
    "one field more": (lambda f: edit(f, 2, note="x"), 2, "not the fields"),
    "a number in words": (lambda f: edit(f, 2, events="six"), 2, "its events is none"),
    "no JSON": (lambda f: (f / "checkpoint-000002.json").write_text("{"), 2, "not JSON"),
    "a link to another": (lambda f: resign(f, 2, previous="1" * 64), 2, "does not follow checkpoint 1"),
    "another root": (lambda f: resign(f, 3, merkle_root="1" * 64), 3, "do not make the root"),
    "one missing": (lambda f: [one.unlink() for one in f.glob("*-000002.*")], 2, "is missing"),
    "the first missing": (lambda f: [one.unlink() for one in f.glob("*-00000[12].*")], 1, "to 2 are missing"),
    "its statement missing": (lambda f: (f / "checkpoint-000003.json").unlink(), 3, "though its heads"),
    "its heads missing": (lambda f: (f / "checkpoint-000002.heads.gz").unlink(), 2, "heads.gz is missing"),
    "two exchanged": (lambda f: swap(f, 2, 3), 2, "in its place is checkpoint 3"),
    "a head changed": (
        lambda f: repack(f, lambda text: text.replace(b":3}", b":2}")),
        2,
        "not those that were",
    ),
    "a head less": (lambda f: repack(f, lambda text: text[text.index(b"\n") + 1 :]), 2, "incomplete"),
    "a head more": (lambda f: repack(f, lambda text: text + text), 2, "more than it states"),
    "a head cut": (lambda f: repack(f, lambda text: text[:-5]), 2, "incomplete"),
    "heads that are none": (lambda f: repack(f, lambda text: b"[]\n" * 9), 2, "no JSON object"),
    "no gzip": (lambda f: (f / "checkpoint-000002.heads.gz").write_bytes(b"x"), 2, "cannot be read"),
}


@pytest.mark.parametrize("name", HARM)
def test_what_is_done_to_a_checkpoint_is_found_and_named(folder, tmp_path, name):
    harm, number, words = HARM[name]
    harm(folder)
    findings = found_in(folder)
    assert findings[0][0] == number
    assert words in findings[0][1]
    status, told = verify(tmp_path, lines(LOG), folder)
    assert (status, told[0]["kind"], told[0]["checkpoint"]) == (1, "checkpoint", number)


def test_a_stranger_signs_in_vain(folder):
    assert {number for number, _ in found_in(folder, {})} == {1, 2, 3}
    made = Checkpoint.decode((folder / "checkpoint-000001.json").read_bytes())
    assert is_signed(made, KEYS)
    with pytest.raises(Unreadable):
        public_keys(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----")
    with pytest.raises(Unreadable):
        public_keys(b"")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(name=st.sampled_from(["json", "heads.gz"]), content=st.binary(max_size=300))
def test_no_bytes_in_a_checkpoint_crash_it(tmp_path_factory, tmp_path, name, content):
    folder = tmp_path_factory.mktemp("checkpoints")
    checkpoint(folder, LOG)
    (folder / f"checkpoint-000001.{name}").write_bytes(content)
    status, findings = verify(tmp_path, lines(LOG), folder)
    assert (status, findings[0]["checkpoint"]) == (1, 1)
