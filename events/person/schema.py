"""What a person is: the one declaration of the fields, from which every model, filter and column follows.

Nothing else in the code lists them. A field is added by one entry here; what a format means is said once in
each place that has to do with it: how its values are read (`service_kit.person_values`), how they are stored
(`events.person.fields`), how people are filtered by them (`query_api.people.comparing`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel, create_model

Format = Literal["birth-date", "code", "document-number", "email", "name", "phone", "text"]
"""`code`: one of the field's `words`, in the form that stands before them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDeclaration:
    """What is declared about one field.

    Attributes:
        name: As it stands in bodies, events and documents.
        format: What its values are.
        example: A value as a client may write it.
        required: Whether every person has it.
        max_length: Of a value, in characters; 0 where the format says it.
        words: By code, the other words that clients may use for it.
        unique: The kind of claim that it takes, together with other fields of that kind; empty for none.
        search: `exact` for a filter of its own, `words` for being found by beginnings of words.
        sort: Whether people can be listed by it, and filtered by the whole of it.
        then: Of a sorted name, the other one by which those who share it are listed.
    """

    name: str
    format: Format
    example: str
    required: bool = True
    max_length: int = 0
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unique: str = ""
    search: Literal["exact", "words", ""] = ""
    sort: bool = False
    then: str = ""

    @property
    def folded(self) -> bool:
        """Return whether it is compared without accents and case."""
        return self.format in ("name", "text")

    @property
    def has_ranges(self) -> bool:
        """Return whether people can be filtered by a first and a last value of it."""
        return self.sort and self.format == "birth-date"

    @property
    def key(self) -> str:
        """Return where the read model has what it is compared by."""
        return f"keys.{self.name}" if self.folded else self.name


FIELDS: Final = (
    FieldDeclaration(
        name="document_type",
        format="code",
        example="Cédula",
        unique="document",
        search="exact",
        words=MappingProxyType(
            {
                "citizen_id": ("Cédula", "Cédula de ciudadanía", "CC", "Citizen ID", "DNI", "National ID"),
                "identity_card": ("Tarjeta de identidad", "TI", "Identity card"),
                "foreigner_id": ("Cédula de extranjería", "CE", "Foreigner ID"),
                "passport": ("Pasaporte", "Passport", "PA", "PP"),
                "birth_certificate": ("Registro civil", "RC", "Birth certificate"),
                "tax_id": ("NIT", "Tax ID"),
            }
        ),
    ),
    FieldDeclaration(
        name="document_id", format="document-number", example="1.020.304", unique="document", search="exact"
    ),
    FieldDeclaration(
        name="first_name",
        format="name",
        example="Ana",
        max_length=100,
        search="words",
        sort=True,
        then="last_name",
    ),
    FieldDeclaration(
        name="middle_name", format="name", example="María", max_length=100, required=False, search="words"
    ),
    FieldDeclaration(
        name="last_name",
        format="name",
        example="Gómez Ríos",
        required=False,
        max_length=100,
        search="words",
        sort=True,
        then="first_name",
    ),
    FieldDeclaration(name="birth_date", format="birth-date", example="10-12-1990", search="exact", sort=True),
    FieldDeclaration(
        name="gender",
        format="code",
        example="Femenino",
        search="exact",
        words=MappingProxyType(
            {
                "male": ("Masculino", "Hombre", "M", "Male", "Man"),
                "female": ("Femenino", "Mujer", "F", "Female", "Woman"),
                "non_binary": ("No binario", "No binaria", "NB", "Non-binary", "Nonbinary"),
                "undisclosed": (
                    "Prefiero no decir",
                    "Prefiero no decirlo",
                    "Prefiero no reportar",
                    "Prefer not to say",
                    "Undisclosed",
                ),
            }
        ),
    ),
    FieldDeclaration(
        name="email",
        format="email",
        example="ana@example.com",
        max_length=254,
        unique="email",
        search="exact",
    ),
    FieldDeclaration(name="phone", format="phone", example="3001234567", search="exact"),
    FieldDeclaration(
        name="address", format="text", example="Calle 10 # 5-51, Cali", max_length=200, required=False
    ),
    FieldDeclaration(
        name="occupation",
        format="text",
        example="Engineer",
        max_length=100,
        required=False,
        search="exact",
    ),
)
"""In the order in which everything shows them."""

BY_NAME: Final = MappingProxyType({one.name: one for one in FIELDS})
FIELD_NAMES: Final = tuple(BY_NAME)
"""What a client says; a revert brings these back."""
REQUIRED_FIELDS: Final = tuple(one.name for one in FIELDS if one.required)
OPTIONAL_FIELDS: Final = frozenset(FIELD_NAMES) - frozenset(REQUIRED_FIELDS)
UNIQUE: Final = MappingProxyType(
    {
        kind: tuple(one.name for one in FIELDS if one.unique == kind)
        for kind in dict.fromkeys(one.unique for one in FIELDS if one.unique)
    }
)
"""By kind of claim, the fields whose values together belong to one person."""

Form = TypeVar("Form", bound=BaseModel)


def with_fields(fields: Mapping[str, tuple[Any, Any]]) -> Callable[[type[Form]], type[Form]]:
    """Return a decorator that adds fields to a model.

    A type checker does not know them: code reads the fields of a person by the names declared here, so that
    it cannot come to depend on one of them.

    Args:
        fields: By name, the type and the default of each; `...` for none.
    """

    def extend(form: type[Form]) -> type[Form]:
        members: dict[str, Any] = dict(fields)
        return create_model(
            form.__name__, __base__=form, __module__=form.__module__, __doc__=form.__doc__, **members
        )

    return extend
