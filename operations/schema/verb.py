"""The verb that shows, checks and changes the person schema in force.

Exit status 0: all can be as it is asked for; 1: something is in the way; 2: it could not be found out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

from events.errors import StoreUnavailable
from events.log.applied_schema import AppliedSchema, record_schema, schema_text
from events.person.schema.changes import Change, Obstacle, compare, former_names, removed_fields
from events.person.schema.declarations import PersonSchema
from events.person.schema.errors import WrongFile
from events.times import rfc3339, to_milliseconds
from operations.addresses import database_address, schema_file
from operations.errors import SetupError
from operations.log_reader import connect
from operations.proof.proof import add_jobs, end_politely
from operations.schema.scan import count_in_way
from operations.terminal import print_progress, print_result, user_name
from service_kit.declared_files import WrongDeclaration
from service_kit.ids import new_id
from service_kit.mongo.schema_record import SchemaRecord
from service_kit.person_schema import load_person_schema, read_schema_file

FINE, FOUND, CANNOT = 0, 1, 2
_AGENT: Final = "rollcall schema"
_WAYS: Final = {
    "value": "have a value that it would not take",
    "lacks": "have no value",
    "shared": "have the same values as somebody else",
    "logged": "have a value in the log",
}


def add_schema(parser: argparse.ArgumentParser) -> None:
    """Options of `schema`."""
    words = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def verb(name: str, summary: str, *, file: bool = False) -> argparse.ArgumentParser:
        own = words.add_parser(name, help=summary, description=summary)
        if file:
            own.add_argument("file", type=Path, metavar="FILE", help="the file that is to follow")
            add_jobs(own)
        return own

    verb("show", "print the schema in force")
    verb("check", "compare a file with the schema in force and with the data", file=True)
    verb("apply", "put a file in force, if nothing is in the way", file=True).add_argument(
        "--actor", metavar="NAME", help="who does it (default: operator:USER)"
    )
    verb("history", "list the schemas that were put in force, with what each changed")


def schema(options: argparse.Namespace) -> int:
    """Do what is asked for."""
    end_politely()
    try:
        return _ACTIONS[options.action](options)
    except (SetupError, StoreUnavailable) as exc:
        print_progress(str(exc))
    except WrongFile:
        print_progress("The schema on record is one that this program does not know: it is older.")
    return CANNOT


@contextmanager
def _record() -> Iterator[SchemaRecord]:
    address = database_address()
    with connect(address) as client:
        yield SchemaRecord(client, address.database)


def _on_record() -> list[AppliedSchema]:
    with _record() as record:
        return record.all()


def _schemas(on_record: Sequence[AppliedSchema]) -> list[PersonSchema]:
    """Return the schemas that were in force, in order; with nothing on record, the one of the settings."""
    return [one.schema for one in on_record] or [load_person_schema(schema_file())]


def _show(_options: argparse.Namespace) -> int:
    on_record = _on_record()
    print_result(json.dumps(_schemas(on_record)[-1].document, indent=2, ensure_ascii=False))
    if not on_record:
        print_progress("Nothing is on record yet: this is what the settings name.")
    return FINE


def _history(_options: argparse.Namespace) -> int:
    on_record = _on_record()
    for at, one in enumerate(on_record):
        print_result(f"{one.schema.version}  {rfc3339(one.applied_at)}  {one.actor}")
        earlier = [before.schema for before in on_record[:at]]
        for change in compare(earlier[-1], one.schema, removed_fields(earlier)) if earlier else ():
            print_result(f"  {change}")
    if not on_record:
        print_progress("Nothing is on record yet: what the settings name is in force.")
    return FINE


def _check(options: argparse.Namespace) -> int:
    return _compared(options, _on_record())[0]


def _compared(options: argparse.Namespace, on_record: Sequence[AppliedSchema]) -> tuple[int, PersonSchema]:
    """Print what a file changes, and what that takes; return the exit status and the file's schema."""
    after = _file(options.file)
    schemas = _schemas(on_record)
    before = schemas[-1]
    if schema_text(after) == schema_text(before):
        return FINE, after
    changes = compare(before, after, removed_fields(schemas))
    obstacles = [_with_all_names(change.obstacle, schemas) for change in changes if change.obstacle]
    counts = iter(count_in_way(database_address(), obstacles, options.jobs))
    lines = [_line(change, next(counts) if change.obstacle else 0) for change in changes]
    for _, text in lines:
        print_result(text)
    print_progress(_described({kind for kind, _ in lines}, before, after))
    return (FOUND if any(kind == "refused" for kind, _ in lines) else FINE), after


