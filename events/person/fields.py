"""The fields of a person in their stored form; refuses every unknown or unnormalised one."""

from typing import Annotated, Any, Final, Literal, Self, assert_never

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from events.person.schema import FIELD_NAMES, FIELDS, OPTIONAL_FIELDS, FieldDeclaration, with_fields

_DOCUMENT_ID: Final = StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9\-]{1,30}[A-Z0-9]$")
_BIRTH_DATE: Final = StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
_PHONE: Final = StringConstraints(pattern=r"^\+[1-9][0-9]{2,19}(;ext=[0-9]{1,20})?$")
ImageId = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
Url = Annotated[str, StringConstraints(min_length=1, max_length=500)]

_STORED = ConfigDict(frozen=True, extra="forbid")


def stored_type(field: FieldDeclaration) -> Any:
    """Return the type of a field's values in their normal form.

    The only limits that a value has: the command API ends with this type what it reads, and a worker begins
    with it, so that nothing is accepted which no worker can read.
    """
    match field.format:
        case "code":
            return Literal[tuple(field.words)]
        case "document-number":
            return Annotated[str, _DOCUMENT_ID]
        case "birth-date":
            return Annotated[str, _BIRTH_DATE]
        case "phone":
            return Annotated[str, _PHONE]
        case "email":
            return Annotated[str, StringConstraints(min_length=3, max_length=field.max_length)]
        case "name" | "text":
            return Annotated[str, StringConstraints(min_length=1, max_length=field.max_length)]
        case _:
            assert_never(field.format)


@with_fields(
    {
        field.name: (stored_type(field), ...) if field.required else (stored_type(field) | None, None)
        for field in FIELDS
    }
)
class PersonFields(BaseModel):
    """What a client says about a person, normalised: the data of `person.create`."""

    model_config = _STORED


@with_fields({field.name: (stored_type(field) | None, None) for field in FIELDS})
class PersonChanges(BaseModel):
    """The fields that a client changes: the data of `person.update`.

    A field that is absent stays; an optional field that is null goes (RFC 7396).
    """

    model_config = _STORED

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names no field")
        for name in self.model_fields_set - OPTIONAL_FIELDS:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be removed")
        return self


class Image(BaseModel):
    """Where a person's image is: the data of `person.change_image`; all null for a person without one.

    Attributes:
        image_id: Names it in its store.
        image_url: Where it can be had.
        thumbnail_url: Where it can be had small and square.
    """

    model_config = _STORED

    image_id: ImageId | None
    image_url: Url | None
    thumbnail_url: Url | None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len({value is None for _, value in self}) > 1:
            raise ValueError("an image is there with all that belongs to it, or not at all")
        return self


NO_IMAGE: Final = Image(image_id=None, image_url=None, thumbnail_url=None)


class PersonView(PersonFields):
    """A person as both APIs show it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    version: int
    image_url: str | None
    thumbnail_url: str | None
    created_at: str
    updated_at: str


READ_ONLY: Final = tuple(name for name in PersonView.model_fields if name not in FIELD_NAMES)
"""What the system says of a person; where a client sends it back, it is let go."""
IMAGE_NAMES: Final = tuple(Image.model_fields)
"""What the system says of the image; no revert brings back a picture that was removed."""
STATE_NAMES: Final = (*FIELD_NAMES, *IMAGE_NAMES)
