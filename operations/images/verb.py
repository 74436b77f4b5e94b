"""The verb that looks after people's images: exit status 0 done, 2 a store could not be reached."""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime, timedelta

from events.errors import Unavailable
from operations.addresses import database_settings, person_schema
from operations.keys.verb import known_keks
from operations.terminal import print_progress, print_result
from operations.tokens.access import seconds
from operations.tokens.verb import checked
from service_kit.images.stores import open_stores
from service_kit.mongo import connection as mongo
from service_kit.mongo.keys import PersonKeys
from service_kit.seals.kek import Keks
from service_kit.settings import Settings
from workers.images.sweep import GRACE, ImageSweep, Swept
from workers.store import Store

DONE, CANNOT = 0, 2


def add_images(parser: argparse.ArgumentParser) -> None:
    """Options of `images`."""
    parser.add_argument("action", choices=["sweep"], help="sweep: remove the images that no person has")
    parser.add_argument(
        "--older-than",
        type=checked(seconds),
        default=int(GRACE.total_seconds()),
        metavar="TIME",
        help="leave younger ones alone: 15m, 1h, 1d (default: 1h)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only count")


def images(options: argparse.Namespace) -> int:
    """Remove the images that no person has, and say how many there were of each kind."""
    keks, grace = known_keks(), timedelta(seconds=options.older_than)
    try:
        swept = asyncio.run(_sweep(database_settings(), keks, grace, dry=options.dry_run))
    except Unavailable as exc:
        print_progress(str(exc))
        return CANNOT
    print_result(swept.described)
    if swept.refused and not options.dry_run:
        print_progress("Those refused now are removed by the next sweep.")
    return DONE


async def _sweep(settings: Settings, keks: Keks, grace: timedelta, *, dry: bool) -> Swept:
    client = mongo.connect(settings, "rollcall images")
    stores = open_stores(settings, client)
    try:
        keys = PersonKeys(client, settings.mongo_db, keks)
        records = Store(client, settings.mongo_db, person_schema(), keys)
        sweep = ImageSweep(client, settings.mongo_db, keys, stores.all, records, lambda: datetime.now(UTC))
        return await sweep.run(grace, dry=dry)
    finally:
        stores.close()
        await mongo.close(client)
