"""The bodies of the routes of images: a form with a picture, and a ticket that is sent back."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema


class ImageFile(BaseModel):
    """A picture; told to clients, and read bit by bit by `Uploads`."""

    model_config = ConfigDict(extra="forbid")

    file: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})] = Field(
        description="PNG, JPEG or WebP, by its content: up to 2 MB and 25 megapixels"
    )


class Confirmation(BaseModel):
    """Which upload is to become the person's image."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ticket: str = Field(min_length=1, max_length=2000, description="From the answer with the ticket")
