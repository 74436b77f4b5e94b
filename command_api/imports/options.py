"""The parameters of an import. Pure."""

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache, partial
from typing import Annotated, ClassVar, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from events.imports.states import Mode
from events.person.fields import READ_ONLY
from events.person.schema.declarations import PersonSchema
from events.person.titles import title_key
from service_kit.http.guard import MAX_TARGET_BYTES
from service_kit.http.reasons import unknown

ID: Final = "id"
IGNORED: Final = frozenset(READ_ONLY) - {ID}
"""What an export has and the system sets by itself."""


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise ValueError("must be a UUID") from None


_Columns = Annotated[str, Field(max_length=MAX_TARGET_BYTES - 1_024)]
"""Of an address the greater part: the rest is for what else is asked."""
_Pair = Annotated[str, Field(max_length=200)]


class ImportQuery(BaseModel):
    """Parameters of an import of a schema's people."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    person_schema: ClassVar[PersonSchema]

    import_id: (
        Annotated[
            str,
            Field(max_length=40, json_schema_extra={"format": "uuid"}),
            AfterValidator(_uuid),
        ]
        | None
    ) = Field(default=None, description="A UUID: the same one again goes on where the import was cut")
    mode: Mode = Field(
        default="create", description="`upsert`: a row with the `id` of a person who exists changes them"
    )
    on_error: Literal["continue", "stop"] = Field(
        default="continue", description="`stop`: read no further than the first row that is not valid"
    )
    dry_run: bool = Field(default=False, description="Only check the rows; nothing is changed")
    columns: _Columns | None = Field(
        default=None, description="Take these columns alone, separated by commas; others are let go"
    )
    map: list[_Pair] = Field(
        default=[],
        max_length=200,
        description="What a title means: `Correo=email`; `Notas=` leaves the column out. May be repeated",
    )

    sheet: str | None = Field(
        default=None, max_length=31, description="Which sheet of a workbook; the first one if none is named"
    )

    @cached_property
    def titles(self) -> Mapping[str, str]:
        """Return by the key of a title what it means; nothing for what is let go."""
        pairs = (pair.rpartition("=") for pair in self.map)
        return {title_key(title): field.strip() for title, _, field in pairs}

    @property
    def titles_given(self) -> list[str]:
        """Return the titles whose meaning is given, as they were written."""
        return [pair.rpartition("=")[0].strip() for pair in self.map]

    @property
    def chosen(self) -> frozenset[str] | None:
        """Return the columns to take; None for all."""
        return None if self.columns is None else frozenset(self.columns.split(","))

    @property
    def known(self) -> frozenset[str]:
        """Return the names that a column may have."""
        return frozenset((ID, *self.person_schema.names))


def _columns(names: Sequence[str], text: str) -> str:
    columns = [name.strip() for name in text.split(",")]
    for name in columns:
        _require_known(names, name)
    if len(set(columns)) != len(columns):
        raise ValueError("names a column twice")
    return ",".join(columns)


def _mapping(names: Sequence[str], text: str) -> str:
    title, separator, field = text.rpartition("=")
    if not (separator and title.strip()):
        raise ValueError("must be TITLE=FIELD, or TITLE= to leave a column out")
    if field.strip():
        _require_known(names, field.strip())
    return text


def _require_known(names: Sequence[str], field: str) -> None:
    if field not in names:
        raise ValueError(unknown(field, names, "field"))


@lru_cache(maxsize=16)
def import_query(schema: PersonSchema) -> type[ImportQuery]:
    """Return the parameters of an import of a schema's people; made once."""
    names = (ID, *schema.names)
    columns = Annotated[_Columns, AfterValidator(partial(_columns, names))]
    pair = Annotated[_Pair, AfterValidator(partial(_mapping, names))]
    fields = ImportQuery.model_fields
    form: type[ImportQuery] = create_model(
        ImportQuery.__name__,
        __base__=ImportQuery,
        __doc__=ImportQuery.__doc__,
        columns=(columns | None, fields["columns"]),
        map=(list[pair], fields["map"]),
    )
    form.person_schema = schema
    return form
