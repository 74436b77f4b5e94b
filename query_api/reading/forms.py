"""Reads the parameters of a request into a form: each once, all known, all valid, or refused by name."""

from collections.abc import Mapping
from datetime import tzinfo
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo
from starlette.datastructures import QueryParams

from events.errors import InvalidFields
from query_api.reading.times import zone_of
from service_kit.http.problems import field_errors, names_of
from service_kit.http.typed import given_twice

MAX_PAGE: Final = 200

Consistency = Annotated[Literal["eventual", "strong"], Field(description="`strong` reads from the primary")]


class ReadQuery(BaseModel):
    """Parameters of every read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    consistency: Consistency = "eventual"

    @property
    def strong(self) -> bool:
        """Return whether the primary must answer."""
        return self.consistency == "strong"


class LinesQuery(ReadQuery):
    """Parameters of every export."""

    bom: bool = Field(
        default=False, description="Begin CSV with a byte order mark, as some spreadsheets want it"
    )


def _zone(text: str) -> str:
    zone_of(text)
    return text


class TimedQuery(ReadQuery):
    """Parameters of a read that is filtered by times."""

    # Before the times, whose validators want it.
    tz: Annotated[
        str, Field(max_length=64, json_schema_extra={"format": "rollcall-time-zone"}), AfterValidator(_zone)
    ] = Field(
        default="UTC",
        description="Time zone of days, and of times without an offset: `America/Bogota`, `-05:00`",
    )


def zone_in(info: ValidationInfo) -> tzinfo:
    """Return the time zone of the form that is validated; UTC if it names none, or one that there is not."""
    return zone_of(info.data.get("tz", "UTC"))


Query = TypeVar("Query", bound=ReadQuery)


@lru_cache
def _defaults(form: type[ReadQuery]) -> ReadQuery:
    return form()


def read_query(form: type[Query], parameters: QueryParams, context: Mapping[str, Any] | None = None) -> Query:
    """Return the parameters of a request.

    Args:
        form: What they may be.
        parameters: As the client sent them.
        context: What reading values wants to know.

    Raises:
        InvalidFields: One is unknown, given twice, or has a value that it may not have.
    """
    pairs = parameters.multi_items()
    if not pairs:
        return cast(Query, _defaults(form))
    values = dict(pairs)
    if len(values) != len(pairs):
        raise given_twice(name for name, _ in pairs)
    try:
        return form.model_validate(values, context=context)
    except ValidationError as exc:
        errors = field_errors(exc, names_of(form), "parameter")
        raise InvalidFields("a parameter is not valid", errors) from exc
