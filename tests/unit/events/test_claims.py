"""Claims are blind: their names tell nothing of a value, and a new secret takes the place of an old one."""

import hmac
from hashlib import sha256

import pytest

from events.person.claims import ClaimSecret, taken
from tests.claims import known_names
from tests.default_schema import UNIQUE_EMAIL

ANA = {"document_type": "CC", "document_id": "70000001", "email": "ana@example.com"}
LUZ = {**ANA, "document_id": "70000002"}
OLD, NEW = b"o" * 32, b"n" * 32


def under(number: int, secret: bytes, text: str) -> str:
    return f"{number}:{hmac.new(secret, text.encode(), sha256).hexdigest()}"


def test_a_name_is_the_kind_the_secrets_number_and_an_hmac_of_the_canonical_values():
    names = known_names(UNIQUE_EMAIL, ClaimSecret(7, "whole", OLD))
    document = "document:" + under(7, OLD, '["document","CC","70000001"]')
    assert names.held(ANA) == {document, "email:" + under(7, OLD, '["email","ana@example.com"]')}
    assert names.name("document", ["CC", "70000001"]) == document
    assert names.held({}) == frozenset() == names.held({"document_type": "CC"})
    assert taken(document, UNIQUE_EMAIL).code == "duplicate-document"


def test_a_change_takes_and_gives_up_what_differs_alone():
    names = known_names(UNIQUE_EMAIL)
    takes, frees = names.changed(ANA, LUZ)
    assert takes == {names.name("document", ["CC", "70000002"])}
    assert frees == {names.name("document", ["CC", "70000001"])}
    assert names.changed(ANA, {**ANA, "address": "Calle 1"}) == (frozenset(), frozenset())
    assert names.changed({}, ANA) == (names.held(ANA), frozenset())
    assert names.changed(ANA, {}) == (frozenset(), names.held(ANA))


@pytest.mark.parametrize(
    ("old", "new", "claimed", "asked"),
    [
        ("whole", "made", {1}, 1),
        ("whole", "filling", {1, 2}, 1),
        ("whole", "whole", {1, 2}, 2),
        ("old", "whole", {2}, 2),
    ],
)
def test_while_a_secret_changes_no_step_frees_less_than_the_one_beside_it_claims(old, new, claimed, asked):
    names = known_names(UNIQUE_EMAIL, ClaimSecret(2, new, NEW), ClaimSecret(1, old, OLD))
    takes, frees = names.changed(ANA, LUZ)
    assert {int(one.split(":")[1]) for one in takes} == claimed
    assert {int(one.split(":")[1]) for one in frees} == {1, 2}
    assert names.name("email", ["ana@example.com"]).split(":")[1] == str(asked)
    assert names.held(ANA) <= names.possible(ANA)
    assert len(names.names("email", ["ana@example.com"])) == len(claimed)


def test_claims_of_a_secret_that_came_later_are_known_as_such():
    names = known_names(UNIQUE_EMAIL, ClaimSecret(2, "whole", NEW))
    assert [names.is_of_newer_secret(f"email:{number}:ab") for number in (1, 2, 3)] == [False, False, True]
    assert not names.is_of_newer_secret("email")
