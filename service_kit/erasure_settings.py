"""The settings of what ends: erasures, and their record outside the database; what waits too long."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

_DAYS: Final = re.compile(r"([1-9]\d{0,4})d")


def read_days(value: object) -> object:
    """Return the time that a number of days names, `400d` say.

    Raises:
        ValueError: It is none.
    """
    if not isinstance(value, str):
        return value
    days = _DAYS.fullmatch(value)
    if days is None:
        raise ValueError("must be a number of days, 400d say")
    return timedelta(days=int(days[1]))


class ErasureSettings(BaseSettings):
    """Where erasures are on record, and when deleted people are erased."""

    erasure_journal: Path | None = Field(
        default=None,
        description="folder in which workers keep the erasures on record, outside the database, each in a "
        "file of its own: what no restore of a backup undoes. Without it there is no such record",
    )
    erase_deleted_after: Annotated[timedelta | None, BeforeValidator(read_days)] = Field(
        default=None,
        description="workers erase, once a day, who was deleted for longer and is not held: `400d`, say. "
        "Without it nobody is erased unasked",
    )
    parked_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        description="days that a command of a parked person waits; then a worker gives it up, on record",
    )
