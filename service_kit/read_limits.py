"""The settings that keep costly reads few and short, so that all others are answered."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode

from service_kit.setting_values import read_at_once
from service_kit.slots import AtOnce

_AtOnce = Annotated[AtOnce, NoDecode, BeforeValidator(read_at_once)]


class ReadLimits(BaseSettings):
    """How much a query API does at once, in all and for one subject, and for how long."""

    reads_at_once: _AtOnce = Field(
        default=AtOnce(256, 4),
        description="requests that a query API works on at once, in all and of one subject, but for those of "
        "the settings below; more wait five seconds, then are answered `503` with `Retry-After`",
    )
    searches_at_once: _AtOnce = Field(
        default=AtOnce(4, 1),
        description="searches and counts that a query API does at once, in all and of one subject; more wait "
        "three seconds, then are answered `503` with `Retry-After`",
    )
    search_seconds: float = Field(
        default=3.0,
        gt=0,
        le=60,
        description="seconds that a search or a count may take; then it is answered `503`, `search-too-long`",
    )
    exports_at_once: _AtOnce = Field(
        default=AtOnce(6, 2),
        description="exports that a query API sends at once, in all and to one subject; more are answered "
        "`503` with `Retry-After`",
    )
    export_seconds: float = Field(
        default=3600.0,
        gt=0,
        description="seconds after which an export that is not at its end breaks off, as one does whose rest "
        "cannot be read",
    )
    streams_at_once: _AtOnce = Field(
        default=AtOnce(2000, 100),
        description="clients that follow the events at a query API at once, in all and of one subject; more "
        "are answered `503` with `Retry-After`",
    )
    replays_at_once: _AtOnce = Field(
        default=AtOnce(64, 8),
        description="of these clients, how many may still read older events; more are answered `503` with "
        "`Retry-After`",
    )
