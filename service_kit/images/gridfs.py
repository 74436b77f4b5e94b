"""Keeps images in MongoDB: GridFS, in the collections `images.files` and `images.chunks`.

What is stored is what https://github.com/mongodb/specifications/blob/master/source/gridfs/gridfs-spec.md
describes, and every driver reads it. Written it is in another order than the drivers': a file's own document
first and its chunks after it, and removed the other way round. So whatever a crash leaves behind, the list of
files shows, and an upload that is repeated goes on where the first one ended. A file counts once all its
chunks are there.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pymongo.errors import BulkWriteError, DuplicateKeyError

from events.images.errors import ImagesUnavailable, TicketUsed
from events.person.fields import Image
from events.times import to_milliseconds
from service_kit.images.model import MEDIA_TYPES, FoundImage, Picture, Source, Upload
from service_kit.mongo.connection import (
    Client,
    Document,
    DocumentCollection,
    kept_out,
    reading,
    store_errors,
    writing,
)

FILES: Final = "images.files"
CHUNKS: Final = "images.chunks"
CHUNK_BYTES: Final = 255 * 1024
"""As the specification advises."""
THUMBNAIL: Final = "/thumbnail"
"""Ends the id of a thumbnail, which is a file by itself."""
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
        for suffix, content in ((THUMBNAIL, picture.thumbnail), ("", picture.content)):
            await self._put(source, picture, suffix, content)
        return self._image(source.image_id)

    async def _put(self, source: Source, picture: Picture, suffix: str, content: bytes) -> None:
        file_id = source.image_id + suffix
        document = {
            "_id": file_id,
            "length": len(content),
            "chunkSize": CHUNK_BYTES,
            "uploadDate": to_milliseconds(datetime.now(UTC)),
            "filename": f"{source.image_id}{'-thumbnail' if suffix else ''}.{picture.format}",
            "metadata": {
                "person_id": source.person_id,
                "command_id": source.command_id,
                "digest": picture.digest,
                "format": picture.format,
                "width": picture.width,
                "height": picture.height,
            },
        }
        with store_errors():
            try:
                await self._files.insert_one(document)
            except DuplicateKeyError:
                there = await self._files.find_one({"_id": file_id})
                if there is None:
                    raise ImagesUnavailable("the image is just being removed") from None
                if there["metadata"]["digest"] != picture.digest:
                    raise TicketUsed("another picture was uploaded before: ask for another ticket") from None
            await self._put_chunks(file_id, content)

    async def _put_chunks(self, file_id: str, content: bytes) -> None:
        chunks = [
            {"files_id": file_id, "n": n, "data": content[at : at + CHUNK_BYTES]}
            for n, at in enumerate(range(0, len(content), CHUNK_BYTES))
        ]
        try:
            await self._chunks.insert_many(chunks, ordered=False)
        except BulkWriteError as exc:
            # Those of the same picture, from an upload that was broken off or is under way.
            kept_out(exc)

    async def find(self, image_id: str) -> FoundImage | None:
        """Return what is there; see `ImageStore`."""
        with store_errors():
            file = await self._files.find_one({"_id": image_id})
            small = await self._files.find_one({"_id": image_id + THUMBNAIL})
            if file is None or small is None:
                return None
            for one in (file, small):
                chunks = self._chunks.find({"files_id": one["_id"]}, {"_id": 0, "n": 1})
                if len(await chunks.to_list(None)) < chunk_count(one):
                    return None
        return _found(file)

    def address(self, found: FoundImage) -> Image:
        """Return where it is; see `ImageStore`."""
        return self._image(found.image_id)

    def _image(self, image_id: str) -> Image:
        url = f"{self._query_url}/images/{image_id}"
        return Image(image_id=image_id, image_url=url, thumbnail_url=f"{url}{THUMBNAIL}")

    async def delete(self, image_id: str) -> bool:
        """Remove it; see `ImageStore`."""
        removed = 0
        with store_errors():
            for file_id in (image_id + THUMBNAIL, image_id):
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


def _found(file: Mapping[str, Any]) -> FoundImage:
    metadata = file["metadata"]
    return FoundImage(
        file["_id"].removesuffix(THUMBNAIL),
        metadata["person_id"],
        metadata["command_id"],
        file["uploadDate"],
        metadata["format"],
        file["length"],
        metadata["width"],
        metadata["height"],
    )


Bounds = tuple[int, int]
"""The first byte, and the one after the last."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some bytes of a file.

    Attributes:
        length: Of the whole file.
        media_type: Of its content.
        bounds: Which bytes these are; None if the file has none of those that were asked for.
        content: The bytes.
    """

    length: int
    media_type: str
    bounds: Bounds | None
    content: bytes


class GridFsReader:
    """Reads images for the query API: from a secondary, or from the primary what is not there yet.

    Args:
        client: A client of either driver.
        database: Database name.
    """

    def __init__(self, client: Client, database: str) -> None:
        self._databases = [reading(client, database, strong=strong) for strong in (False, True)]

    async def read(
        self, file_id: str, bounds_of: Callable[[int], Bounds | None], *, strong: bool = False
    ) -> Part | None:
        """Return some bytes of a file; None if there is none, or they are not all there.

        Args:
            file_id: An image's id, for its thumbnail with `THUMBNAIL` after it.
            bounds_of: Says which bytes of a file of some length are wanted.
            strong: Ask the primary at once.

        Raises:
            StoreUnavailable: MongoDB does not answer.
        """
        with store_errors():
            for database in self._databases[strong:]:
                file = await database[FILES].find_one({"_id": file_id})
                if file is None:
                    continue
                bounds = bounds_of(file["length"])
                content = await _content(database[CHUNKS], file, *(bounds or (0, 0)))
                if content is not None:
                    media_type = MEDIA_TYPES[file["metadata"]["format"]]
                    return Part(file["length"], media_type, bounds, content)
        return None


async def _content(chunks: DocumentCollection, file: Document, start: int, end: int) -> bytes | None:
    """Return the bytes from one up to another; None if some are not there."""
    if start == end:
        return b""
    size = file["chunkSize"]
    first, last = start // size, (end - 1) // size
    wanted = {"files_id": file["_id"], "n": {"$gte": first, "$lte": last}}
    found = await chunks.find(wanted, {"_id": 0, "data": 1}, sort=[("n", 1)]).to_list(None)
    content = b"".join([chunk["data"] for chunk in found])[start - first * size : end - first * size]
    return content if len(content) == end - start else None
