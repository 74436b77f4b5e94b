"""What can be asked of an export of events."""

from typing import Annotated, Final

from pydantic import Field

from events.errors import InvalidFields
from events.log.event import ATTRIBUTES
from events.person.fields import IMAGE_NAMES
from events.person.schema.declarations import PersonSchema
from query_api.history.filters import EventsQuery
from query_api.people.filters import names_in
from query_api.reading.forms import LinesQuery

_LONGEST: Final = 3_000
"""Characters of a list of names: those of 200 fields; with a cursor an address of no more than 8,192."""
_OF_EXPORTS: Final = ("opened", "withhold")


class EventsExportQuery(LinesQuery, EventsQuery):
    """Parameters of the search over everybody's events, and of its export."""

    opened: bool = Field(
        default=False, description="Of an export: with the sealed values, each with what proves it"
    )
    withhold: Annotated[str, Field(max_length=_LONGEST)] | None = Field(
        default=None,
        description="With `opened=true`: fields, comma-separated, of which there is a commitment in place of "
        "the value, under all names that they had; also `@actor_name`, `@source_address`, `@user_agent`",
    )

    @property
    def filters(self) -> dict[str, str]:
        """Return the parameters that choose events."""
        return {name: value for name, value in super().filters.items() if name not in {"bom", *_OF_EXPORTS}}

    def check_paged(self) -> None:
        """Return if nothing is asked for that a page does not have.

        Raises:
            InvalidFields: Something is; names it.
        """
        if given := self.model_fields_set & set(_OF_EXPORTS):
            raise _refused(sorted(given), "goes only with Accept: application/x-ndjson, text/csv")

    def withheld(self, schema: PersonSchema) -> frozenset[str]:
        """Return the names under which events have what is withheld.

        Args:
            schema: What a person is, and was.

        Raises:
            InvalidFields: Nothing is laid open, or there was never such a field: a slip would show its value.
        """
        if self.withhold is None:
            return frozenset()
        if not self.opened:
            raise _refused(["withhold"], "goes only with opened=true")
        names: set[str] = set()
        for name in names_in(self.withhold):
            under = schema.names_of(name) or ({name} & {*ATTRIBUTES, *IMAGE_NAMES})
            if not under:
                raise _refused(["withhold"], f"unknown field `{name}`")
            names |= under
        return frozenset(names)


def _refused(names: list[str], reason: str) -> InvalidFields:
    return InvalidFields("a parameter is not valid", [{"field": name, "reason": reason} for name in names])
