"""A stream ticket stands for its token's subject, for half a minute, and is signed by a secret of its own."""

import time
from dataclasses import replace

import pytest

from events.errors import Unauthenticated
from events.person.schema.declarations import PersonSchema
from events.person.schema.reading import read_schema
from query_api.feed import tickets as module
from query_api.feed.tickets import MAX_TICKET, MOST_SCOPES, StreamTickets, tickets_secret
from service_kit.auth.tokens import Caller
from service_kit.mongo import connection as mongo
from service_kit.settings import Settings
from tests.default_schema import SCHEMA

KEY = b"k" * 32
UNTIL = time.time() + 500
ADA = Caller("ada", "Ada Lovelace", frozenset({"events:read", "ops"}), UNTIL)


def settings(**more) -> Settings:
    more = {"jwks_url": "http://x", "jwt_algorithm": "EdDSA", **more}
    return Settings(mongo_uri="mongodb://localhost/", amqp_url="amqp://a:b@localhost/", **more)


def signed_by(material: bytes, schema: PersonSchema = SCHEMA) -> StreamTickets:
    return StreamTickets(material, mongo.connect(settings(), "tests"), "rollcall", schema)


async def test_a_ticket_lets_its_subject_follow_until_the_token_ends_and_do_nothing_else():
    ticket, expires_at = signed_by(KEY).sign(ADA)
    assert 25 < expires_at.timestamp() - time.time() <= 30
    assert signed_by(KEY).read(ticket) == Caller("ada", None, frozenset({"events:read"}), UNTIL)


async def test_a_ticket_carries_the_right_to_see_former_values_only_if_its_token_has_it():
    auditor = replace(ADA, scopes=frozenset({"events:read", "audit:read", "people:read"}))
    ticket, _ = signed_by(KEY).sign(auditor)
    assert signed_by(KEY).read(ticket).scopes == {"events:read", "audit:read"}


def with_scopes(*scopes: str) -> PersonSchema:
    fields = {
        f"field_{number}": {"type": "string", "rollcall": {"read": scope}}
        for number, scope in enumerate(scopes)
    }
    return read_schema(
        {"version": 1, "type": "object", "properties": {**fields, "grade": {"type": "integer"}}}
    )


async def test_a_ticket_shows_the_fields_that_its_token_shows():
    tickets = signed_by(KEY, with_scopes("payroll:read", "health:read"))
    scopes = frozenset({"events:read", "payroll:read", "payroll:write", "people:write"})
    ticket, _ = tickets.sign(replace(ADA, scopes=scopes))
    assert tickets.read(ticket).scopes == {"events:read", "payroll:read"}


async def test_a_ticket_fits_an_address_whatever_fields_there_are():
    scopes = [f"{'x' * 55}{number:03}:read" for number in range(100)]
    tickets = signed_by(KEY, with_scopes(*scopes))
    auditor = replace(ADA, subject="a" * 255, scopes=frozenset({"events:read", "audit:read", *scopes}))
    ticket, _ = tickets.sign(auditor)
    assert len(ticket) <= MAX_TICKET
    kept = tickets.read(ticket).scopes
    assert {"events:read", "audit:read"} < kept and len(kept) == MOST_SCOPES + 2


async def test_a_ticket_that_is_old_or_signed_by_another_is_refused(monkeypatch):
    with pytest.raises(Unauthenticated, match="no ticket"):
        signed_by(b"o" * 32).read(signed_by(KEY).sign(ADA)[0])
    monkeypatch.setattr(module, "TICKET_SECONDS", -1)
    ticket, _ = signed_by(KEY).sign(ADA)
    for use in (signed_by(KEY).read, signed_by(KEY)._claims):
        with pytest.raises(Unauthenticated, match="expired"):
            use(ticket)


def test_the_secret_is_its_own_or_the_tokens_or_this_process_s(tmp_path):
    (tmp_path / "own").write_bytes(b"own" * 11 + b"\n")
    (tmp_path / "jwt").write_bytes(b"jwt" * 11)
    (tmp_path / "short").write_bytes(b"short")
    jwt_key = {"jwks_url": None, "jwt_algorithm": "HS256", "jwt_key_file": tmp_path / "jwt"}
    assert tickets_secret(settings(**jwt_key, tickets_key_file=tmp_path / "own")) == b"own" * 11
    assert tickets_secret(settings(**jwt_key)) == b"jwt" * 11
    assert tickets_secret(settings()) != tickets_secret(settings())
    for name in ("short", "nothing"):
        with pytest.raises(SystemExit, match="cannot start"):
            tickets_secret(settings(tickets_key_file=tmp_path / name))
