"""One contract of the stores of images, held by both; and what each has of its own."""

import asyncio
import contextlib
import time
from datetime import UTC, datetime, timedelta

import bson
import gridfs
import httpx
import pytest
from pymongo import MongoClient

from command_api.images.pictures import picture_of
from events.images.errors import ImageDamaged, ImagesUnavailable, TicketUsed
from service_kit.ids import new_id
from service_kit.images import FoundImage, ImageStore, Picture, Source, image_name
from service_kit.images.cloud import CloudinaryImages
from service_kit.images.cloud_calls import CALLS
from service_kit.images.gridfs import CHUNK_BYTES, THUMBNAIL, GridFsImages
from service_kit.images.gridfs_reader import GridFsReader
from service_kit.images.sealing import SEAL_BYTES
from tests import fake_cloudinary
from tests.fake_cloudinary import Cloudinary, changing, hanging_up, refusing, saying, signature_of, slow
from tests.pictures import halves, opened, photo, saved, telling
from tests.system import eventually

PICTURE = picture_of(photo())
OTHER = picture_of(saved(halves(90, 90).rotate(90), "PNG"))
CLEAR = picture_of(saved(halves().convert("RGBA").rotate(30, fillcolor=(0, 0, 0, 0)), "PNG"))

PERSON = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
LARGE = Picture(bytes(range(256)) * 2345, b"small", "jpg", 2000, 1000)  # of three chunks


def source() -> Source:
    return Source(new_id(), new_id(), new_id())


async def listed(store: ImageStore, ahead: float = 60) -> dict[str, FoundImage]:
    return {
        image.name: image async for image in store.older_than(datetime.now(UTC) + timedelta(seconds=ahead))
    }


class Died(Exception):
    """A process ended here."""


class Dying:
    """A collection whose writes succeed so often, and then no more."""

    def __init__(self, collection, left) -> None:
        self._collection, self._left = collection, left

    def __getattr__(self, name):
        if name.startswith(("insert", "delete")) and next(self._left, None) is None:
            raise Died
        return getattr(self._collection, name)


class Contract:
    """What every store does."""

    @pytest.mark.parametrize("picture", [PICTURE, CLEAR], ids=["jpg", "webp"])
    async def test_a_picture_is_kept_found_and_removed(self, images, picture):
        one = source()
        assert await images.find(one.image_id) is None
        image = await images.put(one, picture)
        assert image.image_id == one.image_id
        assert image.image_url != image.thumbnail_url
        found = await images.find(one.image_id)
        assert (found.name, found.person_id, found.command_id) == (
            image_name(one.image_id),
            one.person_id,
            one.command_id,
        )
        assert (found.format, found.size) == (picture.format, len(picture.content))
        assert (found.width, found.height) == (picture.width, picture.height)
        assert abs(found.stored_at - datetime.now(UTC)) < timedelta(seconds=30)
        assert images.address(one.image_id, found) == image
        assert await images.delete(found.name)
        assert await images.find(one.image_id) is None
        assert not await images.delete(found.name)

    async def test_a_repeated_upload_is_the_same_image(self, images):
        one = source()
        first, second = await asyncio.gather(images.put(one, PICTURE), images.put(one, PICTURE))
        assert first == second == await images.put(one, PICTURE)
        assert (await images.find(one.image_id)).size == len(PICTURE.content)

    async def test_another_picture_does_not_replace_one(self, images):
        one = source()
        await images.put(one, PICTURE)
        with pytest.raises((TicketUsed, ImagesUnavailable)):
            await images.put(one, OTHER)
        assert (await images.find(one.image_id)).width == PICTURE.width

    async def test_the_sweep_is_shown_what_is_older(self, images):
        some = [source() for _ in range(5)]
        for one in some:
            await images.put(one, PICTURE)
        known = await listed(images)
        for one in some:
            found = known[image_name(one.image_id)]
            assert (found.person_id, found.command_id) == (one.person_id, one.command_id)
        names = {image_name(one.image_id) for one in some}
        assert not names & (await listed(images, ahead=-60)).keys()
        for name in names:
            await images.delete(name)
        assert not names & (await listed(images)).keys()


