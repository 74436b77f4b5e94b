"""The verb for dead letters: parked people, dead letters; status 1 if some are left, 2 if it cannot look."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from events.errors import NotFound, Unavailable
from events.person.commands import COMMAND_TYPES
from operations.errors import SetupError
from operations.terminal import print_progress, print_result, user_name
from service_kit.broker.topology import DEAD

if TYPE_CHECKING:
    from operations.dead_letters.actions import DeadLetterOperations
    from service_kit.broker.dead_letters import HandedInDeadLetters

DONE, FAILED, CANNOT = 0, 1, 2
_PEOPLE: Final = {
    "person_id": "PARKED PERSON",
    "waiting": "WAITING",
    "since": "SINCE",
    "attempts": "ATTEMPTS",
    "detail": "REASON",
}
_MESSAGES: Final = {
    "id": "DEAD MESSAGE",
    "dead_queue": "IN",
    "person_id": "PERSON",
    "time": "SINCE",
    "reason": "REASON",
}
_AT_ONCE: Final = 20


def add_dead_letters(parser: argparse.ArgumentParser) -> None:
    """Sub-verbs of `dead-letters` and their options."""
    words = parser.add_subparsers(dest="action", metavar="list|show|retry|drop", required=True)
    listing = words.add_parser("list", help="who is parked and why, and which messages are dead")
    showing = words.add_parser("show", help="what waits of a person, in order; or a message, whole")
    retrying = words.add_parser(
        "retry", help="apply what waits of a person, in order; or hand a message in again"
    )
    dropping = words.add_parser("drop", help="give up what waits, on record; or delete a message")
    showing.add_argument("what", metavar="PERSON|MESSAGE", type=_named)
    chosen = retrying.add_mutually_exclusive_group(required=True)
    chosen.add_argument("what", metavar="PERSON|MESSAGE", type=_named, nargs="?")
    chosen.add_argument("--all", action="store_true", help="everybody who is parked, and every message")
    dropping.add_argument("what", metavar="PERSON|MESSAGE", type=_named)
    dropping.add_argument(
        "commands", metavar="COMMAND", type=_id, nargs="*", help="of the person (default: all)"
    )
    for one in (listing, showing, retrying, dropping):
        one.add_argument(
            "--queue",
            action="append",
            default=[],
            help="a queue of dead letters, e.g. events.notify.dead (default: those of Rollcall itself)",
        )
    for one in (listing, showing):
        one.add_argument("--json", action="store_true", help="as JSON, one a line")
    for one in (retrying, dropping):
        one.add_argument("--actor", default=user_name(), help="who acts, as the record will say")


def dead_letters(options: argparse.Namespace) -> int:
    """List, show, retry or drop."""
    try:
        return asyncio.run(_run(options))
    except (SetupError, Unavailable) as exc:
        print_progress(str(exc))
        return CANNOT
    except NotFound as exc:
        print_progress(exc.detail)
        return FAILED


async def _run(options: argparse.Namespace) -> int:
    # What it needs of the services takes a second to load, which is not for every verb.
    from operations.dead_letters.actions import open_dead_letters

    async with open_dead_letters(options.queue) as dead_letters:
        return await ACTIONS[options.action](dead_letters, options)


async def _list(dead_letters: DeadLetterOperations, options: argparse.Namespace) -> int:
    people, seen = await asyncio.gather(dead_letters.people(), dead_letters.messages())
    messages = [dead_letters.message_view(message) for message in seen.messages]
    if options.json:
        for kind, items in (("person", people), ("message", messages)):
            for item in items:
                print_result(json.dumps({"kind": kind, **item}, ensure_ascii=False))
        return DONE
    if people:
        print_result(_table(_PEOPLE, people))
    if messages:
        print_result(_table(_MESSAGES, messages))
    if not people and not messages:
        print_progress("Nobody is parked, and no message is dead.")
    if seen.more:
        print_progress("There are more dead letters than these.")
    return DONE


async def _show(dead_letters: DeadLetterOperations, options: argparse.Namespace) -> int:
    if not _is_id(options.what):
        items = [await dead_letters.message(options.what)]
    else:
        items = await dead_letters.line(options.what, opened=True)
    for item in items:
        print_result(json.dumps(item, ensure_ascii=False, indent=None if options.json else 2))
    return DONE


async def _retry(dead_letters: DeadLetterOperations, options: argparse.Namespace) -> int:
    tally = DeadLetterCounts()
    if options.what is not None and not _is_id(options.what):
        await _tell(dead_letters, await dead_letters.hand_in(options.what), tally)
        return tally.status
    parked = [one["person_id"] for one in await dead_letters.people()]
    people = parked if options.all else [one for one in parked if one == options.what]
    await _retry_people(dead_letters, people, options.actor, tally)
    await _tell(dead_letters, await dead_letters.hand_in_all(options.what), tally)
    if options.all:
        print_progress(tally.sum)
    elif not (tally.done or tally.left):
        raise NotFound(f"nothing waits of a person {options.what}")
    return tally.status


@dataclass
class DeadLetterCounts:
    """What a retry has come to: how many lines and messages are done, and how many are left."""

    done: int = 0
    left: int = 0

    def tell(self, line: str, *, done: bool) -> None:
        """Say one, and count it."""
        print_progress(line)
        self.done += done
        self.left += not done

    @property
    def status(self) -> int:
        """The exit status."""
        return FAILED if self.left else DONE

    @property
    def sum(self) -> str:
        """All of it in a sentence."""
        if not (self.done or self.left):
            return "Nobody is parked, and no message is dead."
        return f"{self.done:,} done, {self.left:,} left."


async def _retry_people(
    dead_letters: DeadLetterOperations, people: Sequence[str], actor: str, tally: DeadLetterCounts
) -> None:
    few = asyncio.Semaphore(_AT_ONCE)

    async def retry(person_id: str) -> None:
        async with few:
            try:
                head = await dead_letters.retry(person_id, actor)
            except (NotFound, SetupError) as exc:
                tally.tell(f"Person {person_id}: {exc}", done=isinstance(exc, NotFound))
                return
        if head is None:
            tally.tell(f"Person {person_id}: applied; nothing waits any more.", done=True)
        else:
            why = f"after {head['attempts']} attempts: {head['detail']}"
            tally.tell(f"Person {person_id}: still parked, {why}", done=False)

    await asyncio.gather(*map(retry, people))


async def _tell(
    dead_letters: DeadLetterOperations, handed: HandedInDeadLetters, tally: DeadLetterCounts
) -> None:
    """Say what became of messages that were handed in, and which are left."""
    outcomes = await dead_letters.outcomes(handed.done)
    for message in handed.done:
        subject = message.subject
        if subject is None or subject.id not in outcomes:
            decided = subject is None or subject.type not in COMMAND_TYPES or message.dead_queue != DEAD
            more = "" if decided else ", but no worker has decided it yet"
            tally.tell(f"Message {message.id} is in {message.queue} again{more}.", done=decided)
            continue
        outcome = outcomes[subject.id]
        what = outcome if outcome in ("applied", "parked") else f"rejected as {outcome}"
        line = f"Message {message.id}: {subject.type} of person {subject.person_id}: {what}."
        tally.tell(line, done=outcome != "parked")
    for message in handed.left:
        why = f"cannot be read, and stays in {message.dead_queue}: {message.reason}"
        tally.tell(f"Message {message.id} {why}", done=False)


async def _drop(dead_letters: DeadLetterOperations, options: argparse.Namespace) -> int:
    if not _is_id(options.what):
        if options.commands:
            raise SetupError("A message has no commands to choose from.")
        await dead_letters.give_up(options.what)
        print_progress(f"Message {options.what} is deleted.")
        return DONE
    left = await dead_letters.drop(options.what, options.commands, options.actor)
    rest = f"{left} wait still: retry" if left else "nothing waits any more"
    print_progress(f"Person {options.what}: dropped; {rest}.")
    return DONE


ACTIONS: Final = {"list": _list, "show": _show, "retry": _retry, "drop": _drop}


def _table(columns: Mapping[str, str], items: Sequence[Mapping[str, Any]]) -> str:
    rows = [list(columns.values())]
    rows += [["-" if item[name] is None else str(item[name]) for name in columns] for item in items]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _is_id(text: str) -> bool:
    return len(text) == 36


def _id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError("name a UUID") from None


def _named(text: str) -> str:
    return text.lower() if len(text) == 16 else _id(text)
