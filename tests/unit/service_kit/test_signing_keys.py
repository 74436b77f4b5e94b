"""Key pairs that sign tokens: which one signs, what is published, rotation, and tokens that are none."""

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from events.errors import Unauthenticated, Unavailable
from operations.accounts.signing_keys import KEPT, add_signing_key, ensure_signing_key
from service_kit.auth.roles import BUILT_IN
from service_kit.auth.signing import _LOOK_SECONDS, PUBLISHED_SECONDS, KeyRing, read_key
from service_kit.auth.token_keys import _LIFESPAN, _TIMEOUT, IssuerKeys
from service_kit.auth.tokens import TRUSTED_SECONDS, TokenVerifier, issue_token
from service_kit.settings import Settings

NOW = datetime(2026, 11, 25, 8, tzinfo=UTC)
# RFC 8037, appendix A: this key pair, and its thumbprint by RFC 7638.
SEED = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
PUBLIC = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
PKCS8 = bytes.fromhex("302e020100300506032b657004220420")


def settings(**more) -> Settings:
    return Settings(amqp_url="amqp://a:b@localhost/", **{"jwt_algorithm": "EdDSA", **more})


def token(ring: KeyRing, **changes) -> str:
    signer = ring.signer
    base = {
        "key": signer.private,
        "kid": signer.kid,
        "algorithm": signer.algorithm,
        "issuer": "rollcall",
        "audience": "rollcall",
        "subject": "ada",
        "scopes": ["people:read"],
        "ttl_seconds": 60,
    }
    return issue_token(**{**base, **changes})


def der(key) -> bytes:
    return base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def test_a_key_is_named_by_its_thumbprint_and_read_in_both_forms():
    seed = base64.urlsafe_b64decode(SEED + "=")
    bare = base64.b64encode(PKCS8 + seed)
    pem = b"-----BEGIN PRIVATE KEY-----\n" + bare + b"\n-----END PRIVATE KEY-----\n"
    for content in (bare, bare + b"\n", pem):
        key = read_key(content)
        assert (key.kid, key.algorithm, key.public["x"]) == (THUMBPRINT, "EdDSA", PUBLIC)
        assert SEED not in json.dumps(key.public)
        assert set(key.public) == {"kty", "crv", "x", "kid", "alg", "use"}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"secret" * 10,
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        der(ec.generate_private_key(ec.SECP256R1())),
        der(rsa.generate_private_key(public_exponent=65537, key_size=1024)),
    ],
)
def test_what_is_no_strong_key_stops_the_start(tmp_path, content):
    (tmp_path / "1").write_bytes(content)
    with pytest.raises(SystemExit, match="cannot start: signing keys") as refusal:
        KeyRing(tmp_path, "EdDSA")
    assert content == b"" or content.decode() not in str(refusal.value)


