"""A server that speaks Cloudinary's upload and admin API as its documentation describes them.

https://cloudinary.com/documentation/image_upload_api_reference, /admin_api and /authentication_signatures: it
reads multipart forms, recomputes signatures, refuses old timestamps, and can be slow, away, refusing or lying.
"""

import base64
import hashlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from PIL import ExifTags, Image
from python_multipart import parse_form

UNSIGNED = frozenset({"file", "cloud_name", "resource_type", "api_key", "signature"})
FORMATS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "GIF": "gif"}


def signature_of(parameters: dict[str, str], secret: str, algorithm: str = "sha1") -> str:
    """Return the signature of a request, as /authentication_signatures describes it."""
    pairs = sorted(f"{k}={v}".replace("&", "%26") for k, v in parameters.items() if k not in UNSIGNED and v)
    return hashlib.new(algorithm, ("&".join(pairs) + secret).encode()).hexdigest()


class Refusal(Exception):
    """An answer with an error in it."""

    def __init__(self, status: int, message: str) -> None:
        self.status, self.message = status, message


@dataclass
class Asset:
    """What is stored."""

    public_id: str
    content: bytes
    version: int
    created_at: datetime
    context: dict[str, str]
    width: int
    height: int
    format: str


@dataclass
class Cloudinary:
    """One account.

    Attributes:
        mood: Makes each answer another one, or raises; see `moods`.
        uploads: The fields of each upload that was taken, in order.
        page: The most that a list has at once.
    """

    key: str = "874837483274837"
    secret: str = "a676b67565c6767a6767d6767f676fe1"
    cloud: str = "demo"
    assets: dict[str, Asset] = field(default_factory=dict)
    uploads: list[dict[str, str]] = field(default_factory=list)
    mood: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    page: int = 2
    waiting: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    calls: int = 0

    @property
    def prefix(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The setting `CLOUDINARY_URL` for it."""
        return f"cloudinary://{self.key}:{self.secret}@{self.cloud}?upload_prefix={self.prefix}"

    def check(self, fields: dict[str, str]) -> None:
        """Refuse a request that is not signed as it must be."""
        if fields.get("api_key") != self.key:
            raise Refusal(401, f"Unknown API key {fields.get('api_key')}")
        if not fields.get("timestamp", "").isdigit():
            raise Refusal(400, "Missing required parameter - timestamp")
        if abs(time.time() - int(fields["timestamp"])) > 3600:
            raise Refusal(400, f"Stale request - reported time is {fields['timestamp']}")
        algorithm = "sha256" if len(fields.get("signature", "")) == 64 else "sha1"
        if fields.get("signature") != signature_of(fields, self.secret, algorithm):
            raise Refusal(401, f"Invalid Signature {fields.get('signature')}.")

    def upload(self, fields: dict[str, str], content: bytes | None) -> dict[str, Any]:
        """POST /image/upload."""
        self.check(fields)
        if content is None:
            raise Refusal(400, "Missing required parameter - file")
        try:
            image = Image.open(io.BytesIO(content))
            image.load()
        except OSError:
            raise Refusal(400, "Invalid image file") from None
        kind = FORMATS[image.format or ""]
        if kind not in fields.get("allowed_formats", kind).split(","):
            raise Refusal(400, f"Image file format {kind} not allowed")
        public_id = fields["public_id"]
        there = self.assets.get(public_id)
        if there is not None and fields.get("overwrite") == "0":
            return {**self.described(there), "existing": True, "signature": self.signed(there)}
        if "fl_force_strip" in fields.get("transformation", ""):
            image.thumbnail((2048, 2048))
            out = io.BytesIO()
            image.save(out, image.format)
            content = out.getvalue()
        context = dict(pair.split("=", 1) for pair in fields.get("context", "").split("|") if pair)
        asset = Asset(public_id, content, int(time.time()), datetime.now(UTC), context, *image.size, kind)
        self.assets[public_id] = asset
        self.uploads.append(fields)
        return {**self.described(asset), "signature": self.signed(asset)}

    def signed(self, asset: Asset) -> str:
        """Return the signature of an answer: see /response_signatures."""
        text = f"public_id={asset.public_id}&version={asset.version}{self.secret}"
        return hashlib.sha1(text.encode()).hexdigest()

    def described(self, asset: Asset) -> dict[str, Any]:
        """Return an asset as answers show it."""
        path = f"res.cloudinary.com/{self.cloud}/image/upload/v{asset.version}/{asset.public_id}"
        return {
            "asset_id": hashlib.md5(asset.public_id.encode()).hexdigest(),
            "public_id": asset.public_id,
            "version": asset.version,
            "width": asset.width,
            "height": asset.height,
            "format": asset.format,
            "resource_type": "image",
            "type": "upload",
            "created_at": asset.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "bytes": len(asset.content),
            "etag": hashlib.md5(asset.content).hexdigest(),
            "secure_url": f"https://{path}.{asset.format}",
        }

    def destroy(self, fields: dict[str, str], _content: bytes | None) -> dict[str, Any]:
        """POST /image/destroy."""
        self.check(fields)
        return {"result": "ok" if self.assets.pop(fields["public_id"], None) else "not found"}

    def resource(self, public_id: str) -> dict[str, Any]:
        """GET /resources/image/upload/<public id>."""
        asset = self.assets.get(public_id)
        if asset is None:
            raise Refusal(404, f"Resource not found - {public_id}")
        exif = Image.open(io.BytesIO(asset.content)).getexif()
        names = {ExifTags.TAGS.get(tag, str(tag)): str(value) for tag, value in exif.items()}
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        names |= {ExifTags.GPSTAGS.get(tag, str(tag)): str(value) for tag, value in gps.items()}
        return {**self.described(asset), "context": {"custom": asset.context}, "media_metadata": names}

    def resources(self, query: dict[str, str]) -> dict[str, Any]:
        """GET /resources/image/upload."""
        ids = sorted(name for name in self.assets if name.startswith(query.get("prefix", "")))
        start = int(query.get("next_cursor", "0"))
        shown = [self.assets[name] for name in ids[start : start + self.page]]
        more = {"next_cursor": str(start + self.page)} if start + self.page < len(ids) else {}
        listed = [{**self.described(asset), "context": {"custom": asset.context}} for asset in shown]
        return {"resources": listed, **more}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    account: Cloudinary

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        fields: dict[str, str] = {}
        files: list[bytes] = []

        def on_field(one: Any) -> None:
            fields[one.field_name.decode()] = (one.value or b"").decode()

        def on_file(one: Any) -> None:
            one.file_object.seek(0)
            files.append(one.file_object.read())

        headers = {name: self.headers[name].encode() for name in ("Content-Type", "Content-Length")}
        parse_form(headers, self.rfile, on_field, on_file)
        action = urlsplit(self.path).path.rpartition("/")[2]
        routes = {"upload": self.account.upload, "destroy": self.account.destroy}
        self.answer(lambda: routes[action](fields, files[0] if files else None))

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        known = base64.b64encode(f"{self.account.key}:{self.account.secret}".encode()).decode()
        public_id = unquote(parts.path).partition("/resources/image/upload")[2].strip("/")

        def find() -> dict[str, Any]:
            if self.headers["Authorization"] != f"Basic {known}":
                raise Refusal(401, "Invalid credentials")
            return self.account.resource(public_id) if public_id else self.account.resources(query)

        self.answer(find)

    def answer(self, work: Callable[[], dict[str, Any]]) -> None:
        self.account.calls += 1
        assert self.path.startswith(f"/v1_1/{self.account.cloud}/"), self.path
        status = 200
        try:
            content: Any = work()
            if self.account.mood is not None:
                content = self.account.mood(content)
        except Refusal as refusal:
            status, content = refusal.status, {"error": {"message": refusal.message}}
        except ConnectionAbortedError:
            self.close_connection = True
            return
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Clients that were tired of waiting are no news."""


@contextmanager
def running() -> Iterator[Cloudinary]:
    """Run an account for as long as the block runs."""
    account = Cloudinary()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"account": account}))
    account.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield account
    finally:
        account.waiting.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def refusing(status: int, message: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the mood of refusing whatever is asked."""

    def mood(_: dict[str, Any]) -> dict[str, Any]:
        raise Refusal(status, message)

    return mood


def hanging_up(_: dict[str, Any]) -> dict[str, Any]:
    """The mood of ending the connection without an answer."""
    raise ConnectionAbortedError


def saying(content: Any) -> Callable[[dict[str, Any]], Any]:
    """Return the mood of answering the same to everything: bytes as they are."""
    return lambda _: content


def changing(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the mood of telling some things otherwise than they are."""
    return lambda content: {**content, **changes}


def slow(account: Cloudinary) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the mood of answering when it likes to."""

    def mood(content: dict[str, Any]) -> dict[str, Any]:
        account.waiting.wait(30)
        return content

    return mood
