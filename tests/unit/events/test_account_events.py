"""Events of accounts: the names of accounts and streams, and the form in the log."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from events.accounts.event import (
    ACCOUNT_EVENT_TYPES,
    ANONYMOUS,
    LOCAL,
    ROLLCALL,
    AccountFact,
    Origin,
    account_name,
    account_stream,
    address_key,
    address_stream,
    invitation_stream,
    is_stream,
    new_account_name,
    record_fact,
)
from events.log.event import GENESIS, event_of_line, export_line, hash_of
from events.log.stored import event_document, event_of

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "name"),
    [("Ada", "ada"), (" Ada@Example.COM ", "ada@example.com"), ("ＡＤＡ", "ada"), ("a.b-c_d+e", "a.b-c_d+e")],
)
def test_a_name_has_one_form(text, name):
    assert account_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "a", "a:b", "ada lovelace", "ada\n.", "-ada", "ada@", "a" * 255, "$ne", "ádá"]
)
def test_a_name_is_of_plain_characters(text):
    with pytest.raises(ValueError, match="letters"):
        account_name(text)


def test_no_new_account_has_a_name_under_which_the_system_acts():
    assert new_account_name(" Ada@Example.COM ") == "ada@example.com"
    for name in (ANONYMOUS, ROLLCALL, LOCAL, "operator", "ＲＯＬＬＣＡＬＬ", " Local "):
        assert account_name(name), "one of before still logs in, and can be disabled"
        with pytest.raises(ValueError, match="the system itself"):
            new_account_name(name)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_client_is_an_address_or_a_network_of_64_bits(address, key):
    assert address_key(address) == key
    assert is_stream(address_stream(address))


def test_a_stream_of_accounts_is_never_that_of_a_person():
    for stream in (account_stream("ada@example.com"), invitation_stream("0199b1f0"), address_stream("::1")):
        assert is_stream(stream)
        with pytest.raises(ValueError):
            UUID(stream)
    for text in (
        "person:x",
        "account:",
        "account:a b",
        "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c",
        "account:x\n",
    ):
        assert not is_stream(text)


def test_an_event_of_an_account_has_the_form_and_the_hash_of_every_event():
    origin = Origin("operator:root", source_address="203.0.113.7", user_agent="x")
    fact = AccountFact(
        account_stream("ada"), ACCOUNT_EVENT_TYPES[0], {"roles": "viewer", "x": None}, "f1", NOW, origin
    )
    event = record_fact(fact, event_id="e1", version=1, applied_at=NOW, prev=GENESIS)
    assert event.hash == hash_of(event)
    assert event_of(event_document(event)) == event
    assert event_of_line(export_line(event)) == event
    assert (event.correlation_id, event.command_id, event.person_id) == ("f1", "f1", "account:ada")
