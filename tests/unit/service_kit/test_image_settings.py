"""Where images go, as the settings say; and what their secret makes."""

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import jwt
import pytest
from pydantic import SecretStr

from command_api.app import build_app
from events.errors import InvalidFields
from service_kit.auth.tokens import issue_token
from service_kit.images import ImageSecret, Ticket
from service_kit.images.cloud import CloudinaryImages
from service_kit.images.gridfs import GridFsImages
from service_kit.images.stores import open_stores
from service_kit.settings import Settings

KEY = "0123456789abcdef" * 4
URL = "cloudinary://key:secret@cloud"


class NoClient:
    """Stands for a client that nobody asks anything."""

    def get_database(self, *_args, **_options):
        return {"images.files": None, "images.chunks": None}


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "jwt.key"
    path.write_text(KEY)
    return path


def settings(**more) -> Settings:
    return Settings(amqp_url=SecretStr("amqp://a:b@127.0.0.1:1/"), **more)


@pytest.mark.parametrize(
    ("wanted", "cloudinary", "mongo", "new", "every"),
    [
        (None, False, True, GridFsImages, [GridFsImages]),
        (None, True, True, CloudinaryImages, [GridFsImages, CloudinaryImages]),
        (None, True, False, CloudinaryImages, [CloudinaryImages]),
        (None, False, False, None, []),
        ("gridfs", True, True, GridFsImages, [GridFsImages, CloudinaryImages]),
        ("none", True, True, None, [GridFsImages, CloudinaryImages]),
    ],
)
def test_new_images_go_to_one_store_and_every_one_is_looked_after(wanted, cloudinary, mongo, new, every):
    stores = open_stores(
        settings(images=wanted, cloudinary_url=SecretStr(URL) if cloudinary else None),
        NoClient() if mongo else None,
    )
    assert (type(stores.new) if stores.new else None) is new
    assert [type(store) for store in stores.all] == every
    stores.close()


@pytest.mark.parametrize(
    ("wanted", "lacking"), [("cloudinary", "CLOUDINARY_URL"), ("gridfs", "ROLLCALL_MONGO_URI")]
)
def test_a_store_that_is_named_needs_its_address(wanted, lacking):
    with pytest.raises(SystemExit, match=f"ROLLCALL_IMAGES is {wanted}, so set {lacking}"):
        open_stores(settings(images=wanted), None)


def test_the_address_of_cloudinary_has_the_name_that_its_guides_give_it(monkeypatch):
    monkeypatch.setenv("CLOUDINARY_URL", URL)
    monkeypatch.setenv("ROLLCALL_IMAGES", "cloudinary")
    made = settings()
    assert made.cloudinary_url is not None and made.cloudinary_url.get_secret_value() == URL
    assert "secret" not in repr(made)


def test_an_id_is_the_same_for_the_same_and_tells_nothing():
    one, other = ImageSecret(KEY.encode()), ImageSecret(b"another secret, of 32 bytes or so")
    ids = {one.image_id("a", "b"), one.image_id("a", "c"), one.image_id("ab"), other.image_id("a", "b")}
    assert one.image_id("a", "b") in ids and len(ids) == 4
    for text in ids:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (8, uuid.RFC_4122, text)


def test_a_ticket_is_read_again_and_only_by_who_signed_it():
    expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1)
    secret = ImageSecret(KEY.encode())
    ticket = secret.ticket("p", "c", "ada", expires_at)
    text = secret.sign(ticket)
    assert secret.read(text) == ticket
    assert ticket == Ticket(ticket.image_id, "p", "c", "ada", expires_at)
    # It stands in an address, and whoever has an image's id has the image.
    assert "image" not in jwt.decode(text, options={"verify_signature": False})
    assert ticket.image_id not in jwt.decode(text, options={"verify_signature": False}).values()
    late = secret.sign(replace(ticket, expires_at=expires_at - timedelta(hours=1)))
    with pytest.raises(InvalidFields) as refusal:
        secret.read(late)
    assert refusal.value.errors[0]["reason"] == "has expired: ask for another one"
    for reader, carried in ((ImageSecret(b"x" * 32), text), (secret, text + "x"), (secret, "")):
        with pytest.raises(InvalidFields):
            reader.read(carried)


def test_where_the_secret_comes_from(key_file, tmp_path):
    own = tmp_path / "images.key"
    own.write_text("f" * 32)
    by_token = ImageSecret.of(settings(jwt_key_file=key_file))
    by_file = ImageSecret.of(settings(jwt_key_file=key_file, images_key_file=own))
    by_cloudinary = ImageSecret.of(settings(jwks_url="http://x", jwt_algorithm="ES256", cloudinary_url=URL))
    ids = {secret.image_id("x") for secret in (by_token, by_file, by_cloudinary) if secret}
    assert len(ids) == 3
    assert ImageSecret.of(settings(jwks_url="http://x", jwt_algorithm="ES256")) is None
    own.write_text("short")
    with pytest.raises(SystemExit, match="shorter than 32 bytes"):
        ImageSecret.of(settings(images_key_file=own))
    with pytest.raises(SystemExit, match="image key"):
        ImageSecret.of(settings(images_key_file=tmp_path / "nothing"))


async def test_where_no_images_are_kept_it_is_told(key_file, tmp_path):
    keks = tmp_path / "kek"
    keks.touch(mode=0o600)
    keks.write_text(f"first {'0' * 64}\n")
    app = build_app(settings(jwt_key_file=key_file, kek_file=keks), lambda: datetime.now(UTC))
    token = issue_token(
        key=KEY,
        algorithm="HS256",
        issuer="rollcall",
        audience="rollcall",
        subject="ada",
        scopes=["people:write"],
        ttl_seconds=60,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://x", headers={"Authorization": f"Bearer {token}"}
    ) as client:
        path = f"/people/{uuid.uuid4()}/image"
        for answer in (
            await client.patch(path, files={"file": b"x"}),
            await client.post(f"{path}/upload-ticket"),
        ):
            assert (answer.status_code, answer.json()["type"]) == (501, "urn:rollcall:problem:images-off")
