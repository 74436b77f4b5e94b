"""What clients may send about a person, brought to its normal form. Knows no HTTP.

Bodies of the people-CRUD systems that this replaces pass as they are: Spanish and English words for
documents and genders, day-first dates, national phone numbers, empty optional fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, assert_never

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from events.person.fields import MAX_INTEGER, READ_ONLY, stored_forms, stored_type, with_fields
from events.person.schema.declarations import FieldDeclaration, PersonSchema
from service_kit.person_values.context import NOWHERE
from service_kit.person_values.readers import value_reader_of, whole
from service_kit.person_view import scopes_told


def _blank_is_absent(value: object) -> object:
    """Return null for an empty text, or an array of nothing; all else as it is."""
    if isinstance(value, str):
        return value if value.strip() else None
    return None if value == [] else value


def _words(field: FieldDeclaration) -> str:
    return "; ".join(f"`{code}`: {', '.join(words)}" for code, words in field.words.items())


def _shape(field: FieldDeclaration) -> dict[str, Any]:
    """Return what OpenAPI says of a field's values as clients write them."""
    told = {name: text for name, text in (("title", field.labels.get("en")),) if text}
    texts = {} if field.type in ("integer", "boolean") else _text_shape(field)
    if scopes := scopes_told(field):
        told["description"] = ". ".join(filter(None, (texts.pop("description", ""), scopes)))
    examples = {"examples": list(field.examples)}
    match field.type:
        case "integer":
            least = -MAX_INTEGER if field.minimum is None else field.minimum
            most = MAX_INTEGER if field.maximum is None else field.maximum
            return {"type": "integer", "minimum": least, "maximum": most, **told, **examples}
        case "boolean":
            return {"type": "boolean", **told, **examples}
        case "array":
            items = {"type": "string", "minLength": 1, **texts}
            size = {"minItems": 1, "maxItems": field.max_items}
            return {"type": "array", "items": items, **size, **told, **examples}
        case "string":
            return {"type": "string", "minLength": 1, **texts, **told, **examples}
        case _:
            assert_never(field.type)


def _text_shape(field: FieldDeclaration) -> dict[str, Any]:
    shape: dict[str, Any] = {"maxLength": field.max_length}
    if field.pattern:
        shape["pattern"] = field.pattern
    # What no keyword of JSON Schema says of the value has a name, for those who make values.
    named = f"rollcall-{field.name.replace('_', '-') if field.format == 'code' else field.format}"
    match field.format:
        case "code":
            shape |= {"maxLength": max(60, *map(len, field.words)), "description": _words(field)}
        case "document-number":
            shape |= {
                "maxLength": 40,
                "description": "Letters, digits, dashes; spaces do not count, nor dots between thousands",
            }
        case "name":
            shape["description"] = "Of any script; has a letter"
        case "birth-date" | "date":
            shape |= {
                "maxLength": 40,
                "description": "`YYYY-MM-DD` (or midnight of that day), or `DD-MM-YYYY`",
            }
        case "decimal":
            shape |= {"maxLength": 80, "description": "A decimal number as text, with a point: `1250.5`"}
        case "email" | "uuid":
            named = field.format
            shape["maxLength"] = field.max_length or 45
        case "uri":
            named, shape["maxLength"] = "uri", 2000
        case "phone":
            shape |= {
                "maxLength": 60,
                "description": "With its country, or national in the configured region; perhaps `ext. 12`",
            }
        case "text" | "plain":
            pass
        case _:
            assert_never(field.format)
    return {"format": named, **shape}


def _written(field: FieldDeclaration) -> Any:
    """Return the type of a field's values as clients write them: read, then held to what is stored."""
    read = value_reader_of(field)

    def normalise(value: object, info: ValidationInfo) -> object:
        return read(value, info.context or NOWHERE)

    return Annotated[stored_type(field), BeforeValidator(normalise), WithJsonSchema(_shape(field))]


def _optional(field: FieldDeclaration) -> tuple[Any, None]:
    return Annotated[_written(field) | None, BeforeValidator(_blank_is_absent)], None


def _let_go(schema: PersonSchema) -> dict[str, tuple[Any, Any]]:
    """Return what an answer says beside the fields: a client may send it back, and it changes nothing."""
    shapes = stored_forms(schema).view.model_json_schema()["properties"]
    return {
        name: (Annotated[Any, WithJsonSchema({**shapes[name], "readOnly": True})], None) for name in READ_ONLY
    }


class PersonInput(BaseModel):
    """A new person, as clients write it."""

    model_config = ConfigDict(extra="forbid", strict=True)
    names: ClassVar[tuple[str, ...]] = ()

    def fields(self) -> dict[str, Any]:
        """Return the fields in their normal form, as `PersonFields` has them; null for one that is absent."""
        return {name: self.__dict__[name] for name in self.names}


class PersonPatch(BaseModel):
    """A JSON merge patch (RFC 7396) of a person: what is absent stays, an optional null goes."""

    model_config = ConfigDict(extra="forbid", strict=True)
    names: ClassVar[tuple[str, ...]] = ()

    def changes(self) -> dict[str, Any]:
        """Return the fields that are named, in their normal form, as `PersonChanges` has them."""
        return {name: self.__dict__[name] for name in self.names if name in self.model_fields_set}


def _not_removable(value: object) -> object:
    if value is None:
        raise PydanticCustomError("not_removable", "cannot be removed")
    return value


@dataclass(frozen=True, slots=True)
class InputForms:
    """What clients may send about a schema's people.

    Attributes:
        person: A new person.
        patch: A change of some fields.
    """

    person: type[PersonInput]
    patch: type[PersonPatch]


@lru_cache(maxsize=16)
def input_forms(schema: PersonSchema) -> InputForms:
    """Return what clients may send about a schema's people; made once."""
    let_go = _let_go(schema)
    person = with_fields(
        {
            field.name: (_written(field), ...) if field.required else _optional(field)
            for field in schema.fields
        }
        | let_go
    )(_shown(PersonInput, schema, {"examples": [example_input(schema)]}))
    patch = with_fields(
        {
            field.name: (Annotated[_written(field), BeforeValidator(_not_removable)], "")
            if field.required
            else _optional(field)
            for field in schema.fields
        }
        | let_go
    )(_shown(PersonPatch, schema, {"examples": [_example_patch(schema)], "minProperties": 1}))
    return InputForms(person, patch)


def _shown(form: Any, schema: PersonSchema, shown: Mapping[str, Any]) -> Any:
    """Return a form for a schema's fields, with what its own JSON schema says."""
    extra = ConfigDict(json_schema_extra=dict(shown))
    return type(
        form.__name__, (form,), {"__doc__": form.__doc__, "names": schema.names, "model_config": extra}
    )


def example_input(schema: PersonSchema) -> dict[str, Any]:
    """Return a new person as a client may write it."""
    return {field.name: field.example for field in schema.fields}


def _example_patch(schema: PersonSchema) -> dict[str, Any]:
    """Return a change as a client may write it: of a field that everybody has, and of one that goes."""
    kept, goes = schema.required[-1:], [name for name in schema.names if name in schema.optional][-1:]
    return {name: schema.by_name[name].example for name in kept} | dict.fromkeys(goes)


class ReversionInput(BaseModel):
    """Which version a person shall go back to."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [{"to_version": 1}]}
    )

    to_version: Annotated[
        int, Field(ge=1, le=2**31 - 1, description="As the history numbers it"), BeforeValidator(whole)
    ]
