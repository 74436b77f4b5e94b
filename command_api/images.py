"""Owns the routes of a person's image: change it, remove it, or let a browser upload it by itself.

The picture is in its store before the command that makes it the person's is published: whatever fails in
between leaves a picture that nobody refers to, and the sweep finds it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from command_api import image_documentation as doc
from command_api.people import CommandDesk
from command_api.preferences import read_preferences
from command_api.uploads import Uploads
from events.commands import ChangeImage
from events.errors import InvalidFields, RollcallError
from events.image_errors import ImagesOff
from events.person import NO_IMAGE
from events.times import rfc3339
from service_kit.images import FoundImage, ImageSecret, ImageStore, Source, Ticket
from service_kit.images.model import MAX_FILE_BYTES, MAX_PIXELS, MEDIA_TYPES
from service_kit.images.secret import TICKET_SECONDS
from service_kit.problems import problem_of
from service_kit.tokens import Caller
from service_kit.web import PlainRoute, path_id

UPLOADS: Final = "/images/uploads"
_TELLING: Final = ("GPS", "Make", "Model", "Artist", "OwnerName", "CameraOwnerName", "SerialNumber")
"""Beginnings of the names of metadata that say where, with what and by whom a picture was taken."""


class Confirmation(BaseModel):
    """Which upload is to become the person's image."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ticket: str = Field(min_length=1, max_length=2000, description="From the answer with the ticket")


@dataclass(frozen=True, slots=True)
class ImageDesk:
    """What the routes need beside the command desk, given by the composition root.

    Attributes:
        store: Where new images go; None for nowhere.
        secret: Names images and signs tickets.
        uploads: Takes pictures in.
    """

    store: ImageStore | None
    secret: ImageSecret | None
    uploads: Uploads

    def ready(self) -> tuple[ImageStore, ImageSecret]:
        """Return the store and the secret.

        Raises:
            ImagesOff: They are not set up.
        """
        if self.store is None:
            raise ImagesOff("no images are kept here: see the settings CLOUDINARY_URL and ROLLCALL_IMAGES")
        if self.secret is None:
            raise ImagesOff("no images are kept here: see the setting ROLLCALL_IMAGES_KEY_FILE")
        return self.store, self.secret

    async def uploaded(self, ticket: Ticket) -> FoundImage:
        """Return the image that was uploaded with a ticket; one that is not good is removed.

        Raises:
            InvalidFields: There is none, or none that may become a person's image.
        """
        store, _ = self.ready()
        found = await store.find(ticket.image_id)
        if found is None:
            raise _refused("ticket", "nothing was uploaded with it yet")
        if reason := _fault(found, ticket):
            await store.delete(ticket.image_id)
            raise _refused("file", reason)
        return found


def _fault(found: FoundImage, ticket: Ticket) -> str | None:
    """Return why an uploaded image may not become that person's; None if it may."""
    if (found.person_id, found.command_id) != (ticket.person_id, ticket.command_id):
        return "was not uploaded with this ticket"
    if found.format not in MEDIA_TYPES:
        return "is no PNG, JPEG or WebP"
    if found.size > MAX_FILE_BYTES:
        return f"has {found.size:,} bytes, more than {MAX_FILE_BYTES:,}"
    if not 0 < found.width * found.height <= MAX_PIXELS:
        return f"has {found.width} x {found.height} pixels, over {MAX_PIXELS:,} in all"
    if any(name.startswith(_TELLING) for name in found.metadata):
        return "still has the metadata of a camera"
    return None


def _refused(field: str, reason: str) -> InvalidFields:
    return InvalidFields("the upload is not good", [{"field": field, "reason": reason}])


def add_image_routes(app: FastAPI, desk: CommandDesk, images: ImageDesk) -> None:
    """Add the routes that change people's images."""
    app.router.route_class = PlainRoute
    _add_changing(app, desk, images)
    _add_direct_upload(app, desk, images)