def _file(path: Path) -> PersonSchema:
    try:
        return read_schema_file(path)
    except WrongDeclaration as exc:
        raise SetupError(exc.text[0].upper() + exc.text[1:]) from None


def _with_all_names(obstacle: Obstacle, schemas: Sequence[PersonSchema]) -> Obstacle:
    """Return an obstacle in the log with all the names that the field ever had: events keep theirs."""
    if obstacle.kind != "logged":
        return obstacle
    (name,) = names = [*obstacle.names]
    for before, after in reversed(list(pairwise(schemas))):
        former = former_names(before, after).get(name)
        if former:
            name = former
            names.append(name)
    return replace(obstacle, names=tuple(names))


def _line(change: Change, in_way: int) -> tuple[str, str]:
    """Return what a change takes, knowing the data, and the line that says so."""
    if change.obstacle is None:
        return change.kind, f"{change.kind:8} {change}"
    if not in_way:
        # What is unique from now on is to be reserved for those who have it already.
        kind = "rebuild" if change.obstacle.kind == "shared" else "free"
        return kind, f"{kind:8} {change}: all people fit"
    people = "1 person is" if in_way == 1 else f"{in_way:,} people are"
    return "refused", f"{'refused':8} {change}: {people} in the way, who {_WAYS[change.obstacle.kind]}"


def _described(kinds: set[str], before: PersonSchema, after: PersonSchema) -> str:
    if "refused" in kinds:
        return f"Number {before.version} stays in force: what is refused above is in the way."
    if "rebuild" in kinds:
        return f"Number {after.version} can be put in force, and wants a rebuild then."
    return f"Number {after.version} can be put in force."


def _apply(options: argparse.Namespace) -> int:
    on_record = _on_record()
    before = _schemas(on_record)[-1]
    status, after = _compared(options, on_record)
    if status != FINE:
        return status
    if on_record and schema_text(before) == schema_text(after):
        print_progress(f"Number {after.version} is in force already.")
        return FINE
    actor = options.actor or f"operator:{user_name()}"
    last = on_record[-1] if on_record else None
    # What was in force before the first one on record goes there, too: events are written in it.
    wanted = [after] if on_record or schema_text(before) == schema_text(after) else [before, after]
    with _record() as record:
        for one in wanted:
            last = _add(record, one, last, actor)
    print_progress(
        f"Number {after.version} is in force, and workers start anew by themselves. Run "
        "mongo-cluster/initialise.py for its indexes, and, after a rebuild if one is wanted, restart the "
        "query APIs and then the command APIs."
    )
    return FINE


def _add(record: SchemaRecord, one: PersonSchema, last: AppliedSchema | None, actor: str) -> AppliedSchema:
    ids = {"event_id": new_id(), "command_id": new_id()}
    now = to_milliseconds(datetime.now(UTC))
    event = record_schema(one, last, **ids, actor=actor, user_agent=_AGENT, now=now)
    if not record.add(event):
        raise SetupError("Somebody else has put a schema in force meanwhile: look at it, and check again.")
    return AppliedSchema(one, schema_text(one), event.version, event.hash, actor, event.applied_at)


_ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "show": _show,
    "check": _check,
    "apply": _apply,
    "history": _history,
}
