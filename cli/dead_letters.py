"""The verb for dead letters: parked people and unreadable messages; exit status 2 if they cannot be read."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from events.errors import NotFound, Unavailable
from local.errors import SetupError
from local.say import say, show

if TYPE_CHECKING:
    from cli.dead_letter_desk import DeadLetterDesk

DONE, FAILED, CANNOT = 0, 1, 2
_PEOPLE: Final = {
    "person_id": "PARKED PERSON",
    "waiting": "WAITING",
    "since": "SINCE",
    "attempts": "ATTEMPTS",
    "detail": "REASON",
}
_MESSAGES: Final = {"id": "UNREADABLE MESSAGE", "queue": "QUEUE", "time": "SINCE", "reason": "REASON"}


def add_dead_letters(parser: argparse.ArgumentParser) -> None:
    """Sub-verbs of `dead-letters` and their options."""
    words = parser.add_subparsers(dest="action", metavar="list|show|retry|drop", required=True)
    listing = words.add_parser("list", help="who is parked and why, and which messages are unreadable")
    showing = words.add_parser("show", help="what waits of a person, in order; or a message, whole")
    retrying = words.add_parser("retry", help="apply a person's line in order; or hand a message in again")
    dropping = words.add_parser("drop", help="give up what waits, on record; or delete a message")
    showing.add_argument("what", metavar="PERSON|MESSAGE", type=_named)
    chosen = retrying.add_mutually_exclusive_group(required=True)
    chosen.add_argument("what", metavar="PERSON|MESSAGE", type=_named, nargs="?")
    chosen.add_argument("--all", action="store_true", help="everybody who is parked")
    dropping.add_argument("what", metavar="PERSON|MESSAGE", type=_named)
    dropping.add_argument(
        "commands", metavar="COMMAND", type=_id, nargs="*", help="of the person (default: all)"
    )
    for one in (listing, showing):
        one.add_argument("--json", action="store_true", help="as JSON, one a line")
    for one in (retrying, dropping):
        one.add_argument("--actor", default=_user(), help="who acts, as the record will say")


def dead_letters(options: argparse.Namespace) -> int:
    """List, show, retry or drop."""
    try:
        return asyncio.run(_run(options))
    except (SetupError, Unavailable) as exc:
        say(str(exc))
        return CANNOT
    except NotFound as exc:
        say(exc.detail)
        return FAILED


async def _run(options: argparse.Namespace) -> int:
    # What it needs of the services takes a second to load, which is not for every verb.
    from cli.dead_letter_desk import open_desk

    async with open_desk() as desk:
        return await ACTIONS[options.action](desk, options)


async def _list(desk: DeadLetterDesk, options: argparse.Namespace) -> int:
    people, seen = await asyncio.gather(desk.people(), desk.messages())
    messages = [desk.message_view(message) for message in seen.messages]
    if options.json:
        for kind, items in (("person", people), ("message", messages)):
            for item in items:
                show(json.dumps({"kind": kind, **item}, ensure_ascii=False))
        return DONE
    if people:
        show(_table(_PEOPLE, people))
    if messages:
        show(_table(_MESSAGES, messages))
    if not people and not messages:
        say("Nobody is parked, and no message is unreadable.")
    if seen.more:
        say("There are more unreadable messages than these.")
    return DONE


async def _show(desk: DeadLetterDesk, options: argparse.Namespace) -> int:
    if not _is_id(options.what):
        items = [await desk.message(options.what)]
    else:
        items = await desk.line(options.what)
    for item in items:
        show(json.dumps(item, ensure_ascii=False, indent=None if options.json else 2))
    return DONE


async def _retry(desk: DeadLetterDesk, options: argparse.Namespace) -> int:
    if options.what is not None and not _is_id(options.what):
        await desk.hand_in(options.what)
        say(f"Message {options.what} is in its queue again.")
        return DONE
    people = [one["person_id"] for one in await desk.people()] if options.all else [options.what]
    heads = await asyncio.gather(*(desk.retry(person_id, options.actor) for person_id in people))
    for person_id, head in zip(people, heads, strict=True):
        if head is None:
            say(f"Person {person_id}: applied; nothing waits any more.")
        else:
            say(f"Person {person_id}: still parked, after {head['attempts']} attempts: {head['detail']}")
    return DONE if not any(heads) else FAILED


async def _drop(desk: DeadLetterDesk, options: argparse.Namespace) -> int:
    if not _is_id(options.what):
        if options.commands:
            raise SetupError("A message has no commands to choose from.")
        await desk.give_up(options.what)
        say(f"Message {options.what} is deleted.")
        return DONE
    left = await desk.drop(options.what, options.commands, options.actor)
    rest = f"{left} wait still: retry" if left else "nothing waits any more"
    say(f"Person {options.what}: dropped; {rest}.")
    return DONE


ACTIONS: Final = {"list": _list, "show": _show, "retry": _retry, "drop": _drop}


def _table(columns: Mapping[str, str], items: Sequence[Mapping[str, Any]]) -> str:
    rows = [list(columns.values())]
    rows += [["-" if item[name] is None else str(item[name]) for name in columns] for item in items]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have a number alone
        return "operator"


def _is_id(text: str) -> bool:
    return len(text) == 36


def _id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError("name a UUID") from None


def _named(text: str) -> str:
    return text.lower() if len(text) == 16 else _id(text)
