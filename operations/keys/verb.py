"""The verb for keys: which there are, another one, re-wrapping, and the end of an old one.

Exit status 0: done; 1: something is in the way; 2: it could not be found out. Each action is a line of
`ACTIONS`, and has its own module where it is more than a few lines.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from events.errors import Unavailable
from events.person.commands import ErasePerson
from operations.addresses import database_address, database_settings, kek_file, person_schema, server_settings
from operations.erasing.replaying import replay_journal
from operations.errors import SetupError
from operations.keys.kek_file import new_line
from operations.keys.kek_lines import add_key, put_first, read_keys, take_out
from operations.keys.renewing_claims import renew_claims
from operations.keys.rotating import rotate
from operations.log_opening import Opening
from operations.log_reader import refusals
from operations.progress_bar import ProgressBar
from operations.proof.proof import add_jobs
from operations.terminal import print_progress, print_result, short_path
from service_kit.broker.handing_in import hand_in
from service_kit.declared_files import WrongDeclaration
from service_kit.mongo import connection as mongo
from service_kit.mongo.key_rows import KeyRows
from service_kit.mongo.keys import PersonKeys
from service_kit.mongo.transport_keys import TransportKeys
from service_kit.seals.kek import Keks
from service_kit.seals.kek_source import kek_source
from service_kit.seals.wrapping import LABELS

DONE, IN_THE_WAY, CANNOT = 0, 1, 2
_DESTROYED: Final = "(destroyed)"
Counts = Mapping[str, Mapping[str | None, int]]


@dataclass(frozen=True)
class Action:
    """One word after `keys`.

    Attributes:
        summary: One line for the help.
        run: Does it, and returns the exit status.
        add_arguments: Describes its options.
    """

    summary: str
    run: Callable[[argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], object] = lambda parser: None


def add_keys(parser: argparse.ArgumentParser) -> None:
    """Sub-verbs of `keys` and their options."""
    words = parser.add_subparsers(dest="action", metavar="|".join(ACTIONS), required=True)
    for name, action in ACTIONS.items():
        own = words.add_parser(name, help=action.summary, description=action.summary)
        action.add_arguments(own)


def keys(options: argparse.Namespace) -> int:
    """Do what is asked for."""
    try:
        with refusals():
            return ACTIONS[options.action].run(options)
    except (SetupError, Unavailable) as exc:
        print_progress(str(exc))
        return CANNOT


@asynccontextmanager
async def open_rows() -> AsyncIterator[KeyRows]:
    """Keep the keys' database open for as long as the block runs."""
    settings = database_settings()
    client = mongo.connect(settings, "rollcall keys", lasting=True)
    try:
        yield KeyRows(client, settings.mongo_db)
    finally:
        await mongo.close(client)


async def _counts() -> Counts:
    async with open_rows() as rows:
        return await rows.counts()


def known_keks() -> Keks:
    """Return the key-encryption keys that the settings name.

    Raises:
        SetupError: There are none that can be used.
    """
    kek_file()  # that none is named is said first
    try:
        return Keks(kek_source(database_settings()).keks())
    except WrongDeclaration as exc:
        raise SetupError(f"The keys cannot be used: {exc.text}") from None


def _list(options: argparse.Namespace) -> int:
    keks = known_keks()
    known = keks.ids
    counts = asyncio.run(_counts())
    used = {kek for by_kek in counts.values() for kek in by_kek}
    missing = sorted(kek for kek in used - set(known) if kek is not None)
    states = {**dict.fromkeys(known, "known"), **dict.fromkeys(missing, "MISSING")}
    states[keks.current] = "current"
    rows = [
        {"kek": kek, "state": state, **{name: counts[name].get(kek, 0) for name in LABELS}}
        for kek, state in states.items()
    ]
    if options.json:
        for row in rows:
            print_result(json.dumps(row))
    else:
        gone = {"kek": _DESTROYED, "state": "", **{name: counts[name].get(None, 0) for name in LABELS}}
        print_result(_table([*rows, gone]))
    if missing:
        print_progress(f"Put back into {short_path(kek_file())} what wraps keys and is not there.")
    return IN_THE_WAY if missing else DONE


def _add(options: argparse.Namespace) -> int:
    line = new_line(datetime.now(UTC))
    if options.print:
        print_result(line)
        return DONE
    path = kek_file()
    add_key(path, line)
    id_ = line.partition(" ")[0]
    print_progress(
        f"Added {id_} to {short_path(path)}. Restart every service, so that all know it; "
        f"then `{options.program} keys use {id_}`."
    )
    return DONE


def _use(options: argparse.Namespace) -> int:
    path = kek_file()
    put_first(path, options.id)
    print_progress(
        f"{options.id} is the current key. Restart every service, so that all wrap under it; "
        f"then `{options.program} keys rotate`."
    )
    return DONE


