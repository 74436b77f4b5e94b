"""The settings that keep an import within bounds: its size, its time, and how long it is remembered."""

from pydantic import Field
from pydantic_settings import BaseSettings

from events.imports.states import MAX_ROWS


class ImportSettings(BaseSettings):
    """How many imports a command API reads at once, how large each may be, and how long it is kept."""

    imports_at_once: int = Field(
        default=3,
        ge=1,
        le=4,
        description="imports that a command API reads at once; more are answered `503` with `Retry-After`",
    )
    import_bytes: int = Field(
        default=2**30,
        ge=2**20,
        description="bytes that the file of an import may have, unpacked; of a workbook, its texts as well",
    )
    import_rows: int = Field(default=5_000_000, ge=1, le=MAX_ROWS, description="rows that an import may have")
    import_seconds: float = Field(
        default=600.0,
        gt=0,
        description="seconds of the processor that reading an import may take in a request",
    )
    import_days: int = Field(
        default=30,
        ge=1,
        le=3650,
        description="days that an import and the errors of its rows are kept once nothing changes any more",
    )
    import_patience: float = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="seconds that an import waits for a part that is away or full, before it is interrupted",
    )
