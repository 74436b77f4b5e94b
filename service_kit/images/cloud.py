"""Keeps images in Cloudinary, with signed requests, and takes no answer on trust.

Cloudinary serves them to browsers by itself, so they are not sealed there: it has the pictures.

https://cloudinary.com/documentation/image_upload_api_reference and /admin_api.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from urllib3 import Retry

from events.images.errors import ImagesUnavailable
from events.person.fields import Image
from service_kit.images.cloud_calls import DEADLINE_SECONDS, SdkCalls, account_of
from service_kit.images.model import LONGEST_SIDE, THUMBNAIL_SIDE, FoundImage, Picture, Source, Upload
from service_kit.images.sealing import image_name

SIGNATURE_SECONDS: Final = 3600
"""Cloudinary takes a signature for so long after its timestamp."""
_PAGE: Final = 500
_THUMBNAIL: Final = {"width": THUMBNAIL_SIDE, "height": THUMBNAIL_SIDE, "crop": "fill", "gravity": "auto"}
# What comes straight from a browser is made smaller, encoded anew and freed of metadata before it is kept.
_INCOMING: Final = {
    "width": LONGEST_SIDE,
    "height": LONGEST_SIDE,
    "crop": "limit",
    "quality": 85,
    "flags": "force_strip",
}
_FORMATS: Final = ["jpg", "png", "webp"]

log = structlog.get_logger()


def _sdk() -> Any:
    """Return the SDK, which by itself would go where an answer sends it, with all that is signed."""
    import cloudinary.api
    import cloudinary.uploader
    from cloudinary.api_client import call_api

    for module in (cloudinary.uploader, call_api):
        # Its two pools; it has no setting for this, and a test asks both.
        module._http.connection_pool_kw["retries"] = Retry(3, redirect=0, raise_on_redirect=False)
    return cloudinary


class CloudinaryImages:
    """The store at Cloudinary.

    Args:
        url: See `account_of`.
        folder: Where all images are.
        seconds: Deadline of a call.

    Raises:
        SystemExit: It is no such address.
    """

    name = "cloudinary"

    def __init__(self, url: str, folder: str, seconds: float = DEADLINE_SECONDS) -> None:
        self._account = account_of(url)
        self._calls = SdkCalls(self._account, seconds)
        self._folder = folder
        self._sdk: Any = _sdk()

    def close(self) -> None:
        """Wait for no call that is under way."""
        self._calls.close()

    async def put(self, source: Source, picture: Picture) -> Image:
        """Keep a picture; see `ImageStore`."""
        name = image_name(source.image_id)
        answer = await self._calls.call(
            self._sdk.uploader.upload,
            (f"{name}.{picture.format}", picture.content),
            allowed_formats=_FORMATS,
            **self._parameters(source),
        )
        found = self._found(answer)
        expected = (name, picture.format, len(picture.content), picture.width, picture.height)
        if expected != (found.name, found.format, found.size, found.width, found.height):
            raise _untrue("another picture than was sent")
        signed = {"public_id": answer["public_id"], "version": found.version}
        if answer.get("signature") != self._sign(signed):
            raise _untrue("an answer that it has not signed")
        return self.address(source.image_id, found)

    def _parameters(self, source: Source) -> dict[str, Any]:
        return {
            # Good with fixed folders, where the path in the id is the folder, and with dynamic ones.
            "public_id": self._public_id(image_name(source.image_id)),
            "asset_folder": self._folder,
            "overwrite": False,
            # Derived now, so that an account may forbid deriving others.
            "eager": [_THUMBNAIL],
            "context": {"person_id": source.person_id, "command_id": source.command_id},
        }

    def _sign(self, parameters: Mapping[str, Any]) -> str:
        # Answers are signed in the first form: https://cloudinary.com/documentation/response_signatures.
        algorithm = self._account.get("signature_algorithm", "sha1")
        return str(
            self._sdk.utils.api_sign_request(
                parameters, self._account["api_secret"], algorithm, signature_version=1
            )
        )

    async def find(self, image_id: str) -> FoundImage | None:
        """Return what is there; see `ImageStore`."""
        name = image_name(image_id)
        answer = await self._calls.call(self._sdk.api.resource, self._public_id(name), media_metadata=True)
        if answer is None:
            return None
        found = self._found(answer)
        if found.name != name:
            raise _untrue("another image than was asked for")
        return found

    def address(self, image_id: str, found: FoundImage) -> Image:
        """Return where it is: an address that we make ourselves; see `ImageStore`."""
        options = {
            name: value
            for name, value in self._account.items()
            if name in {"cloud_name", "secure_distribution", "private_cdn"}
        }
        options |= {"secure": True, "version": found.version, "format": found.format}
        public_id = self._public_id(found.name)
        url, _ = self._sdk.utils.cloudinary_url(public_id, **options)
        small, _ = self._sdk.utils.cloudinary_url(public_id, transformation=[_THUMBNAIL], **options)
        return Image(image_id=image_id, image_url=url, thumbnail_url=small)

    async def delete(self, name: str) -> bool:
        """Remove it, also from the caches of its network; see `ImageStore`."""
        answer = await self._calls.call(self._sdk.uploader.destroy, self._public_id(name), invalidate=True)
        result = answer.get("result") if isinstance(answer, Mapping) else None
        if result not in {"ok", "not found"}:
            raise _untrue("neither that it removed an image nor that there is none")
        return bool(result == "ok")

    async def older_than(self, time: datetime) -> AsyncIterator[FoundImage]:
        """Yield what is older; see `ImageStore`. Folders inside ours are somebody else's."""
        cursor: str | None = None
        while True:
            more = {"next_cursor": cursor} if cursor else {}
            answer = await self._calls.call(
                self._sdk.api.resources,
                type="upload",
                prefix=f"{self._folder}/",
                max_results=_PAGE,
                context=True,
                **more,
            )
            if not isinstance(answer, Mapping) or not isinstance(answer.get("resources"), list):
                raise _untrue("no list of images")
            for resource in answer["resources"]:
                found = self._described(resource)
                if found.stored_at < time and resource["public_id"] == self._public_id(found.name):
                    yield found
            cursor = answer.get("next_cursor")
            if not cursor:
                return

    def upload(self, source: Source, expires_at: datetime) -> Upload:
        """Return the form of Cloudinary's own address, signed as a whole; see `ImageStore`."""
        parameters = self._sdk.utils.build_upload_params(
            allowed_formats=_FORMATS, transformation=[_INCOMING], **self._parameters(source)
        )
        # So old that it is refused once the ticket has expired.
        parameters["timestamp"] = int(expires_at.timestamp()) - SIGNATURE_SECONDS
        signed = self._sdk.utils.sign_request(parameters, self._account)
        url = self._sdk.utils.cloudinary_api_url("upload", **self._account)
        return Upload(url, {name: str(value) for name, value in signed.items()})

    def _public_id(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _found(self, answer: Any) -> FoundImage:
        """Return the image of ours that an answer describes.

        Raises:
            ImagesUnavailable: It describes none.
        """
        found = self._described(answer)
        if answer["public_id"] != self._public_id(found.name):
            raise _untrue("an image of another folder")
        return found

    @staticmethod
    def _described(answer: Any) -> FoundImage:
        try:
            name = answer["public_id"].rpartition("/")[2]
            context = (answer.get("context") or {}).get("custom", {})
            metadata = {**(answer.get("image_metadata") or {}), **(answer.get("media_metadata") or {})}
            return FoundImage(
                name,
                str(context.get("person_id", "")),
                str(context.get("command_id", "")),
                datetime.fromisoformat(answer["created_at"]).astimezone(UTC),
                str(answer["format"]),
                int(answer["bytes"]),
                int(answer["width"]),
                int(answer["height"]),
                int(answer["version"]),
                tuple(map(str, metadata)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise _untrue("no image") from exc


def _untrue(what: str) -> ImagesUnavailable:
    log.error("cloudinary answers what cannot be", answer=what)
    return ImagesUnavailable(f"Cloudinary told of {what}", retry_after=30)
