"""Puts a person schema in force, step by step on record: cut off anywhere, it is taken up again or withdrawn.

What makes nothing unique that people have is put in force at once. The other is prepared first: workers claim
for it and refuse nobody, all of them before anybody's values are reserved, and it comes into force only if no
two people have the same. A worker that would let two have the same withdraws it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from events.log.applied_schema import (
    APPLIED,
    PREPARED,
    AppliedSchema,
    SchemaEventType,
    SchemaLog,
    Stamp,
    WithdrawnSchema,
    record_schema,
    record_withdrawal,
    schema_text,
)
from events.person.schema.declarations import PersonSchema
from events.person.schema.lifting import coming_kinds, in_force
from events.times import to_milliseconds
from operations.addresses import database_address
from operations.errors import SetupError
from operations.keys.verb import known_keks
from operations.log_opening import Opening
from operations.log_reader import connect
from operations.schema.reserving import forget, reserve
from operations.schema.waiting import wait_for_workers
from operations.terminal import print_progress, print_result
from service_kit.ids import new_id
from service_kit.mongo.schema_record import SchemaRecord

_AGENT: Final = "rollcall schema"
_SHOWN: Final = 20


@contextmanager
def opened_record() -> Iterator[SchemaRecord]:
    """Keep the record open for as long as the block runs."""
    address = database_address()
    with connect(address) as client:
        yield SchemaRecord(client, address.database)


def read_record() -> SchemaLog:
    """Return all that is on record."""
    with opened_record() as record:
        return record.read()


@dataclass
class Applying:
    """One run.

    Attributes:
        recorded: What was on record when it began.
        schemas: All that were in force, the oldest first.
        after: The one that is to follow.
        actor: Who does it.
        processes: How many reserve.
        seconds: How long workers are waited for.
    """

    recorded: SchemaLog
    schemas: Sequence[PersonSchema]
    after: PersonSchema
    actor: str
    processes: int
    seconds: float

    def put_in_force(self) -> bool:
        """Return whether it is in force now; else two people have the same values, and it is withdrawn.

        Raises:
            SetupError: Workers do not go by what is on record, or it cannot be told what somebody has;
                what is prepared stays so. Or somebody else was faster.
            StoreUnavailable: MongoDB is away.
        """
        last = self.recorded.last
        before = self.schemas[-1]
        if not self.recorded.applied and schema_text(before) != schema_text(self.after):
            # What was in force before the first one on record goes there, too: events are written in it.
            last = self._add(before, last, APPLIED)
        if kinds := set(coming_kinds(self.schemas, self.after)):
            prepared = self.recorded.prepared or self._prepare(kinds, last)
            if not self._reserve(kinds, prepared):
                return False
            last = prepared
        self._add(self.after, last, APPLIED)
        return True

    def _prepare(self, kinds: set[str], last: AppliedSchema | WithdrawnSchema | None) -> AppliedSchema:
        address = database_address()
        # What was prepared and withdrawn before, some may still claim for.
        wait_for_workers(address, last.version if last else 0, self.seconds)
        forget(address, kinds)
        prepared = self._add(self.after, last, PREPARED)
        print_progress(f"Number {self.after.version} is prepared: workers claim for it, and refuse nobody.")
        return prepared

    def _reserve(self, kinds: set[str], prepared: AppliedSchema) -> bool:
        address = database_address()
        wait_for_workers(address, prepared.version, self.seconds)
        schema = in_force((*self.schemas, self.after))
        found = reserve(address, schema, kinds, Opening(address.database, known_keks()), self.processes)
        for one in found[:_SHOWN]:
            print_result(f"refused  {one.sentence}")
        if found:
            if len(found) > _SHOWN:
                print_result(f"refused  and {len(found) - _SHOWN:,} more, or many more")
            withdraw(prepared, kinds, self.actor)
        return not found

    def _add(
        self, one: PersonSchema, last: AppliedSchema | WithdrawnSchema | None, type_: SchemaEventType
    ) -> AppliedSchema:
        event = record_schema(one, last, _stamp(self.actor), type_)
        with opened_record() as record:
            if not record.add(event):
                raise SetupError(_overtaken(record.read(), one))
        return AppliedSchema(
            one, schema_text(one), event.version, event.hash, self.actor, event.applied_at, type_
        )


def withdraw(prepared: AppliedSchema, kinds: set[str], actor: str) -> None:
    """Put on record that what is prepared does not come into force.

    Args:
        prepared: What is prepared.
        kinds: Of claims, of which two people have the same values; none if somebody asks for it.
        actor: Who does it.

    Raises:
        SetupError: Something else followed it meanwhile.
        StoreUnavailable: MongoDB is away.
    """
    with opened_record() as record:
        if not record.add(record_withdrawal(prepared, kinds, _stamp(actor))):
            last = record.read().last
            if not isinstance(last, WithdrawnSchema):
                raise SetupError(f"Number {prepared.number} came into force meanwhile.")
    print_progress(f"Number {prepared.number} is withdrawn: nothing of it is in force.")


def _stamp(actor: str) -> Stamp:
    now = to_milliseconds(datetime.now(UTC))
    return Stamp(event_id=new_id(), command_id=new_id(), actor=actor, user_agent=_AGENT, now=now)


def _overtaken(recorded: SchemaLog, one: PersonSchema) -> str:
    last = recorded.last
    if isinstance(last, WithdrawnSchema) and last.kinds:
        kinds = ", ".join(kind.partition(".")[0] for kind in last.kinds)
        return (
            f"Meanwhile somebody got a value that another person has ({kinds}), so number {one.version} was "
            "withdrawn: check again."
        )
    return "Somebody else has changed what is on record meanwhile: look at it, and check again."
