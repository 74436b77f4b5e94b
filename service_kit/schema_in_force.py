"""Decides which person schema a process goes by: the newest on record, or its file's before that."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from events.accounts.event import ROLLCALL
from events.errors import StoreUnavailable
from events.log.applied_schema import AppliedSchema, SchemaLog, Stamp, record_schema, schema_text
from events.person.schema.declarations import PersonSchema
from events.person.schema.errors import WrongFile
from events.person.schema.lifting import coming_kinds, in_force
from events.times import to_milliseconds
from service_kit.ids import new_id
from service_kit.mongo.schema_record import SchemaRecord, open_record
from service_kit.person_schema import load_person_schema
from service_kit.settings import Settings

log = structlog.get_logger()


def choose_schema(file: PersonSchema, on_record: Sequence[AppliedSchema], *, is_named: bool) -> PersonSchema:
    """Return the schema in force: the newest on record, or the file's if there is none.

    Args:
        file: What the file declares.
        on_record: What was put in force, the oldest first.
        is_named: Whether a setting names the file: the shipped one may be another in another version.

    Raises:
        SystemExit: The file has the number of one on record, and other content.
    """
    if not on_record:
        return file
    same = [one for one in on_record if one.schema.version == file.version]
    if is_named and same and same[0].text != schema_text(file):
        raise SystemExit(
            f"cannot start: the person schema's file has number {file.version}, and is another one than that "
            "number on record: give it a number of its own and apply it, or take what `rollcall schema show` "
            "prints"
        )
    newest = in_force([one.schema for one in on_record])
    if is_named and file.version > newest.version:
        log.warning("schema not applied", file=file.version, in_force=newest.version)
    return newest


def with_coming(schema: PersonSchema, recorded: SchemaLog) -> PersonSchema:
    """Return the schema in force as a worker goes by it: it knows what is to be unique, and since when.

    Args:
        schema: The one in force.
        recorded: All that is on record.
    """
    if recorded.last is None:
        return schema
    on_record = recorded.last.version
    if recorded.prepared is None:
        return replace(schema, on_record=on_record)
    applied = [one.schema for one in recorded.applied]
    return replace(schema, on_record=on_record, coming=coming_kinds(applied, recorded.prepared.schema))


def schema_of_file(path: Path | None, record: SchemaRecord) -> PersonSchema:
    """Return the schema in force, asking the record.

    Args:
        path: The file that a setting names; None for the shipped one.
        record: What was put in force.

    Raises:
        StoreUnavailable: MongoDB is away, or refuses.
        SystemExit: The file is wrong, or has the number of another one on record; or what is on record is no
            schema that this code knows.
    """
    return _schema_in(path, record)[0]


def _schema_in(path: Path | None, record: SchemaRecord) -> tuple[PersonSchema, SchemaLog]:
    file = load_person_schema(path)
    try:
        recorded = record.read()
        return choose_schema(file, recorded.applied, is_named=path is not None), recorded
    except WrongFile:
        raise SystemExit(
            "cannot start: the schema on record is one that this version does not know"
        ) from None


def schema_at_start(settings: Settings, *, seed: bool = False) -> PersonSchema:
    """Return the schema that a service goes by until it ends.

    Args:
        settings: Where the record and the file are.
        seed: Put the file's on record if nothing is, and take what is to be unique into account: workers do.

    Raises:
        SystemExit: As of `schema_of_file`.
    """
    if settings.mongo_uri is None:
        return load_person_schema(settings.person_schema)
    with open_record(settings.mongo_uri.get_secret_value(), settings.mongo_db) as record:
        try:
            schema, recorded = _schema_in(settings.person_schema, record)
            if seed and recorded.last is None:
                _seed(record, schema)  # another worker may be quicker
                schema, recorded = _schema_in(settings.person_schema, record)
        except StoreUnavailable as exc:
            log.warning("schema not asked for", reason=exc.detail)
            return load_person_schema(settings.person_schema)
    log.info("schema in force", number=schema.version)
    return with_coming(schema, recorded) if seed else schema


def _seed(record: SchemaRecord, schema: PersonSchema) -> None:
    ids = {"event_id": new_id(), "command_id": new_id()}
    now = to_milliseconds(datetime.now(UTC))
    stamp = Stamp(**ids, actor=ROLLCALL, user_agent="rollcall worker", now=now)
    record.add(record_schema(schema, None, stamp))
