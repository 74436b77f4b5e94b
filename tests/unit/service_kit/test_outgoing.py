"""Whom a service asks over the network: certificates are checked, and nobody is followed elsewhere."""

import asyncio
import ipaddress
import json
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from command_api.images.pictures import picture_of
from events.errors import BrokerUnavailable, StoreUnavailable
from events.images.errors import ImagesUnavailable
from operations.accounts.signing_keys import add_signing_key
from service_kit.auth.signing import KeyRing
from service_kit.auth.token_keys import IssuerKeys
from service_kit.broker.connection import connect
from service_kit.images import Source
from service_kit.images.cloud import CloudinaryImages
from service_kit.mongo import connection as mongo
from service_kit.settings import Settings
from tests.pictures import photo

HERE = "127.0.0.1"
PICTURE_ID = "0199b1f0-7a10-8c55-8f2b-1d2e3f4a5b6c"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate for this machine that nobody vouches for, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HERE)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HERE))]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(made.public_bytes(Encoding.PEM) + private)
    return path


class Server(HTTPServer):
    """Answers every request in one way, and keeps what it was asked."""

    def __init__(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.answer = status, headers, body
        self.asked: list[str] = []
        super().__init__((HERE, 0), Handler)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, headers, body = self.server.answer
        self.server.asked.append(self.path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running(server: HTTPServer) -> Iterator[int]:
    """Run a server for as long as the block; give its port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def behind_tls(certificate: Path) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Listen with a certificate; give the port, and what clients say who take it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.write(b"heard")
        writer.close()

    async with await asyncio.start_server(hear, HERE, 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1], heard


@pytest.fixture
def keys(tmp_path) -> KeyRing:
    add_signing_key(tmp_path, datetime(2026, 11, 25, 8, tzinfo=UTC), "EdDSA")
    return KeyRing(tmp_path, "EdDSA")


async def test_an_issuer_is_not_followed_to_another_address(keys):
    good = Server(200, json.dumps(keys.jwks()).encode())
    with running(good) as port:
        url = f"http://{HERE}:{port}/keys"
        assert await IssuerKeys(url).find(keys.signer.kid)
        for status in (301, 302, 303, 307, 308):
            with (
                running(Server(status, Location=url)) as elsewhere,
                pytest.raises(jwt.PyJWKClientConnectionError),
            ):
                await IssuerKeys(f"http://{HERE}:{elsewhere}/").find(keys.signer.kid)
        assert good.asked == ["/keys"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_cloudinary_is_not_followed_to_another_address(status):
    with (
        running(elsewhere := Server(200, b"{}")) as port,
        running(Server(status, Location=f"http://{HERE}:{port}/there")) as sent_on,
    ):
        store = CloudinaryImages(
            f"cloudinary://key:hunter2@cloud?upload_prefix=http://{HERE}:{sent_on}", "people"
        )
        source = Source(PICTURE_ID, "a-person", "a-command")
        try:
            for asked in (
                store.find(PICTURE_ID),
                store.put(source, picture_of(photo())),
                store.delete(PICTURE_ID),
            ):
                with pytest.raises(ImagesUnavailable):
                    await asked
        finally:
            store.close()
        assert elsewhere.asked == []


async def ask_issuer(port: int) -> None:
    await IssuerKeys(f"https://{HERE}:{port}/keys").find("any")


async def ask_broker(port: int) -> None:
    await connect(f"amqps://ada:hunter2@{HERE}:{port}/", "tests")


async def ask_mongodb(port: int) -> None:
    settings = Settings(
        mongo_uri=f"mongodb://{HERE}:{port}/?tls=true", amqp_url="amqp://a:b@localhost/", jwks_url="http://x"
    )
    client = mongo.connect(settings, "tests")
    try:
        with mongo.store_errors():
            await client.admin.command("ping")
    finally:
        await mongo.close(client)


async def ask_cloudinary(port: int) -> None:
    store = CloudinaryImages(
        f"cloudinary://key:hunter2@cloud?upload_prefix=https://{HERE}:{port}", "people", seconds=5.0
    )
    try:
        await store.find(PICTURE_ID)
    finally:
        store.close()


@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (ask_issuer, jwt.PyJWKClientConnectionError),
        (ask_broker, BrokerUnavailable),
        (ask_mongodb, StoreUnavailable),
        (ask_cloudinary, ImagesUnavailable),
    ],
)
async def test_nothing_is_said_to_a_server_whose_certificate_nobody_vouches_for(
    certificate, monkeypatch, ask, error
):
    monkeypatch.setattr(mongo, "SELECTION_MS", 300)
    monkeypatch.setattr(mongo, "OPERATION_MS", 300)
    async with behind_tls(certificate) as (port, heard), asyncio.timeout(20):
        with pytest.raises(error):
            await ask(port)
        assert not any(heard)
        trusting = ssl.create_default_context(cafile=certificate)
        reader, writer = await asyncio.open_connection(HERE, port, ssl=trusting)
        writer.write(b"hello")
        assert (await reader.read(), heard[-1]) == (b"heard", b"hello"), "it does listen"
        writer.close()