def _rotate(_options: argparse.Namespace) -> int:
    return asyncio.run(_rewrapped(known_keks()))


async def _rewrapped(keks: Keks) -> int:
    async with open_rows() as rows:
        with ProgressBar("keys") as bar:
            result = await rotate(rows, keks, lambda count: bar.show(None, count))
        left = _under_others(await rows.counts(), keks.current)
    print_progress(f"Wrapped {result.rewrapped.total():,} keys anew under {keks.current}.")
    for collection, (row, why) in result.closed.items():
        print_progress(f"{row} in {collection} does not open, and perhaps others: {why}.")
    if left:
        print_progress(
            f"Under other keys are still {left}. Unless they do not open, a service wraps under another key: "
            "restart it, and run this again."
        )
        return IN_THE_WAY
    return DONE


def _retire(options: argparse.Namespace) -> int:
    path = kek_file()
    known = read_keys(path)
    if options.id == next(iter(known)):
        print_progress(
            f"{options.id} is the current key: make another one so, with `{options.program} keys use`."
        )
        return IN_THE_WAY
    if used := _sentence({name: by.get(options.id, 0) for name, by in asyncio.run(_counts()).items()}):
        print_progress(f"Under {options.id} are still wrapped {used}: run `{options.program} keys rotate`.")
        return IN_THE_WAY
    print_progress(f"Nothing is wrapped under {options.id}.")
    take_out(path, options.id)
    print_progress(
        f"Took it out of {short_path(path)}. Restart every service. Destroy its copies once no backup "
        f"from before is needed and `{options.program} keys list` has shown for a day that nothing wants it."
    )
    return DONE


def _replay(options: argparse.Namespace) -> int:
    if not options.journal.exists():
        raise SetupError(f"There is no journal {short_path(options.journal)}.")
    try:
        count = asyncio.run(_replayed(known_keks(), options.journal))
    except (OSError, ValueError) as exc:
        raise SetupError(f"The journal in {short_path(options.journal)} cannot be read: {exc}.") from exc
    print_progress(
        f"Lines in the journal: {count:,}. Each key is destroyed, and each erasure asked for again."
    )
    return DONE


async def _replayed(keks: Keks, journal: Path) -> int:
    settings = server_settings()
    client = mongo.connect(settings, "rollcall keys", lasting=True)
    try:
        keys = PersonKeys(client, settings.mongo_db, keks)
        transport = TransportKeys(client, settings.mongo_db, keks, lambda: datetime.now(UTC))
        await transport.read()
        url, sealing = settings.amqp_url.get_secret_value(), transport.current()

        async def hand_in_sealed(commands: Sequence[ErasePerson]) -> None:
            await hand_in(url, settings.partitions, commands, sealing)

        with ProgressBar("erasures") as bar:
            return await replay_journal(journal, keys, hand_in_sealed, lambda count: bar.show(None, count))
    finally:
        await mongo.close(client)


def _renew_claims(options: argparse.Namespace) -> int:
    address = database_address()
    opening, schema = Opening(address.database, known_keks()), person_schema()
    found = renew_claims(address, schema, opening, options.jobs, print_progress)
    for one in found:
        print_result(one.sentence)
    if found:
        print_progress(f"{len(found):,} are in the way: put them right, and run this again.")
        return IN_THE_WAY
    return DONE


def _under_others(counts: Counts, current: str) -> str:
    return _sentence(
        {
            name: sum(rows for kek, rows in by_kek.items() if kek not in (current, None))
            for name, by_kek in counts.items()
        }
    )


def _sentence(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{rows:,} of {name}" for name, rows in counts.items() if rows)


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    heads = [name.upper() for name in rows[0]]
    lines = [heads, *([str(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _takes_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the key's id, as `list` shows it")


ACTIONS: Final[Mapping[str, Action]] = {
    "list": Action(
        "which key-encryption keys there are, and how many keys are wrapped under each",
        _list,
        lambda parser: parser.add_argument("--json", action="store_true", help="as JSON, one a line"),
    ),
    "add": Action(
        "add a fresh key to the file, for the services to know",
        _add,
        lambda parser: parser.add_argument(
            "--print", action="store_true", help="print its line instead: it is a secret"
        ),
    ),
    "use": Action("make a key of the file the current one, under which is wrapped", _use, _takes_id),
    "rotate": Action("wrap all keys anew under the current one; a run that was cut off is repeated", _rotate),
    "renew-claims": Action(
        "put a new secret that names claims in the place of the old one; a run that was cut off is repeated",
        _renew_claims,
        add_jobs,
    ),
    "replay": Action(
        "after a restore: destroy the keys that the journal of erasures names, and erase again",
        _replay,
        lambda parser: parser.add_argument(
            "journal", metavar="JOURNAL", type=Path, help="its folder, or one of its files"
        ),
    ),
    "retire": Action("take a key out of the file, if nothing is wrapped under it", _retire, _takes_id),
}
"""By word."""
