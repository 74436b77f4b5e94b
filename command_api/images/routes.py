"""Routes of a person's image: change it, remove it, or let a browser upload it by itself.

The picture is in its store before the command that makes it the person's is published: whatever fails in
between leaves a picture that nobody refers to, and the sweep finds it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from command_api.dispatch.preferences import Preferred
from command_api.images import documentation as doc
from command_api.images.answers import UploadedImage, UploadTicket
from command_api.images.requests import Confirmation
from command_api.images.uploads import Uploads
from command_api.people.routes import PeopleDependencies
from events.errors import InvalidFields, RollcallError
from events.images.errors import ImagesOff
from events.person.commands import ChangeImage
from events.person.fields import NO_IMAGE
from events.times import rfc3339
from service_kit.auth.tokens import Caller
from service_kit.http.problems import problem_of
from service_kit.http.reasons import language_of
from service_kit.http.typed import PersonId, wants
from service_kit.images import FoundImage, ImageSecret, ImageStore, Source, Ticket, image_name
from service_kit.images.model import MAX_FILE_BYTES, MAX_PIXELS, MEDIA_TYPES
from service_kit.images.secret import TICKET_SECONDS

UPLOADS: Final = "/images/uploads"
_TELLING: Final = ("GPS", "Make", "Model", "Artist", "OwnerName", "CameraOwnerName", "SerialNumber")
"""Beginnings of the names of metadata that say where, with what and by whom a picture was taken."""


@dataclass(frozen=True, slots=True)
class ImageDependencies:
    """What the routes need beside the command dependencies, given by the composition root.

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
            await store.delete(image_name(ticket.image_id))
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


def add_image_routes(app: FastAPI, dependencies: PeopleDependencies, images: ImageDependencies) -> None:
    """Add the routes that change people's images."""
    app.router.route_class = APIRoute
    _add_changing(app, dependencies, images)
    _add_direct_upload(app, dependencies, images)


def _add_changing(app: FastAPI, dependencies: PeopleDependencies, images: ImageDependencies) -> None:
    writer = wants(dependencies.verifier, "people:write")
    documents = doc.ImageDocuments(dependencies.schema)

    @app.patch("/people/{person_id}/image", summary="Change a person's image", **documents.change)
    async def change_image(
        request: Request,
        person_id: PersonId,
        caller: Annotated[Caller, writer],
        preferences: Preferred,
    ) -> Response:
        """Scope `people:write`. The picture is decoded, freed of its metadata (EXIF, location), made upright,
        no larger than 2048 pixels, encoded anew as JPEG, or WebP if it is transparent, and given a square
        thumbnail of 256. Of an animation, the first image. 503 if its store is away: nothing changes then.
        """
        store, secret = images.ready()
        with images.uploads.slot():
            picture = await images.uploads.picture(request)
            stamp = dependencies.stamp(request, caller, preferences, picture.digest)
            # The content too: an id never stands for two pictures, whatever a client repeats.
            image_id = secret.image_id(stamp["command_id"], picture.digest)
            image = await store.put(Source(image_id, str(person_id), stamp["command_id"]), picture)
        command = ChangeImage.model_construct(person_id=str(person_id), data=image, **stamp)
        return await dependencies.submit(command, preferences, caller)

    @app.delete("/people/{person_id}/image", summary="Remove a person's image", **documents.remove)
    async def remove_image(
        request: Request,
        person_id: PersonId,
        caller: Annotated[Caller, writer],
        preferences: Preferred,
    ) -> Response:
        """Scope `people:write`. The picture itself is removed soon after."""
        stamp = dependencies.stamp(request, caller, preferences, None)
        command = ChangeImage.model_construct(person_id=str(person_id), data=NO_IMAGE, **stamp)
        return await dependencies.submit(command, preferences, caller)