def _add_changing(app: FastAPI, desk: CommandDesk, images: ImageDesk) -> None:
    @app.patch("/people/{person_id}/image", tags=["images"], status_code=202, **doc.CHANGE_IMAGE)
    async def change_image(request: Request) -> Response:
        caller = await desk.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        person_id = path_id(request, "person_id")
        store, secret = images.ready()
        async with images.uploads.place():
            picture = await images.uploads.picture(request)
            stamp = desk.stamp(request, caller, preferences)
            # The content too: an id never stands for two pictures, whatever a client repeats.
            image_id = secret.image_id(stamp["command_id"], picture.digest)
            image = await store.put(Source(image_id, person_id, stamp["command_id"]), picture)
        command = ChangeImage.model_construct(person_id=person_id, data=image, **stamp)
        return await desk.submit(command, preferences)

    @app.delete("/people/{person_id}/image", tags=["images"], status_code=202, **doc.REMOVE_IMAGE)
    async def remove_image(request: Request) -> Response:
        caller = await desk.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        command = ChangeImage.model_construct(
            person_id=path_id(request, "person_id"),
            data=NO_IMAGE,
            **desk.stamp(request, caller, preferences),
        )
        return await desk.submit(command, preferences)


def _add_direct_upload(app: FastAPI, desk: CommandDesk, images: ImageDesk) -> None:
    @app.post("/people/{person_id}/image/upload-ticket", tags=["images"], **doc.UPLOAD_TICKET)
    async def issue_ticket(request: Request) -> Response:
        caller = await desk.authorize(request, "people:write")
        stamp = desk.stamp(request, caller, read_preferences(request.headers))
        person_id, command_id = path_id(request, "person_id"), stamp["command_id"]
        store, secret = images.ready()
        expires_at = desk.clock().replace(microsecond=0) + timedelta(seconds=TICKET_SECONDS)
        ticket = Ticket(
            secret.image_id("ticket", command_id), person_id, command_id, caller.subject, expires_at
        )
        upload = store.upload(Source(ticket.image_id, person_id, command_id), expires_at)
        signed, base = secret.sign(ticket), _base(request)
        content = {
            "url": upload.url or f"{base}{UPLOADS}?ticket={signed}",
            "method": "POST",
            "fields": upload.fields,
            "file_field": "file",
            "max_bytes": MAX_FILE_BYTES,
            "expires_at": rfc3339(expires_at),
            "confirm": f"{base}/people/{person_id}/image/confirm",
            "ticket": signed,
        }
        return Response(orjson.dumps(content), 200, {"Cache-Control": "no-store"}, "application/json")

    @app.post(UPLOADS, tags=["images"], status_code=201, **doc.UPLOAD)
    async def upload(request: Request) -> Response:
        try:
            response = await _take_upload(request, images)
        except RollcallError as exc:
            response = problem_of(exc)
        # The ticket is the permission, and a page of any origin may carry one.
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    @app.post("/people/{person_id}/image/confirm", tags=["images"], status_code=202, **doc.CONFIRM)
    async def confirm(request: Request) -> Response:
        caller = await desk.authorize(request, "people:write")
        preferences = read_preferences(request.headers)
        person_id = path_id(request, "person_id")
        store, secret = images.ready()
        ticket = secret.read((await desk.read(request, Confirmation, "application/json")).ticket)
        _check_bearer(ticket, person_id, caller)
        found = await images.uploaded(ticket)
        stamp = desk.stamp(request, caller, preferences)
        # A repeated confirmation is the same command, whether or not it has an Idempotency-Key.
        stamp["command_id"] = ticket.command_id
        stamp["correlation_id"] = preferences.correlation_id or ticket.command_id
        command = ChangeImage.model_construct(person_id=person_id, data=store.address(found), **stamp)
        return await desk.submit(command, preferences)


def _check_bearer(ticket: Ticket, person_id: str, caller: Caller) -> None:
    if ticket.person_id != person_id:
        raise _refused("ticket", "is for another person")
    if ticket.subject != caller.subject:
        raise _refused("ticket", "was given to somebody else")


async def _take_upload(request: Request, images: ImageDesk) -> Response:
    store, secret = images.ready()
    ticket = secret.read(request.query_params.get("ticket", ""))
    async with images.uploads.place():
        picture = await images.uploads.picture(request)
        await store.put(Source(ticket.image_id, ticket.person_id, ticket.command_id), picture)
    content: dict[str, Any] = {
        "bytes": len(picture.content),
        "format": picture.format,
        "width": picture.width,
        "height": picture.height,
    }
    return Response(orjson.dumps(content), 201, media_type="application/json")


def _base(request: Request) -> str:
    """Return the address of this API as the client reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
