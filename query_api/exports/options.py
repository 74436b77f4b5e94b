"""What can be asked of an export beside what it is of: the byte order mark of CSV."""

from pydantic import Field

from query_api.history.filters import EventsQuery
from query_api.people.filters import ExportQuery
from query_api.reading.forms import ReadQuery


class LinesQuery(ReadQuery):
    """Parameters of every export."""

    bom: bool = Field(
        default=False, description="Begin CSV with a byte order mark, as some spreadsheets want it"
    )


class EventsExportQuery(LinesQuery, EventsQuery):
    """Parameters of the search over everybody's events, and of its export."""

    @property
    def filters(self) -> dict[str, str]:
        """Return the parameters that choose events."""
        return {name: value for name, value in super().filters.items() if name != "bom"}


class PeopleExportQuery(LinesQuery, ExportQuery):
    """Parameters of an export of people."""