def _add_direct_upload(app: FastAPI, dependencies: PeopleDependencies, images: ImageDependencies) -> None:
    writer = wants(dependencies.verifier, "people:write")

    @app.post(
        "/people/{person_id}/image/upload-ticket",
        summary="Let a browser upload an image by itself",
        **doc.UPLOAD_TICKET,
    )
    async def create_upload_ticket(
        request: Request,
        person_id: PersonId,
        caller: Annotated[Caller, writer],
        preferences: Preferred,
    ) -> UploadTicket:
        """Scope `people:write`. Send a form with all of `fields`, then the file as `file_field`, to `url`: no
        token is needed there, and every field is signed. Then send the ticket to `confirm`. Good for ten
        minutes and one picture.
        """
        command_id = dependencies.stamp(request, caller, preferences, None)["command_id"]
        store, secret = images.ready()
        expires_at = dependencies.clock().replace(microsecond=0) + timedelta(seconds=TICKET_SECONDS)
        ticket = secret.ticket(str(person_id), command_id, caller.subject, expires_at)
        upload = store.upload(Source(ticket.image_id, str(person_id), command_id), expires_at)
        signed, base = secret.sign(ticket), _base(request)
        return UploadTicket(
            url=upload.url or f"{base}{UPLOADS}?ticket={signed}",
            method="POST",
            fields=upload.fields,
            file_field="file",
            max_bytes=MAX_FILE_BYTES,
            expires_at=rfc3339(expires_at),
            confirm=f"{base}/people/{person_id}/image/confirm",
            ticket=signed,
        )

    @app.post(UPLOADS, summary="Upload an image with a ticket", **doc.UPLOAD)
    async def upload_image(request: Request) -> Response:
        """No token: the ticket is the permission. It changes nobody until it is confirmed."""
        try:
            response = await _take_upload(request, images)
        except RollcallError as exc:
            response = problem_of(exc, language_of(request.headers.get("accept-language")))
        # The ticket is the permission, and a page of any origin may carry one.
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    documents = doc.ImageDocuments(dependencies.schema)

    @app.post(
        "/people/{person_id}/image/confirm", summary="Make an uploaded image a person's", **documents.confirm
    )
    async def confirm_image(
        request: Request,
        person_id: PersonId,
        caller: Annotated[Caller, writer],
        preferences: Preferred,
    ) -> Response:
        """Scope `people:write`, and the subject that got the ticket. Checks what was uploaded; repeated, it
        is the same command.
        """
        store, secret = images.ready()
        ticket = secret.read((await dependencies.read(request, Confirmation, "application/json")).ticket)
        _check_bearer(ticket, str(person_id), caller)
        found = await images.uploaded(ticket)
        stamp = dependencies.stamp(request, caller, preferences, None)
        # A repeated confirmation is the same command, whether or not it has an Idempotency-Key.
        stamp |= {"command_id": ticket.command_id, "idempotency_id": None}
        stamp["correlation_id"] = preferences.correlation_id or ticket.command_id
        image = store.address(ticket.image_id, found)
        command = ChangeImage.model_construct(person_id=str(person_id), data=image, **stamp)
        return await dependencies.submit(command, preferences, caller)


def _check_bearer(ticket: Ticket, person_id: str, caller: Caller) -> None:
    if ticket.person_id != person_id:
        raise _refused("ticket", "is for another person")
    if ticket.subject != caller.subject:
        raise _refused("ticket", "was given to somebody else")


async def _take_upload(request: Request, images: ImageDependencies) -> Response:
    store, secret = images.ready()
    ticket = secret.read(request.query_params.get("ticket", ""))
    with images.uploads.slot():
        picture = await images.uploads.picture(request)
        await store.put(Source(ticket.image_id, ticket.person_id, ticket.command_id), picture)
    answer = UploadedImage(
        bytes=len(picture.content), format=picture.format, width=picture.width, height=picture.height
    )
    return Response(answer.model_dump_json(), 201, media_type="application/json")


def _base(request: Request) -> str:
    """Return the address of this API as the client reached it."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
