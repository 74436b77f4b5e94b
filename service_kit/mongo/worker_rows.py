"""What workers and operators agree on about the rows that say which schema each worker goes by."""

from typing import Final

WORKERS: Final = "workers"
"""A document for each worker that lives: `step`, its place in the record of the person schema, and `beat`."""
RENEW_SECONDS: Final = 2.0
LEASE_SECONDS: Final = 15.0
"""So long after it began to renew its row, a worker may append events."""
SILENT_SECONDS: Final = 25.0
"""A worker whose beat nobody has seen change for so long appends none: what it had under way is over, too."""
EXPIRY_SECONDS: Final = 86_400.0
"""After that, MongoDB removes a row that nobody has renewed."""
