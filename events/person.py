"""Owns the fields of a person in their stored form; refuses every unknown or unnormalised one."""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from events.vocabulary import DocumentType, Gender

DocumentId = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9\-]{1,30}[A-Z0-9]$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
BirthDate = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
Email = Annotated[str, StringConstraints(min_length=3, max_length=254)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+[1-9]\d{6,14}$")]
Address = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ImageId = Annotated[
    str, StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
]
Url = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Occupation = Annotated[str, StringConstraints(min_length=1, max_length=100)]

OPTIONAL_FIELDS: Final = frozenset({"middle_name", "address", "occupation"})

_STORED = ConfigDict(frozen=True, extra="forbid")


class PersonFields(BaseModel):
    """What a client says about a person, normalised: the data of `person.create`."""

    model_config = _STORED

    document_type: DocumentType
    document_id: DocumentId
    first_name: Name
    middle_name: Name | None = None
    last_name: Name
    birth_date: BirthDate
    gender: Gender
    email: Email
    phone: Phone
    address: Address | None = None
    occupation: Occupation | None = None


class PersonChanges(BaseModel):
    """The fields that a client changes: the data of `person.update`.

    A field that is absent stays; an optional field that is null goes (RFC 7396).
    """

    model_config = _STORED

    document_type: DocumentType | None = None
    document_id: DocumentId | None = None
    first_name: Name | None = None
    middle_name: Name | None = None
    last_name: Name | None = None
    birth_date: BirthDate | None = None
    gender: Gender | None = None
    email: Email | None = None
    phone: Phone | None = None
    address: Address | None = None
    occupation: Occupation | None = None

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


FIELD_NAMES: Final = tuple(PersonFields.model_fields)
REQUIRED_FIELDS: Final = tuple(name for name in FIELD_NAMES if name not in OPTIONAL_FIELDS)
"""What a client says; a revert brings these back."""
IMAGE_NAMES: Final = tuple(Image.model_fields)
"""What the system says of the image; no revert brings back a picture that was removed."""
STATE_NAMES: Final = (*FIELD_NAMES, *IMAGE_NAMES)
