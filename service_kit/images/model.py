"""What an image is to its stores, and the seam that they stand behind. No I/O."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, Protocol

from events.person.fields import Image

MAX_FILE_BYTES: Final = 2 * 1024 * 1024
"""Of an uploaded file, and of what is kept of it."""
MAX_PIXELS: Final = 25_000_000
LONGEST_SIDE: Final = 2048
"""Larger pictures are kept smaller: no screen shows more of a person."""
THUMBNAIL_SIDE: Final = 256
MEDIA_TYPES: Final[Mapping[str, str]] = {"jpg": "image/jpeg", "webp": "image/webp", "png": "image/png"}
"""By the format as Cloudinary names it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that was decoded and encoded again: nothing of the uploaded bytes is in it.

    Attributes:
        content: As it is kept.
        thumbnail: Square, of the same format.
        format: `jpg` or `webp`.
        width: In pixels.
        height: In pixels.
    """

    content: bytes
    thumbnail: bytes
    format: str
    width: int
    height: int

    @property
    def digest(self) -> str:
        """SHA-256 of the content, hexadecimal."""
        return sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class Source:
    """What an image is for: kept with it, so that the sweep can tell whether it is wanted.

    Attributes:
        image_id: Names it.
        person_id: Whose it is.
        command_id: The command that makes it the person's.
    """

    image_id: str
    person_id: str
    command_id: str


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that a store has, whole or in part.

    Attributes:
        name: What it is stored under: see `image_name`. Its id is nowhere in a store.
        person_id: Whose it is; empty if the store does not know.
        command_id: The command that it is for; empty likewise.
        stored_at: Since when, UTC.
        format: As `Picture` has it.
        size: Of its content, in bytes.
        width: In pixels.
        height: In pixels.
        version: The store's own number for its content; 0 if it has none.
        metadata: Names of what a camera wrote into it, if the store can tell.
    """

    name: str
    person_id: str
    command_id: str
    stored_at: datetime
    format: str
    size: int
    width: int
    height: int
    version: int = 0
    metadata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Upload:
    """How a browser uploads a picture by itself.

    Attributes:
        url: Where to; None for our own address, which checks the ticket itself.
        fields: Of the form, all of them covered by one signature; the file comes after them.
    """

    url: str | None
    fields: Mapping[str, str]


class ImageStore(Protocol):
    """Keeps images by ids that are never used twice, each under the hash of its id.

    Every method raises `ImagesUnavailable`, or `StoreUnavailable` where MongoDB is the store, when it cannot
    be done now; the same call may then be repeated.
    """

    name: str

    async def put(self, source: Source, picture: Picture) -> Image:
        """Keep a picture, and return where it is; one that is there already is left as it is.

        Raises:
            TicketUsed: Another picture is there under this id.
        """
        ...

    async def find(self, image_id: str) -> FoundImage | None:
        """Return what is there of an id; None for nothing, or for something that is not whole."""
        ...

    def address(self, image_id: str, found: FoundImage) -> Image:
        """Return where an image that was found is."""
        ...

    async def delete(self, name: str) -> bool:
        """Remove an image and its thumbnail, whole or not; return whether anything was there.

        Args:
            name: What it is stored under: see `image_name`.
        """
        ...

    def older_than(self, time: datetime) -> AsyncIterator[FoundImage]:
        """Yield everything that was stored before a time, also what is not whole."""
        ...

    def upload(self, source: Source, expires_at: datetime) -> Upload:
        """Return how a browser uploads the picture by itself.

        Args:
            source: What it is for.
            expires_at: Until when it can, UTC.
        """
        ...
