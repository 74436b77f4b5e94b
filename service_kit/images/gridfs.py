"""Keeps images in MongoDB: GridFS, in the collections `images.files` and `images.chunks`.

What is stored is what https://github.com/mongodb/specifications/blob/master/source/gridfs/gridfs-spec.md
describes, and every driver reads it: sealed bytes, under the hash of the image's id. Each chunk is sealed by
itself, so that a part of an image can be read. Written it is in another order than the drivers': a file's own
document first and its chunks after it, and removed the other way round. So whatever a crash leaves behind,
the list of files shows, and an upload that is repeated goes on where the first one ended. A file counts once
all its chunks are there.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pymongo.errors import BulkWriteError, DuplicateKeyError

from events.images.errors import ImagesUnavailable, TicketUsed
from events.person.fields import Image
from events.times import to_milliseconds
from service_kit.images.model import FoundImage, Picture, Source, Upload
from service_kit.images.sealing import SEAL_BYTES, ImageKey, image_name
from service_kit.mongo.connection import Client, kept_out, store_errors, writing

FILES: Final = "images.files"
CHUNKS: Final = "images.chunks"
CHUNK_BYTES: Final = 255 * 1024
"""As the specification advises; of the picture, a chunk has `SEAL_BYTES` less."""
THUMBNAIL: Final = "/thumbnail"
"""Ends the name of a thumbnail, which is a file by itself."""
_BATCH: Final = 500


class GridFsImages:
    """The store in MongoDB.

    Args:
        client: A client of either driver.
        database: Database name.
        query_url: Public base of the query API, which serves the images; may be empty.
    """

    name = "gridfs"

    def __init__(self, client: Client, database: str, query_url: str = "") -> None:
        db = writing(client, database)
        self._files, self._chunks = db[FILES], db[CHUNKS]
        self._query_url = query_url.rstrip("/")

    async def put(self, source: Source, picture: Picture) -> Image:
        """Keep a picture; see `ImageStore`."""
        key = ImageKey(source.image_id)
        metadata = {
            "person_id": source.person_id,
            "command_id": source.command_id,
            "digest": key.digest(picture.content),
            "format": picture.format,
            "width": picture.width,
            "height": picture.height,
        }
        name = image_name(source.image_id)
        for suffix, content in ((THUMBNAIL, picture.thumbnail), ("", picture.content)):
            await self._put(name + suffix, content, key, metadata)
        return self._image(source.image_id)

    async def _put(self, file_id: str, content: bytes, key: ImageKey, metadata: dict[str, Any]) -> None:
        size = CHUNK_BYTES - SEAL_BYTES
        parts = [content[at : at + size] for at in range(0, len(content), size)]
        length = len(content) + SEAL_BYTES * len(parts)
        document = {
            "_id": file_id,
            "length": length,
            "chunkSize": CHUNK_BYTES,
            "uploadDate": to_milliseconds(datetime.now(UTC)),
            "filename": file_id,
            "metadata": metadata,
        }
        with store_errors():
            try:
                await self._files.insert_one(document)
            except DuplicateKeyError:
                there = await self._files.find_one({"_id": file_id})
                if there is None:
                    raise ImagesUnavailable("the image is just being removed") from None
                if there["metadata"]["digest"] != metadata["digest"]:
                    raise TicketUsed("another picture was uploaded before: ask for another ticket") from None
            chunks = [
                {"files_id": file_id, "n": n, "data": key.seal(file_id, n, length, part)}
                for n, part in enumerate(parts)
            ]
            try:
                await self._chunks.insert_many(chunks, ordered=False)
            except BulkWriteError as exc:
                # Those of the same picture, from an upload that was broken off or is under way.
                kept_out(exc)

    async def find(self, image_id: str) -> FoundImage | None:
        """Return what is there; see `ImageStore`."""
        name = image_name(image_id)
        with store_errors():
            file = await self._files.find_one({"_id": name})
            small = await self._files.find_one({"_id": name + THUMBNAIL})
            if file is None or small is None:
                return None
            for one in (file, small):
                chunks = self._chunks.find({"files_id": one["_id"]}, {"_id": 0, "n": 1})
                if len(await chunks.to_list(None)) < chunk_count(one):
                    return None
        return _found(file)

    def address(self, image_id: str, found: FoundImage) -> Image:
        """Return where it is; see `ImageStore`."""
        return self._image(image_id)

    def _image(self, image_id: str) -> Image:
        url = f"{self._query_url}/images/{image_id}"
        return Image(image_id=image_id, image_url=url, thumbnail_url=f"{url}{THUMBNAIL}")

    async def delete(self, name: str) -> bool:
        """Remove it; see `ImageStore`."""
        removed = 0
        with store_errors():
            for file_id in (name + THUMBNAIL, name):
                await self._chunks.delete_many({"files_id": file_id})
                removed += (await self._files.delete_one({"_id": file_id})).deleted_count
        return removed > 0

    async def older_than(self, time: datetime) -> AsyncIterator[FoundImage]:
        """Yield what is older; see `ImageStore`. An image comes twice if its thumbnail is there too."""
        after: tuple[datetime, str] | None = None
        while True:
            wanted: dict[str, Any] = {"uploadDate": {"$lt": time}}
            if after is not None:
                same = {"uploadDate": after[0], "_id": {"$gt": after[1]}}
                wanted = {"$or": [{"uploadDate": {"$gt": after[0], "$lt": time}}, same]}
            with store_errors():
                page = self._files.find(wanted, sort=[("uploadDate", 1), ("_id", 1)], limit=_BATCH)
                files = await page.to_list(None)
            for file in files:
                yield _found(file)
            if len(files) < _BATCH:
                return
            after = files[-1]["uploadDate"], files[-1]["_id"]

    def upload(self, source: Source, expires_at: datetime) -> Upload:
        """Leave it to our own upload address; see `ImageStore`."""
        return Upload(None, {})


def chunk_count(file: Mapping[str, Any]) -> int:
    """Return how many chunks a file has when it is whole."""
    return -(-int(file["length"]) // int(file["chunkSize"]))


def content_length(file: Mapping[str, Any]) -> int:
    """Return how many bytes a file has without its seals."""
    return int(file["length"]) - SEAL_BYTES * chunk_count(file)


def _found(file: Mapping[str, Any]) -> FoundImage:
    metadata = file["metadata"]
    return FoundImage(
        file["_id"].removesuffix(THUMBNAIL),
        metadata["person_id"],
        metadata["command_id"],
        file["uploadDate"],
        metadata["format"],
        content_length(file),
        metadata["width"],
        metadata["height"],
    )
