"""Tokens of every supported algorithm, with keys from a PEM file, a JWKS file and a JWKS address."""

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from events.errors import Forbidden, Unauthenticated, Unavailable
from service_kit.auth.roles import BUILT_IN, roles_with
from service_kit.auth.tokens import TokenVerifier, issue_token, scopes_in
from service_kit.settings import Settings

KEYS = {
    "RS256": (rsa.generate_private_key(public_exponent=65537, key_size=2048), RSAAlgorithm),
    "ES256": (ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
}


def pem(key, *, private: bool) -> bytes:
    if private:
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def jwks(algorithm: str) -> bytes:
    key, kind = KEYS[algorithm]
    public = kind.to_jwk(key.public_key(), as_dict=True)
    return json.dumps({"keys": [{**public, "kid": "k1", "alg": algorithm, "use": "sig"}]}).encode()


def settings(**more) -> Settings:
    return Settings(mongo_uri="mongodb://x", amqp_url="amqp://a:b@localhost/", **more)


def token(algorithm: str, *, kid: str | None = None) -> str:
    key = pem(KEYS[algorithm][0], private=True)
    made = issue_token(
        key=key,
        algorithm=algorithm,
        issuer="rollcall",
        audience="rollcall",
        subject="ada",
        scopes=["people:read"],
        ttl_seconds=60,
    )
    if kid is None:
        return f"Bearer {made}"
    claims = jwt.decode(made, options={"verify_signature": False})
    return f"Bearer {jwt.encode(claims, key, algorithm=algorithm, headers={'kid': kid})}"


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_pem_public_key(tmp_path, algorithm):
    path = tmp_path / "key.pem"
    path.write_bytes(pem(KEYS[algorithm][0], private=False))
    verifier = TokenVerifier(settings(jwt_algorithm=algorithm, jwt_key_file=path), BUILT_IN)
    caller = await verifier.verify(token(algorithm))
    assert (caller.subject, caller.scopes) == ("ada", {"people:read"})
    with pytest.raises(Forbidden):
        caller.require("ops")
    for other in KEYS.keys() - {algorithm}:
        with pytest.raises(Unauthenticated):
            await verifier.verify(token(other))


@pytest.mark.parametrize("algorithm", KEYS)
async def test_a_jwks_file(tmp_path, algorithm):
    path = tmp_path / "jwks.json"
    path.write_bytes(jwks(algorithm))
    verifier = TokenVerifier(settings(jwt_algorithm=algorithm, jwt_key_file=path), BUILT_IN)
    assert (await verifier.verify(token(algorithm, kid="k1"))).subject == "ada"
    for unknown in (token(algorithm, kid="k2"), token(algorithm)):
        with pytest.raises(Unauthenticated):
            await verifier.verify(unknown)


async def test_a_jwks_address_and_one_that_is_down():
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(jwks("ES256"))

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/jwks.json"
    try:
        verifier = TokenVerifier(settings(jwt_algorithm="ES256", jwks_url=url), BUILT_IN)
        callers = await asyncio.gather(*(verifier.verify(token("ES256", kid="k1")) for _ in range(3)))
        assert {caller.subject for caller in callers} == {"ada"}
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
    down = TokenVerifier(settings(jwt_algorithm="ES256", jwks_url=url), BUILT_IN)
    with pytest.raises(Unavailable):
        await down.verify(token("ES256", kid="k1"))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"jwks_url": "http://x", "signing_keys": "y", "jwt_algorithm": "EdDSA"},
        {"jwks_url": "http://x", "jwt_algorithm": "HS256"},
        {"jwt_algorithm": "ES256", "jwt_key_file": "SECRET"},
    ],
)
def test_a_key_that_does_not_fit_stops_the_start(tmp_path, more):
    if "jwt_key_file" in more:
        (tmp_path / "key").write_text("a-secret-is-no-public-key-at-all-for-es256")
        more = {**more, "jwt_key_file": tmp_path / "key"}
    with pytest.raises(SystemExit, match="cannot start"):
        TokenVerifier(settings(**more), BUILT_IN)


