"""The body of an import that is a form, as a browser sends a file."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema


class PeopleFile(BaseModel):
    """A file of people; told to clients, and read bit by bit by `FormFile`."""

    model_config = ConfigDict(extra="forbid")

    file: Annotated[bytes, WithJsonSchema({"type": "string", "format": "binary"})] = Field(
        description="In any of the forms, by its name or its beginning; the field may have another name"
    )
