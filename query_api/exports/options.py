"""What can be asked of an export of events."""

from query_api.history.filters import EventsQuery
from query_api.reading.forms import LinesQuery


class EventsExportQuery(LinesQuery, EventsQuery):
    """Parameters of the search over everybody's events, and of its export."""

    @property
    def filters(self) -> dict[str, str]:
        """Return the parameters that choose events."""
        return {name: value for name, value in super().filters.items() if name != "bom"}