@pytest.mark.parametrize(
    ("claims", "scopes"),
    [
        ({"scope": "people:read ops"}, {"people:read", "ops"}),
        ({"scope": ["people:read", "ops"]}, {"people:read", "ops"}),
        ({"scp": "people:read"}, {"people:read"}),
        ({"scp": ["people:read"], "scope": "ops"}, {"people:read", "ops"}),
        ({"roles": ["Reader", "unknown"]}, {"people:read", "events:read"}),
        ({"roles": "Reader"}, {"people:read", "events:read"}),
        ({"roles": ["Auditor"], "scope": ""}, {"audit:read", "ops"}),
        ({"scope": ["people:read", 1, None, ["ops"]], "scp": {"ops": 1}, "roles": 3}, {"people:read"}),
        ({"roles": ["ops", "admin"]}, set()),
        ({"scope": "payroll:read"}, {"payroll:read"}),
        ({}, set()),
    ],
)
def test_scopes_are_a_text_or_a_list_in_one_of_three_claims(claims, scopes):
    roles = settings(jwt_key_file="x", jwt_roles="Reader=viewer Auditor=audit:read,ops").jwt_roles
    assert scopes_in(claims, BUILT_IN.scopes_for(roles)) == scopes


@pytest.mark.parametrize("text", ["Reader", "Reader=", "Reader=,", "=viewer", "Reader=viewer, x"])
def test_a_mapping_of_roles_is_of_pairs(text):
    with pytest.raises(ValueError, match="jwt_roles"):
        settings(jwt_key_file="x", jwt_roles=text)


def test_roles_are_mapped_to_what_there_is(tmp_path):
    (tmp_path / "key").write_text("k" * 40)
    wanted = settings(jwt_key_file=tmp_path / "key", jwt_roles="Reader=viewer,payroll Boss=payroll:read")
    with pytest.raises(
        SystemExit, match="ROLLCALL_JWT_ROLES: payroll is no role or scope: choose from viewer"
    ):
        TokenVerifier(wanted, BUILT_IN)
    known = roles_with({"payroll": ["people:read", "payroll:read"]})
    TokenVerifier(wanted, known)
    assert known.scopes_for(wanted.jwt_roles) == {
        "Reader": {"people:read", "events:read", "payroll:read"},
        "Boss": {"payroll:read"},
    }


@pytest.mark.parametrize(
    ("changes", "leeway", "good"),
    [
        ({"iat": 3}, 10, True),
        ({"iat": 3, "nbf": 3}, 10, True),
        ({"iat": 3}, 0, False),
        ({"iat": 30}, 10, False),
        ({"exp": -3}, 10, True),
        ({"exp": -3}, 0, False),
        ({"exp": -30}, 10, False),
        ({"aud": ["other", "rollcall"]}, 10, True),
        ({"aud": ["other"]}, 10, False),
        ({"aud": "rollcall"}, 10, True),
    ],
)
async def test_clocks_may_differ_a_little_and_an_audience_be_one_of_several(tmp_path, changes, leeway, good):
    (tmp_path / "key").write_text("k" * 40)
    now = time.time()
    claims = {"iss": "rollcall", "aud": "rollcall", "sub": "ada", "iat": now, "exp": now + 60}
    claims |= {name: now + one if isinstance(one, int) else one for name, one in changes.items()}
    made = jwt.encode(claims, "k" * 40, algorithm="HS256")
    verifier = TokenVerifier(settings(jwt_key_file=tmp_path / "key", jwt_leeway=leeway), BUILT_IN)
    if not good:
        with pytest.raises(Unauthenticated):
            await verifier.verify(f"Bearer {made}")
        return
    for _ in range(2):  # the second time it is remembered
        caller = await verifier.verify(f"Bearer {made}")
    assert caller.expires_at == claims["exp"] + leeway


@pytest.mark.parametrize(
    ("more", "life", "good"), [({}, 86_400, True), ({}, 86_401, False), ({"jwt_max_life": 600}, 601, False)]
)
async def test_a_token_that_is_good_for_too_long_is_refused(tmp_path, more, life, good):
    (tmp_path / "key").write_text("k" * 40)
    verifier = TokenVerifier(settings(jwt_key_file=tmp_path / "key", **more), BUILT_IN)
    for now in (int(time.time()), f"{int(time.time())}"):  # numbers as texts are numbers to the library, too
        claims = {"iss": "rollcall", "aud": "rollcall", "sub": "ada", "iat": now, "exp": int(now) + life}
        bearer = f"Bearer {jwt.encode(claims, 'k' * 40, algorithm='HS256')}"
        if good:
            assert (await verifier.verify(bearer)).subject == "ada"
            continue
        with pytest.raises(Unauthenticated, match="life"):
            await verifier.verify(bearer)
