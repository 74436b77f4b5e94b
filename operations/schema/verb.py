"""The verb that shows, checks and changes the person schema in force.

Exit status 0: all can be as it is asked for; 1: something is in the way; 2: it could not be found out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from events.errors import StoreUnavailable
from events.log.applied_schema import APPLIED, AppliedSchema, schema_text
from events.person.schema.changes import compare, removed_fields
from events.person.schema.declarations import PersonSchema
from events.person.schema.errors import WrongFile
from events.times import rfc3339
from operations.addresses import schema_file
from operations.errors import SetupError
from operations.proof.proof import add_jobs, end_politely
from operations.schema.applying import Applying, read_record, withdraw
from operations.schema.comparing import CANNOT, FINE, FOUND, compared
from operations.terminal import print_progress, print_result, user_name
from service_kit.person_schema import load_person_schema

_WAIT_SECONDS: Final = 120.0


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
    changing = [verb("apply", "put a file in force, if nothing is in the way", file=True)]
    changing[0].add_argument(
        "--wait",
        type=float,
        default=_WAIT_SECONDS,
        metavar="SECONDS",
        help="how long to wait for workers, where something becomes unique (default: %(default)s)",
    )
    changing.append(verb("withdraw", "take back what is prepared, after an apply that was ended"))
    for own in changing:
        own.add_argument("--actor", metavar="NAME", help="who does it (default: operator:USER)")
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


def _schemas(on_record: Sequence[AppliedSchema]) -> list[PersonSchema]:
    """Return the schemas that were in force, in order; with nothing on record, the one of the settings."""
    return [one.schema for one in on_record] or [load_person_schema(schema_file())]


def _show(_options: argparse.Namespace) -> int:
    recorded = read_record()
    on_record = recorded.applied
    print_result(json.dumps(_schemas(on_record)[-1].document, indent=2, ensure_ascii=False))
    if not on_record:
        print_progress("Nothing is on record yet: this is what the settings name.")
    if recorded.prepared:
        print_progress(f"Number {recorded.prepared.number} is prepared: apply it again, or withdraw it.")
    return FINE


def _history(_options: argparse.Namespace) -> int:
    earlier: list[PersonSchema] = []
    recorded = read_record()
    for one in recorded.events:
        what = "" if one.type == APPLIED else f"  {one.type.partition('.')[2]}"
        print_result(f"{one.number}  {rfc3339(one.applied_at)}  {one.actor}{what}")
        if isinstance(one, AppliedSchema) and one.type == APPLIED:
            for change in compare(earlier[-1], one.schema, removed_fields(earlier)) if earlier else ():
                print_result(f"  {change}")
            earlier.append(one.schema)
    if not recorded.events:
        print_progress("Nothing is on record yet: what the settings name is in force.")
    return FINE


def _check(options: argparse.Namespace) -> int:
    return compared(options.file, _schemas(read_record().applied), options.jobs).status


def _actor(options: argparse.Namespace) -> str:
    return options.actor or f"operator:{user_name()}"


def _apply(options: argparse.Namespace) -> int:
    recorded = read_record()
    schemas = _schemas(recorded.applied)
    found = compared(options.file, schemas, options.jobs)
    after, prepared = found.after, recorded.prepared
    if recorded.applied and schema_text(schemas[-1]) == schema_text(after):
        print_progress(f"Number {after.version} is in force already.")
        return FINE
    if prepared and prepared.text != schema_text(after):
        raise SetupError(
            f"Another file with number {prepared.number} is prepared: apply that one again, or withdraw it."
        )
    if found.status != FINE:
        if prepared:
            withdraw(prepared, set(), _actor(options))
        return found.status
    applying = Applying(recorded, schemas, after, _actor(options), options.jobs, options.wait)
    if not applying.put_in_force():
        return FOUND
    print_progress(
        f"Number {after.version} is in force, and workers start anew by themselves. Run "
        "mongo-cluster/initialise.py for its indexes, and, after a rebuild if one is wanted, restart the "
        "query APIs and then the command APIs."
    )
    return FINE


def _withdraw(options: argparse.Namespace) -> int:
    prepared = read_record().prepared
    if prepared is None:
        print_progress("Nothing is prepared.")
        return FINE
    withdraw(prepared, set(), _actor(options))
    return FINE


_ACTIONS: Final[Mapping[str, Callable[[argparse.Namespace], int]]] = {
    "show": _show,
    "check": _check,
    "apply": _apply,
    "withdraw": _withdraw,
    "history": _history,
}
