"""The fields of a person in their stored form; refuses every unknown or unnormalised one."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar, assert_never

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model, model_validator

from events.person.schema.declarations import FieldDeclaration, PersonSchema
from events.person.schema.patterns import linear_pattern

MAX_INTEGER: Final = 2**53 - 1
"""Beyond it, programs that read JSON numbers as floats take one number for another (RFC 8785)."""
_DOCUMENT_ID: Final = StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9\-]{1,30}[A-Z0-9]$")
_DATE: Final = StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")
_DECIMAL: Final = StringConstraints(
    pattern=r"^(?:0|-?(?:[1-9][0-9]{0,33}(?:\.[0-9]{0,33}[1-9])?|0\.[0-9]{0,33}[1-9]))$"
)
_URI: Final = StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9+.\-]*:[^\s]+$", max_length=2000)
_UUID: Final = StringConstraints(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")
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
    match field.type:
        case "integer":
            least = -MAX_INTEGER if field.minimum is None else field.minimum
            most = MAX_INTEGER if field.maximum is None else field.maximum
            return Annotated[int, Field(strict=True, ge=least, le=most)]
        case "boolean":
            return Annotated[bool, Field(strict=True)]
        case "array":
            return Annotated[list[_text_type(field)], Field(min_length=1, max_length=field.max_items)]  # type: ignore[misc]
        case "string":
            return _text_type(field)
        case _:
            assert_never(field.type)


def _text_type(field: FieldDeclaration) -> Any:
    match field.format:
        case "code":
            return Literal[tuple(field.words)]
        case "document-number":
            return Annotated[str, _DOCUMENT_ID]
        case "birth-date" | "date":
            return Annotated[str, _DATE]
        case "decimal":
            return Annotated[str, _DECIMAL]
        case "phone":
            return Annotated[str, _PHONE]
        case "uri":
            return Annotated[str, _URI]
        case "uuid":
            return Annotated[str, _UUID]
        case "email":
            return Annotated[str, StringConstraints(min_length=3, max_length=field.max_length)]
        case "name" | "text" | "plain":
            return Annotated[
                str,
                StringConstraints(
                    min_length=max(1, field.min_length),
                    max_length=field.max_length,
                    pattern=linear_pattern(field.pattern) if field.pattern else None,
                ),
            ]
        case _:
            assert_never(field.format)


class PersonFields(BaseModel):
    """What a client says about a person, normalised: the data of `person.create`; a schema adds fields."""

    model_config = _STORED


class PersonChanges(BaseModel):
    """The fields that a client changes: the data of `person.update`. A schema adds the fields.

    A field that is absent stays; an optional field that is null goes (RFC 7396).
    """

    model_config = _STORED
    optional: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("names no field")
        for name in self.model_fields_set - self.optional:
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


_SYSTEM: Final[Mapping[str, tuple[Any, Any]]] = {
    "id": (str, ...),
    "version": (int, ...),
    "image_url": (str | None, ...),
    "thumbnail_url": (str | None, ...),
    "created_at": (str, ...),
    "updated_at": (str, ...),
}
READ_ONLY: Final = tuple(_SYSTEM)
"""What the system says of a person; where a client sends it back, it is let go."""
IMAGE_NAMES: Final = tuple(Image.model_fields)
"""What the system says of the image; no revert brings back a picture that was removed."""

Form = TypeVar("Form", bound=BaseModel)


def with_fields(fields: Mapping[str, tuple[Any, Any]]) -> Callable[[type[Form]], type[Form]]:
    """Return a decorator that adds fields to a model.

    A type checker does not know them: code reads the fields of a person by the names that the schema
    declares, so that it cannot come to depend on one of them.

    Args:
        fields: By name, the type and the default of each; `...` for none.
    """

    def extend(form: type[Form]) -> type[Form]:
        members: dict[str, Any] = dict(fields)
        return create_model(
            form.__name__, __base__=form, __module__=form.__module__, __doc__=form.__doc__, **members
        )

    return extend


@dataclass(frozen=True, slots=True)
class StoredForms:
    """The models of a schema's people.

    Attributes:
        fields: What a client says about a person.
        changes: The fields that a client changes.
        view: A person as both APIs show it.
    """

    fields: type[PersonFields]
    changes: type[PersonChanges]
    view: type[BaseModel]

    @property
    def shown_names(self) -> tuple[str, ...]:
        """Return the names of all that is shown of a person, in order."""
        return tuple(self.view.model_fields)


@lru_cache(maxsize=16)
def stored_forms(schema: PersonSchema) -> StoredForms:
    """Return the models of a schema's people; made once."""
    types = {field.name: stored_type(field) for field in schema.fields}
    whole = {
        field.name: (types[field.name], ...) if field.required else (types[field.name] | None, None)
        for field in schema.fields
    }
    fields = with_fields(whole)(PersonFields)
    changes = with_fields({name: (form | None, None) for name, form in types.items()})(PersonChanges)
    changes.optional = schema.optional
    view = create_model("PersonView", __base__=fields, __doc__="A person as both APIs show it.", **_SYSTEM)  # type: ignore[call-overload]
    return StoredForms(fields, changes, view)


def state_names(schema: PersonSchema) -> tuple[str, ...]:
    """Return the names of all that an event may change."""
    return (*schema.names, *IMAGE_NAMES)
