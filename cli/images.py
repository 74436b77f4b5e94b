"""The verb that looks after people's images: exit status 0 done, 2 a store could not be reached."""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr, ValidationError

from cli.proof import log_address
from cli.tokens import checked
from events.errors import Unavailable
from local.access import seconds
from local.errors import SetupError
from local.say import say, show
from service_kit import mongo
from service_kit.images.stores import open_stores
from service_kit.settings import Settings
from workers.sweep import GRACE, ImageSweep, Swept

DONE, CANNOT = 0, 2
# Settings want the broker's address; a sweep does not ask it.
_UNUSED = SecretStr("amqp://unused:unused@unused")


def add_images(parser: argparse.ArgumentParser) -> None:
    """Options of `images`."""
    parser.add_argument("action", choices=["sweep"], help="sweep: remove the images that nobody has")
    parser.add_argument(
        "--older-than",
        type=checked(seconds),
        default=int(GRACE.total_seconds()),
        metavar="TIME",
        help="leave younger ones alone: 15m, 1h, 1d (default: 1h)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only count")


def images(options: argparse.Namespace) -> int:
    """Remove the images that nobody has, and say how many there were of each kind."""
    address = log_address()
    try:
        settings = Settings(amqp_url=_UNUSED, mongo_uri=SecretStr(address.uri), mongo_db=address.database)
    except ValidationError as exc:
        raise SetupError(f"A setting is wrong: {exc.errors(include_input=False)[0]['msg']}.") from None
    try:
        swept = asyncio.run(_sweep(settings, timedelta(seconds=options.older_than), dry=options.dry_run))
    except Unavailable as exc:
        say(str(exc))
        return CANNOT
    show(swept.described)
    if swept.refused and not options.dry_run:
        say("Those refused now are removed by the next sweep.")
    return DONE


async def _sweep(settings: Settings, grace: timedelta, *, dry: bool) -> Swept:
    client = mongo.connect(settings, "rollcall images")
    stores = open_stores(settings, client)
    try:
        return await ImageSweep(client, settings.mongo_db, stores.all, lambda: datetime.now(UTC)).run(
            grace, dry=dry
        )
    finally:
        stores.close()
        await mongo.close(client)
