"""The verb that shows, checks and changes the person schema in force.

Exit status 0: all can be as it is asked for; 1: something is in the way; 2: it could not be found out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from events.errors import StoreUnavailable
from events.log.applied_schema import AppliedSchema, record_schema, schema_text
from events.person.schema.changes import compare, removed_fields
from events.person.schema.declarations import PersonSchema
from events.person.schema.errors import WrongFile
from events.times import rfc3339, to_milliseconds
from operations.addresses import claim_names, database_address, schema_file
from operations.errors import SetupError
from operations.log_reader import connect
from operations.proof.proof import add_jobs, end_politely
from operations.schema.comparing import CANNOT, FINE, compared
from operations.schema.reserving import reserve
from operations.terminal import print_progress, print_result, user_name
from service_kit.ids import new_id
from service_kit.mongo.schema_record import SchemaRecord
from service_kit.person_schema import load_person_schema

_AGENT: Final = "rollcall schema"


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
    return compared(options.file, _schemas(_on_record()), options.jobs).status


def _apply(options: argparse.Namespace) -> int:
    on_record = _on_record()
    schemas = _schemas(on_record)
    found = compared(options.file, schemas, options.jobs)
    before, after = schemas[-1], found.after
    if found.status != FINE:
        return found.status
    if on_record and schema_text(before) == schema_text(after):
        print_progress(f"Number {after.version} is in force already.")
        return FINE
    actor = options.actor or f"operator:{user_name()}"
    last = on_record[-1] if on_record else None
    # What was in force before the first one on record goes there, too: events are written in it.
    wanted = [after] if on_record or schema_text(before) == schema_text(after) else [before, after]
    if kinds := found.made_unique((*schemas, after)):
        reserve(database_address(), kinds, claim_names(after), options.jobs)
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
