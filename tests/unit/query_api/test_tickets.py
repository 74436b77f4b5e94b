"""A stream ticket stands for its token's subject, for half a minute, and is signed by a secret of its own."""

import time
from dataclasses import replace

import pytest

from events.errors import Unauthenticated
from query_api.feed import tickets as module
from query_api.feed.tickets import StreamTickets, tickets_secret
from service_kit.auth.tokens import Caller
from service_kit.mongo import connection as mongo
from service_kit.settings import Settings

KEY = b"k" * 32
UNTIL = time.time() + 500
ADA = Caller("ada", "Ada Lovelace", frozenset({"events:read", "ops"}), UNTIL)


def settings(**more) -> Settings:
    more = {"jwks_url": "http://x", "jwt_algorithm": "EdDSA", **more}
    return Settings(mongo_uri="mongodb://localhost/", amqp_url="amqp://a:b@localhost/", **more)


def signed_by(material: bytes) -> StreamTickets:
    return StreamTickets(material, mongo.connect(settings(), "tests"), "rollcall")


async def test_a_ticket_lets_its_subject_follow_until_the_token_ends_and_do_nothing_else():
    ticket, expires_at = signed_by(KEY).sign(ADA)
    assert 25 < expires_at.timestamp() - time.time() <= 30
    assert signed_by(KEY).read(ticket) == Caller("ada", None, frozenset({"events:read"}), UNTIL)


async def test_a_ticket_carries_the_right_to_see_former_values_only_if_its_token_has_it():
    auditor = replace(ADA, scopes=frozenset({"events:read", "audit:read", "people:read"}))
    ticket, _ = signed_by(KEY).sign(auditor)
    assert signed_by(KEY).read(ticket).scopes == {"events:read", "audit:read"}


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