class TestGridFs(Contract):
    """In MongoDB, on each topology and with each driver."""

    @pytest.fixture
    def database(self, stores, driver):
        return stores[driver]._db.name

    @pytest.fixture
    def images(self, mongo_client, database):
        return GridFsImages(mongo_client, database, "https://people.example/")

    async def test_addresses_are_those_of_the_query_api(self, images):
        one = source()
        image = await images.put(one, PICTURE)
        assert image.image_url == f"https://people.example/images/{one.image_id}"
        assert image.thumbnail_url == f"{image.image_url}/thumbnail"

    async def test_every_driver_reads_what_was_written(self, images, system, database):
        one = source()
        await images.put(one, LARGE)
        with MongoClient(system.mongo.uri) as client:
            bucket = gridfs.GridFSBucket(client[database], "images")
            name = image_name(one.image_id)
            for file_id, content in ((name, LARGE.content), (name + THUMBNAIL, LARGE.thumbnail)):
                stored = bucket.open_download_stream(file_id).read()
                assert len(stored) == len(content) + SEAL_BYTES * -(-len(stored) // CHUNK_BYTES)

    async def test_without_its_id_nothing_tells_what_an_image_shows(self, images, system, database):
        one = source()
        await images.put(one, PICTURE)
        name = image_name(one.image_id)
        with MongoClient(system.mongo.uri) as client:
            files = client[database]["images.files"].find({"_id": {"$in": [name, name + THUMBNAIL]}})
            chunks = client[database]["images.chunks"].find({"files_id": {"$in": [name, name + THUMBNAIL]}})
            stored = b"".join(bson.encode(document) for document in (*files, *chunks))
        assert name.encode() in stored and one.person_id.encode() in stored
        assert one.image_id.encode() not in stored and PICTURE.digest.encode() not in stored
        for content in (PICTURE.content, PICTURE.thumbnail):
            assert not any(content[at : at + 16] in stored for at in range(0, len(content) - 16, 16))

    @pytest.mark.parametrize("damage", ["swapped", "cut", "another's", "changed"])
    async def test_what_was_damaged_is_named_and_not_served(self, images, mongo_client, database, damage):
        one, other = source(), source()
        for each in (one, other):
            await images.put(each, LARGE)
        name = image_name(one.image_id)
        first, second, last = await images._chunks.find({"files_id": name}, sort=[("n", 1)]).to_list(None)
        changes = {
            "swapped": {0: second["data"], 1: first["data"]},
            "changed": {1: second["data"][:-1] + bytes([second["data"][-1] ^ 1])},
        }
        if damage == "cut":
            shorter = {"length": 2 * CHUNK_BYTES}
            await images._files.update_one({"_id": name}, {"$set": shorter})
            await images._chunks.delete_one({"_id": last["_id"]})
        elif damage == "another's":
            theirs = await images._chunks.find_one({"files_id": image_name(other.image_id), "n": 1})
            changes[damage] = {1: theirs["data"]}
        for n, data in changes.get(damage, {}).items():
            await images._chunks.update_one({"files_id": name, "n": n}, {"$set": {"data": data}})
        reader = GridFsReader(mongo_client, database)
        with pytest.raises(ImageDamaged, match=f"of the stored image {name} is damaged") as failure:
            await reader.read(one.image_id, lambda length: (0, length), strong=True)
        assert one.image_id not in failure.value.detail
        assert await reader.read(other.image_id, lambda length: (0, length), strong=True)

    async def test_any_part_is_read(self, images, mongo_client, database):
        one = source()
        await images.put(one, LARGE)
        reader = GridFsReader(mongo_client, database)
        size, own = len(LARGE.content), CHUNK_BYTES - SEAL_BYTES
        for start, end in [
            (0, size),
            (0, 1),
            (size - 1, size),
            (own - 1, own + 1),
            (own, 2 * own),
        ]:
            part = await reader.read(one.image_id, lambda _, bounds=(start, end): bounds)
            assert (part.content, part.length) == (LARGE.content[start:end], size)
        assert (
            await reader.read(one.image_id, lambda length: (0, length), thumbnail=True)
        ).content == LARGE.thumbnail
        assert await reader.read(new_id(), lambda length: (0, length)) is None

    @pytest.mark.parametrize("step", ["put", "delete"])
    @pytest.mark.parametrize("at", range(5))
    async def test_after_a_crash_anywhere_what_is_there_is_seen_and_it_goes_on(
        self, images, mongo_client, database, step, at
    ):
        one = source()
        name = image_name(one.image_id)
        if step == "delete":
            await images.put(one, PICTURE)
        dying = GridFsImages(mongo_client, database)
        left = iter(range(at))
        dying._files, dying._chunks = Dying(dying._files, left), Dying(dying._chunks, left)
        with contextlib.suppress(Died):
            await (dying.put(one, PICTURE) if step == "put" else dying.delete(name))
        whole = at == 4 if step == "put" else at == 0
        assert (await images.find(one.image_id) is not None) == whole
        # The thumbnail comes first and goes first; the picture is served as long as it is whole.
        reader = GridFsReader(mongo_client, database)
        served = whole if step == "put" else at < 3
        assert (
            await reader.read(one.image_id, lambda length: (0, length), strong=True) is not None
        ) == served
        files_ids = [name, name + THUMBNAIL]
        chunks = await images._chunks.count_documents({"files_id": {"$in": files_ids}})
        assert name in await listed(images) or chunks == 0

        await images.put(one, PICTURE)
        assert await images.find(one.image_id) is not None
        assert await images.delete(name)
        assert await images._files.count_documents({"_id": {"$in": files_ids}}) == 0
        assert await images._chunks.count_documents({"files_id": {"$in": files_ids}}) == 0


class TestCloudinary(Contract):
    """At a server that speaks Cloudinary's API, through Cloudinary's own SDK."""

    @pytest.fixture
    def account(self, cloudinary):
        yield cloudinary
        cloudinary.mood = None
        cloudinary.waiting.set()
        cloudinary.waiting = type(cloudinary.waiting)()

    @pytest.fixture
    def images(self, account):
        store = CloudinaryImages(account.url, "people/faces", seconds=2.0)
        yield store
        store.close()

    def test_the_server_signs_as_the_documentation_does(self):
        eager = "w_400,h_300,c_pad|w_260,h_200,c_crop"
        parameters = {"timestamp": "1315060510", "public_id": "sample_image"}
        assert signature_of(parameters, "abcd") == "b4ad47fb4e25c7bf5f92a20089f9db59bc302313"
        assert (
            signature_of({**parameters, "eager": eager}, "abcd") == "bfd09f95f331f558cbd1320e67aa8d488770583e"
        )

    async def test_what_is_asked_is_signed_with_folder_own_id_and_thumbnail(self, images, account):
        one = source()
        image = await images.put(one, PICTURE)
        fields, name = account.uploads[-1], image_name(one.image_id)
        assert fields["asset_folder"] == "people/faces"
        assert (fields["public_id"], fields["overwrite"]) == (f"people/faces/{name}", "0")
        assert fields["eager"] == "c_fill,g_auto,h_256,w_256"
        version = account.assets[f"people/faces/{name}"].version
        base = "https://res.cloudinary.com/demo/image/upload"
        assert image.image_url == f"{base}/v{version}/people/faces/{name}.jpg"
        assert image.thumbnail_url == f"{base}/c_fill,g_auto,h_256,w_256/v{version}/people/faces/{name}.jpg"

    async def test_sha256_is_used_where_it_is_asked_for(self, account):
        store = CloudinaryImages(f"{account.url}&signature_algorithm=sha256", "people", seconds=2.0)
        upload = store.upload(source(), datetime.now(UTC) + timedelta(minutes=10))
        assert len(upload.fields["signature"]) == 64
        store.close()

    async def send(self, upload, content, **changes):
        fields = {**upload.fields, **changes}
        async with httpx.AsyncClient() as client:
            return await client.post(upload.url, data=fields, files={"file": ("x", content)})

    async def test_a_browser_uploads_by_itself_and_the_picture_has_lost_its_metadata(self, images):
        one = source()
        upload = images.upload(one, datetime.now(UTC) + timedelta(minutes=10))
        response = await self.send(upload, photo())
        assert response.status_code == 200, response.text
        found = await images.find(one.image_id)
        assert (found.person_id, found.command_id) == (one.person_id, one.command_id)
        assert found.metadata == ()
        assert telling(photo())

    async def test_every_field_of_the_form_is_signed(self, images):
        upload = images.upload(source(), datetime.now(UTC) + timedelta(minutes=10))
        for name in upload.fields.keys() - {"signature", "api_key"}:
            response = await self.send(upload, photo(), **{name: upload.fields[name] + "1"})
            assert response.status_code in (400, 401), name
        assert (await self.send(upload, photo(), tags="more")).status_code == 401

    async def test_a_form_is_refused_once_its_time_is_over(self, images):
        upload = images.upload(source(), datetime.now(UTC) - timedelta(seconds=2))
        response = await self.send(upload, photo())
        assert (response.status_code, "Stale" in response.text) == (400, True)

    @pytest.mark.parametrize(
        "mood",
        [
            hanging_up,
            refusing(500, "General error"),
            refusing(503, "Service Unavailable"),
            refusing(502, "Bad gateway"),
            refusing(420, "Rate Limit Exceeded"),
            refusing(401, "Invalid Signature"),
            refusing(403, "Account disabled"),
            refusing(400, "Invalid image file"),
            refusing(409, "exists"),
            saying(b"<html>502</html>"),
            saying(b""),
            saying(5),
            saying(None),
            saying([]),
            saying({}),
            saying({"error": "so"}),
        ],
    )
    async def test_whatever_it_answers_in_place_of_what_was_asked_is_a_503(self, images, account, mood):
        one = source()
        await images.put(one, PICTURE)
        account.mood = mood
        for attempt in (
            images.put(one, PICTURE),
            images.find(one.image_id),
            listed(images),
            images.delete(image_name(one.image_id)),
        ):
            with pytest.raises(ImagesUnavailable) as failure:
                await attempt
            assert failure.value.retry_after > 0
            assert account.secret not in failure.value.detail

    @pytest.mark.parametrize(
        "lie",
        [
            {"public_id": "people/faces/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"},
            {"public_id": "elsewhere/x"},
            {"bytes": 5},
            {"format": "gif"},
            {"width": 1},
            {"version": 1},
            {"signature": "0" * 40},
            {"signature": None},
            {"created_at": "yesterday"},
        ],
        ids=str,
    )
    async def test_an_answer_that_is_not_true_is_a_503(self, images, account, lie):
        account.mood = changing(**lie)
        with pytest.raises(ImagesUnavailable, match="Cloudinary told of"):
            await images.put(source(), PICTURE)

    async def test_what_others_keep_in_folders_inside_is_none_of_ours(self, images, account):
        one, foreign = source(), source()
        await images.put(one, PICTURE)
        inner = CloudinaryImages(account.url, "people/faces/inner", seconds=2.0)
        await inner.put(foreign, PICTURE)
        ours, theirs = image_name(one.image_id), image_name(foreign.image_id)
        assert {ours, theirs} & (await listed(images)).keys() == {ours}
        await inner.delete(theirs)
        inner.close()

    async def test_an_address_of_its_choosing_is_not_used(self, images, account):
        account.mood = changing(secure_url="https://evil.example/x.jpg", url="http://evil.example/x.jpg")
        image = await images.put(source(), PICTURE)
        assert "evil" not in f"{image.image_url}{image.thumbnail_url}"

    async def test_a_server_that_is_away_is_a_503(self):
        with fake_cloudinary.running() as gone:
            url = gone.url
        store = CloudinaryImages(url, "people", seconds=2.0)
        with pytest.raises(ImagesUnavailable):
            await store.put(source(), PICTURE)
        store.close()

    async def test_a_slow_server_holds_up_nobody_and_no_more_than_a_few_calls(self, account):
        store = CloudinaryImages(account.url, "people", seconds=0.3)
        account.mood = slow(account)
        before, began = account.calls, time.monotonic()
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        ticking = asyncio.create_task(tick())
        puts = [store.put(source(), PICTURE) for _ in range(CALLS + 3)]
        results = await asyncio.gather(*puts, return_exceptions=True)
        ticking.cancel()
        assert all(isinstance(result, ImagesUnavailable) for result in results)
        assert time.monotonic() - began < 2.5
        assert ticks > 10
        # Given up, but still held by their threads: nothing more is let in, and no bytes pile up.
        with pytest.raises(ImagesUnavailable, match="no more calls"):
            await store.put(source(), PICTURE)
        assert account.calls - before == CALLS
        account.mood = None
        account.waiting.set()

        async def again():
            try:
                return await store.put(source(), PICTURE)
            except ImagesUnavailable:
                return None

        assert await eventually(again)
        store.close()


def test_the_address_of_an_account_is_checked():
    for url in ("http://k:s@cloud", "cloudinary://cloud", "cloudinary://k@cloud", ""):
        with pytest.raises(SystemExit, match="CLOUDINARY_URL is not of the form"):
            CloudinaryImages(url, "people")


def test_a_private_distribution_is_where_its_images_are():
    store = CloudinaryImages("cloudinary://k:s@cloud/images.example.com?private_cdn=true", "people")
    name = image_name(PERSON)
    found = FoundImage(name, "p", "c", datetime.now(UTC), "jpg", 1, 1, 1, version=7)
    address = store.address(PERSON, found)
    assert address.image_id == PERSON
    assert address.image_url == f"https://images.example.com/image/upload/v7/people/{name}.jpg"
    store.close()


def test_the_pictures_of_these_tests_are_what_they_should_be():
    assert opened(CLEAR.content).mode == "RGBA"
    assert Cloudinary().url.startswith("cloudinary://")
