"""Opens the image stores that the settings name: one takes new images, all are swept."""

from dataclasses import dataclass

from service_kit.images.cloud import CloudinaryImages
from service_kit.images.gridfs import GridFsImages
from service_kit.images.model import ImageStore
from service_kit.mongo.connection import Client
from service_kit.settings import Settings


@dataclass(frozen=True, slots=True)
class Stores:
    """The stores of a process.

    Attributes:
        new: Where new images go; None for nowhere.
        all: Every one that can be reached: an image stays where it is when the setting changes.
    """

    new: ImageStore | None
    all: tuple[ImageStore, ...]

    def close(self) -> None:
        """Let go of what they hold."""
        for store in self.all:
            if isinstance(store, CloudinaryImages):
                store.close()


def open_stores(settings: Settings, client: Client | None) -> Stores:
    """Return the stores that the settings describe; nothing is connected to yet.

    Args:
        settings: The process's settings.
        client: A client of MongoDB, of either driver; None if this process has none.

    Raises:
        SystemExit: The store that is named lacks its address.
    """
    stores: dict[str, ImageStore] = {}
    if client is not None:
        stores["gridfs"] = GridFsImages(client, settings.mongo_db, settings.query_url)
    if settings.cloudinary_url is not None:
        url = settings.cloudinary_url.get_secret_value()
        stores["cloudinary"] = CloudinaryImages(url, settings.images_folder)
    wanted = settings.images
    if wanted in {"cloudinary", "gridfs"} and wanted not in stores:
        lacking = {"cloudinary": "CLOUDINARY_URL", "gridfs": "ROLLCALL_MONGO_URI"}[str(wanted)]
        raise SystemExit(f"cannot start: ROLLCALL_IMAGES is {wanted}, so set {lacking}")
    chosen = wanted or ("cloudinary" if "cloudinary" in stores else "gridfs")
    return Stores(stores.get(chosen), tuple(stores.values()))
