"""The settings of access records: whether they are kept, and for how long."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class AccessSettings(BaseSettings):
    """Whether who read what is put on record, and how long that is kept."""

    access_log: Literal["off", "on", "strict"] = Field(
        default="on",
        description="who read what is put on record: `on` within a second, and requests are answered though "
        "MongoDB takes no records; `strict` before the answer, which is `503` otherwise; `off` not at all",
    )
    access_days: int = Field(
        default=400,
        ge=1,
        le=36_500,
        description="days that access records are kept, and what was searched for can be opened; workers cut "
        "off what is older and was signed by a checkpoint that is older, too",
    )
