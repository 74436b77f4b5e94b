"""What clients may send about a person, brought to its normal form. Knows no HTTP.

Bodies of the people-CRUD systems that this replaces pass as they are: Spanish and English words for
documents and genders, day-first dates, national phone numbers, empty optional fields.
"""

from typing import Annotated, Any, Final, assert_never

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from events.person.fields import READ_ONLY, PersonView, stored_type
from events.person.schema import FIELD_NAMES, FIELDS, FieldDeclaration, with_fields
from service_kit.person_values import NOWHERE, reader_of


def _blank_is_absent(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _words(field: FieldDeclaration) -> str:
    return "; ".join(f"`{code}`: {', '.join(words)}" for code, words in field.words.items())


def _shape(field: FieldDeclaration) -> dict[str, Any]:
    """Return what OpenAPI says of a field's values as clients write them."""
    shape: dict[str, Any] = {"maxLength": field.max_length, "examples": [field.example]}
    match field.format:
        case "code":
            shape |= {"maxLength": 60, "description": _words(field)}
        case "document-number":
            shape |= {
                "maxLength": 40,
                "description": "Letters, digits, dashes; spaces do not count, nor dots between thousands",
            }
        case "name":
            shape |= {"description": "Of any script; has a letter", "examples": ["Ana María"]}
        case "birth-date":
            shape |= {
                "maxLength": 40,
                "description": "`YYYY-MM-DD` (or midnight of that day), or `DD-MM-YYYY`",
                "examples": ["1990-12-10", "10-12-1990"],
            }
        case "email":
            shape["format"] = "email"
        case "phone":
            shape |= {
                "maxLength": 60,
                "description": "With its country, or national in the configured region; perhaps `ext. 12`",
                "examples": ["+573001234567", "3001234567", "+57 601 555 0142 ext. 12"],
            }
        case "text":
            pass
        case _:
            assert_never(field.format)
    # What no keyword of JSON Schema says of the value has a name, for those who make values.
    named = f"rollcall-{field.name.replace('_', '-') if field.format == 'code' else field.format}"
    return {"type": "string", "minLength": 1, "format": named, **shape}


def _written(field: FieldDeclaration) -> Any:
    """Return the type of a field's values as clients write them: read, then held to what is stored."""
    read = reader_of(field)

    def normalise(value: object, info: ValidationInfo) -> object:
        return read(value, info.context or NOWHERE) if isinstance(value, str) else value

    return Annotated[stored_type(field), BeforeValidator(normalise), WithJsonSchema(_shape(field))]


def _optional(field: FieldDeclaration) -> tuple[Any, None]:
    return Annotated[_written(field) | None, BeforeValidator(_blank_is_absent)], None


def _let_go(name: str) -> tuple[Any, None]:
    schema = PersonView.model_json_schema()["properties"][name]
    return Annotated[Any, WithJsonSchema({**schema, "readOnly": True})], None


_READ_ONLY: Final = {name: _let_go(name) for name in READ_ONLY}
"""What an answer says beside the fields: a client may send it back, and it changes nothing."""


PERSON_EXAMPLE: Final[dict[str, JsonValue]] = {field.name: field.example for field in FIELDS}


@with_fields(
    {field.name: (_written(field), ...) if field.required else _optional(field) for field in FIELDS}
    | _READ_ONLY
)
class PersonInput(BaseModel):
    """A new person, as clients write it."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [PERSON_EXAMPLE]})

    def fields(self) -> dict[str, Any]:
        """Return the fields in their normal form, as `PersonFields` has them; null for one that is absent."""
        return {name: self.__dict__[name] for name in FIELD_NAMES}


def _not_removable(value: object) -> object:
    if value is None:
        raise PydanticCustomError("not_removable", "cannot be removed")
    return value


@with_fields(
    {
        field.name: (Annotated[_written(field), BeforeValidator(_not_removable)], "")
        if field.required
        else _optional(field)
        for field in FIELDS
    }
    | _READ_ONLY
)
class PersonPatch(BaseModel):
    """A JSON merge patch (RFC 7396) of a person: what is absent stays, an optional null goes."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={
            "examples": [{"phone": "+573109876543", "occupation": None}],
            "minProperties": 1,
        },
    )

    def changes(self) -> dict[str, Any]:
        """Return the fields that are named, in their normal form, as `PersonChanges` has them."""
        return {name: self.__dict__[name] for name in FIELD_NAMES if name in self.model_fields_set}


def _whole(value: object) -> object:
    """Return a number as JSON Schema reads it: 1.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class ReversionInput(BaseModel):
    """Which version a person shall go back to."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"to_version": 1}]}
    )

    to_version: Annotated[
        int, Field(ge=1, le=2**31 - 1, description="As the history numbers it"), BeforeValidator(_whole)
    ]