def test_an_empty_or_missing_folder_and_a_key_for_another_algorithm_stop_the_start(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(SystemExit, match="cannot start"):
            KeyRing(folder, "EdDSA")
    add_signing_key(tmp_path, NOW, "RS256")
    assert KeyRing(tmp_path, "RS256").signer.algorithm == "RS256"
    with pytest.raises(SystemExit, match="a key for RS256, and EdDSA is wanted"):
        KeyRing(tmp_path, "EdDSA")


async def test_a_new_key_is_published_signs_later_and_logs_nobody_out(tmp_path):
    add_signing_key(tmp_path, NOW, "EdDSA")
    time = [NOW.timestamp()]
    ring = KeyRing(tmp_path, "EdDSA", lambda: time[0])
    verifier = TokenVerifier(settings(signing_keys=tmp_path), BUILT_IN)
    first = ring.signer.kid
    before = token(ring)
    add_signing_key(tmp_path, NOW + timedelta(seconds=1), "EdDSA")
    time[0] += 10
    assert ring.signer.kid == first
    second = ring.jwks()["keys"][1]["kid"]
    time[0] += PUBLISHED_SECONDS
    assert ring.signer.kid == second != first
    for good in (before, token(ring)):
        # The verifier found the second key by looking into the folder again.
        verifier._keys.ring._looked = 0.0
        assert (await verifier.verify(f"Bearer {good}")).subject == "ada"
    # Much later the first one goes.
    add_signing_key(tmp_path, NOW + KEPT + timedelta(days=1), "EdDSA")
    time[0] += 10
    assert ring.jwks()["keys"][0]["kid"] == second


def test_a_bad_file_that_comes_later_changes_nothing(tmp_path):
    ensure_signing_key(tmp_path / "keys", "EdDSA")
    ensure_signing_key(tmp_path / "keys", "EdDSA")
    (only,) = (tmp_path / "keys").iterdir()
    assert only.stat().st_mode & 0o777 == 0o600
    time = [0.0]
    ring = KeyRing(tmp_path / "keys", "EdDSA", lambda: time[0])
    kid = ring.signer.kid
    (tmp_path / "keys" / "z").write_text("nonsense")
    (tmp_path / "keys" / ".hidden").write_text("nonsense")
    time[0] += 60
    assert ring.signer.kid == kid
    assert len(ring.jwks()["keys"]) == 1


async def test_only_an_access_token_signed_with_the_one_algorithm_is_taken(tmp_path):
    add_signing_key(tmp_path, NOW, "EdDSA")
    ring = KeyRing(tmp_path, "EdDSA")
    verifier = TokenVerifier(settings(signing_keys=tmp_path), BUILT_IN)
    good = token(ring)
    assert (await verifier.verify(f"Bearer {good}")).scopes == {"people:read"}
    head = jwt.get_unverified_header(good)
    assert head == {"alg": "EdDSA", "typ": "at+jwt", "kid": ring.signer.kid}
    claims = jwt.decode(good, options={"verify_signature": False})
    assert {"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope"} == set(claims)

    def forged(key=ring.signer.private, algorithm="EdDSA", changed=None, **headers) -> str:
        headers = {"typ": "at+jwt", "kid": ring.signer.kid, **headers}
        return jwt.encode({**claims, **(changed or {})}, key, algorithm, headers=headers)

    public = ring.jwks()["keys"][0]["x"]
    bad = {
        "another kind of token": forged(typ="JWT"),
        "no kind": forged(typ=""),
        "a logout token": forged(typ="logout+jwt"),
        "another key": forged(key=read_key(der(other_key())).private),
        "no key's id": forged(kid="x"),
        "the public key as a secret": forged(key=public, algorithm="HS256"),
        "an extension that must be known": forged(crit=["exp"]),
        "a key of its own": forged(key=read_key(der(other_key())).private, kid="x", jku="http://127.0.0.1/"),
        "not yet": forged(changed={"nbf": claims["exp"] + 600}),
        "another issuer": forged(changed={"iss": "other"}),
        "for others": forged(changed={"aud": "other"}),
    }
    assert await verifier.verify(f"Bearer {forged()}")
    for case, text in bad.items():
        with pytest.raises(Unauthenticated):
            await verifier.verify(f"Bearer {text}")
            pytest.fail(case)


def other_key():
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.generate()


async def test_what_a_key_signed_ends_within_a_minute_after_the_key_goes(tmp_path):
    add_signing_key(tmp_path, NOW - timedelta(hours=1), "EdDSA")
    add_signing_key(tmp_path, NOW, "EdDSA")
    ring = KeyRing(tmp_path, "EdDSA", lambda: NOW.timestamp())
    gone = ring.keys[0]
    leaked = min(tmp_path.iterdir())

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(KeyRing(tmp_path, "EdDSA").jwks()).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    time = [0.0]
    try:
        url = f"http://127.0.0.1:{server.server_port}/jwks.json"
        own = TokenVerifier(settings(signing_keys=tmp_path), BUILT_IN, lambda: time[0])
        other = TokenVerifier(settings(jwks_url=url, jwt_typ="at+jwt"), BUILT_IN, lambda: time[0])
        bearer = f"Bearer {token(ring, key=gone.private, kid=gone.kid)}"
        callers = [await verifier.verify(bearer) for verifier in (own, other)]
        assert {caller.key_id for caller in callers} == {gone.kid}
        leaked.unlink()
        # What is kept for a time is older than that now.
        time[0] += TRUSTED_SECONDS
        own._keys.ring._looked -= _LOOK_SECONDS
        other._keys._issuer._client.jwk_set_cache.jwk_set_with_timestamp = None
        assert TRUSTED_SECONDS + max(_LOOK_SECONDS, _LIFESPAN + _TIMEOUT) <= 60
        for verifier in (own, other):
            with pytest.raises(Unauthenticated):
                await verifier.verify(bearer)
            assert not await verifier.is_known(gone.kid)
            assert await verifier.is_known(ring.keys[1].kid)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_an_issuer_s_keys_stay_good_for_a_time_when_it_is_away(tmp_path):
    add_signing_key(tmp_path, NOW, "EdDSA")
    ring = KeyRing(tmp_path, "EdDSA")
    kid = ring.signer.kid
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(ring.jwks()).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    time = [0.0]
    url = f"http://127.0.0.1:{server.server_port}/jwks.json"
    keys = IssuerKeys(url, lambda: time[0])
    verifier = TokenVerifier(settings(jwks_url=url, jwt_typ="at+jwt"), BUILT_IN)
    verifier._keys._issuer = keys
    try:
        assert (await verifier.verify(f"Bearer {token(ring)}")).subject == "ada"
        assert await keys.find(kid)
        assert len(asked) == 1
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    keys._client.jwk_set_cache.jwk_set_with_timestamp = None  # its keys are five minutes old
    assert await keys.find(kid)
    time[0] = 3_700.0
    with pytest.raises(Unavailable):
        await verifier.verify(f"Bearer {token(ring)}")
