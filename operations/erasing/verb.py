"""The verb that erases people: one who asked, those deleted long ago, and what there is to know of it.

Exit status 0: done; 1: it was refused; 2: it could not be done or found out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, get_args
from uuid import UUID

from events.errors import Unavailable
from events.person.commands import ErasePerson, ErasureReason
from events.times import rfc3339, to_milliseconds
from operations.addresses import database_address, database_settings, server_settings
from operations.erasing.listing import erasures
from operations.errors import SetupError
from operations.keys.verb import known_keks
from operations.log_reader import refusals
from operations.terminal import print_progress, print_result, user_name
from operations.tokens.access import seconds
from operations.tokens.verb import checked
from operations.transfer.api import Interrupted, add_api, find_api
from service_kit.auth.roles import ERASE_SCOPE
from service_kit.broker.handing_in import hand_in
from service_kit.ids import new_id
from service_kit.mongo import connection as mongo
from service_kit.mongo.keys import PersonKeys
from service_kit.mongo.transport_keys import TransportKeys
from service_kit.seals.kek import Keks
from workers.erasing.expiry import DeletedExpiry, Expired
from workers.streams import Streams

DONE, REFUSED, CANNOT = 0, 1, 2
_WAIT_S: Final = 30
_HEADERS: Final = {"Content-Type": "application/json", "Prefer": f"wait={_WAIT_S}"}


def add_people(parser: argparse.ArgumentParser) -> None:
    """Sub-verbs of `people` and their options."""
    words = parser.add_subparsers(dest="action", metavar="|".join(ACTIONS), required=True)

    def word(name: str, summary: str) -> argparse.ArgumentParser:
        return words.add_parser(name, help=summary, description=summary)

    erasing = word("erase", "erase a person for ever: the key is destroyed, and nothing personal opens again")
    erasing.add_argument("id", metavar="ID", type=checked(_id), help="the person's id")
    erasing.add_argument(
        "--reason", choices=get_args(ErasureReason), required=True, help="why, in the clear for ever"
    )
    add_api(erasing)
    expiring = word("expire", "erase who was deleted long ago, unless a hold forbids it")
    expiring.add_argument(
        "--older-than",
        type=checked(seconds),
        required=True,
        metavar="TIME",
        help="deleted for longer than this: 400d",
    )
    expiring.add_argument("--dry-run", action="store_true", help="only count")
    expiring.add_argument("--actor", default=f"operator:{user_name()}", help="who acts, as the log will say")
    listing = word("erasures", "list the erasures, and whether each is final")
    listing.add_argument("--json", action="store_true", help="as JSON, one a line")


def people(options: argparse.Namespace) -> int:
    """Do what is asked for."""
    try:
        with refusals():
            return ACTIONS[options.action](options)
    except (Interrupted, Unavailable) as exc:
        print_progress(str(exc))
        return CANNOT
    except SetupError as exc:
        print_progress(str(exc))
        return REFUSED if options.action == "erase" else CANNOT


def _erase(options: argparse.Namespace) -> int:
    api = find_api(options, ERASE_SCOPE)
    body = json.dumps({"reason": options.reason}).encode()
    with api.answer("POST", f"/people/{options.id}/erase", _HEADERS, iter([body])) as response:
        answer = json.loads(response.read())
    if not answer.get("erased"):
        print_progress(
            f"Asked for, as command {answer['command_id']}, and not done within {_WAIT_S} s. It will be, "
            "once a worker comes to it."
        )
        return CANNOT
    print_progress(f"{options.id} is erased, with version {answer['version']}.")
    return DONE


def _expire(options: argparse.Namespace) -> int:
    keep, keks = timedelta(seconds=options.older_than), known_keks()
    expired = asyncio.run(_asked(keks, keep, options.actor, dry=options.dry_run))
    held = f"; {expired.held:,} are held" if expired.held else ""
    if options.dry_run:
        print_result(f"{expired.asked:,} would be erased{held}.")
    else:
        print_result(f"{expired.asked:,} are to be erased{held}.")
    return DONE


async def _asked(keks: Keks, keep: timedelta, actor: str, *, dry: bool) -> Expired:
    settings = database_settings() if dry else server_settings()
    client = mongo.connect(settings, "rollcall people", lasting=True)
    transport = TransportKeys(client, settings.mongo_db, keks, _now)

    async def hand_in_sealed(commands: Sequence[ErasePerson]) -> None:
        await transport.read()
        await hand_in(
            settings.amqp_url.get_secret_value(), settings.partitions, commands, transport.current()
        )

    try:
        streams = Streams(client, settings.mongo_db, PersonKeys(client, settings.mongo_db, keks))
        expiry = DeletedExpiry(client, settings.mongo_db, streams, hand_in_sealed, _now, new_id)
        return await expiry.ask(keep, actor, dry=dry)
    finally:
        await mongo.close(client)


def _erasures(options: argparse.Namespace) -> int:
    count = final = 0
    for one in erasures(database_address(), known_keks().ids):
        count += 1
        final += one.done and not one.left
        if options.json:
            print_result(json.dumps(one.as_json()))
        else:
            print_result(f"{one.person_id}  {rfc3339(one.erased_at)}  {one.reason:<9}  {one.state}")
    print_progress(f"{count:,} erased, {final:,} of them finally.")
    return DONE


def _now() -> datetime:
    return to_milliseconds(datetime.now(UTC))


def _id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise ValueError(f"{text!r} is no id of a person") from None


ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "erase": _erase,
    "expire": _expire,
    "erasures": _erasures,
}
"""By word."""
