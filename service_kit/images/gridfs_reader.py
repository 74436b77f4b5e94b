"""Reads sealed images from GridFS, whole or in part, as the query API serves them."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from events.images.errors import ImageDamaged
from service_kit.images.gridfs import CHUNKS, FILES, THUMBNAIL, content_length
from service_kit.images.model import MEDIA_TYPES
from service_kit.images.sealing import SEAL_BYTES, ImageKey, image_name
from service_kit.mongo.connection import Client, Document, DocumentCollection, reading, store_errors

Bounds = tuple[int, int]
"""The first byte, and the one after the last."""

log = structlog.get_logger()


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
        self,
        image_id: str,
        bounds_of: Callable[[int], Bounds | None],
        *,
        thumbnail: bool = False,
        strong: bool = False,
    ) -> Part | None:
        """Return some bytes of an image; None if there is none, or they are not all there.

        Args:
            image_id: The image's id.
            bounds_of: Says which bytes of a file of some length are wanted.
            thumbnail: Read the thumbnail instead.
            strong: Ask the primary at once.

        Raises:
            ImageDamaged: The bytes are not those that were sealed.
            StoreUnavailable: MongoDB does not answer.
        """
        file_id = image_name(image_id) + (THUMBNAIL if thumbnail else "")
        with store_errors():
            for database in self._databases[strong:]:
                file = await database[FILES].find_one({"_id": file_id})
                if file is None:
                    continue
                length = content_length(file)
                bounds = bounds_of(length)
                content = await _content(database[CHUNKS], file, ImageKey(image_id), *(bounds or (0, 0)))
                if content is not None:
                    return Part(length, MEDIA_TYPES[file["metadata"]["format"]], bounds, content)
        return None


async def _content(
    chunks: DocumentCollection, file: Document, key: ImageKey, start: int, end: int
) -> bytes | None:
    """Return the bytes from one up to another; None if some are not there."""
    if start == end:
        return b""
    size = file["chunkSize"] - SEAL_BYTES
    first, last = start // size, (end - 1) // size
    wanted = {"files_id": file["_id"], "n": {"$gte": first, "$lte": last}}
    found = await chunks.find(wanted, {"_id": 0, "n": 1, "data": 1}, sort=[("n", 1)]).to_list(None)
    if len(found) <= last - first:
        return None
    try:
        parts = [key.open(file["_id"], chunk["n"], file["length"], chunk["data"]) for chunk in found]
    except ImageDamaged as exc:
        log.error("image damaged", reason=exc.detail)
        raise
    return b"".join(parts)[start - first * size : end - first * size]
