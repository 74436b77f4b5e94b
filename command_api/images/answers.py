"""The bodies that tell of an upload."""

from typing import Literal

from pydantic import BaseModel, Field

from service_kit.http.formats import Time, Uri


class UploadTicket(BaseModel):
    """What a browser needs to upload one picture by itself."""

    url: Uri = Field(description="Where the form goes")
    method: Literal["POST"]
    fields: dict[str, str] = Field(description="Fields of the form, all signed")
    file_field: Literal["file"]
    max_bytes: int
    expires_at: Time
    confirm: Uri = Field(description="Where the ticket goes afterwards")
    ticket: str


class UploadedImage(BaseModel):
    """An image that is kept, and waits to be confirmed."""

    bytes: int
    format: Literal["jpg", "webp"]
    width: int = Field(description="Pixels")
    height: int = Field(description="Pixels")
