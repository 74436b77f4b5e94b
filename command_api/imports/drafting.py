"""Turns a row into a command as the single routes make it, or says why it is not valid. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from pydantic import ValidationError

from command_api.dispatch.publisher import Outgoing
from command_api.imports.rows import Row
from command_api.people.input import input_forms
from events.imports.states import Mode, causation_of, correlation_of
from events.person.commands import CreatePerson, UpsertPerson, encode_command
from events.person.fields import PersonChanges
from events.person.schema.declarations import PersonSchema
from service_kit.http.problems import field_errors
from service_kit.http.reasons import told
from service_kit.ids import derived_id

CREATE: Final = CreatePerson.model_fields["type"].default
UNKNOWN_NAME: Final = "has a name that is not known"
WHOLE: Final = "row"
"""Stands for the field where the whole row is wrong."""
MOST_OF_A_ROW: Final = 10
"""Errors of a row that are told; of those beyond, the number."""
Errors = list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that is not valid.

    Attributes:
        row: Its number.
        errors: `field`, `code` and `reason`, in English, of each thing that is wrong with it.
    """

    row: int
    errors: Errors


def _refused(number: int, field: str, reason: str) -> Refused:
    return Refused(number, [told({"field": field, "reason": reason}, "en")])


def _kept(error: dict[str, str]) -> dict[str, str]:
    """Return what is wrong as it may be kept: a name that we do not know may be a value."""
    if error["code"] not in ("unknown-name", "unknown-field"):
        return error
    return told({"field": WHOLE, "reason": UNKNOWN_NAME}, "en")


class Drafter:
    """Makes commands of rows: of the same row always the same one.

    Args:
        import_id: The import.
        mode: Whether a row with an id may change a person.
        stamp: What the commands carry, as of the import's beginning: the actor, the time and so on.
        context: What checking a person wants to know: today's date, the region of telephone numbers.
        schema: What a person is.
        fixed: The fields that the client may not set, each with the scope that it wants.
    """

    def __init__(
        self,
        import_id: str,
        mode: Mode,
        stamp: Mapping[str, Any],
        context: Mapping[str, Any],
        schema: PersonSchema,
        fixed: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._import_id = import_id
        self._mode = mode
        self._context = dict(context)
        forms = input_forms(schema)
        self._create = forms.person.__pydantic_validator__.validate_python
        self._patch = forms.patch.__pydantic_validator__.validate_python
        self._fixed = fixed
        same = {**stamp, "command_id": "", "person_id": "", "correlation_id": correlation_of(import_id)}
        # Encoding each command anew costs more than checking its row: what they share is made once.
        sample = UpsertPerson.model_construct(**same, data=PersonChanges.model_construct())
        self._upserting = encode_command(sample)
        self._creating = {**self._upserting, "type": CREATE}

    def draft(self, number: int, row: Row) -> Outgoing | Refused:
        """Return the command of a row, or why there is none.

        Args:
            number: Of the row, from 1.
            row: As it was read.
        """
        fields = row.fields
        if fields is None:
            return _refused(number, WHOLE, row.reason)
        given = fields.pop("id", None)
        person_id = None
        if given is not None and given != "":
            try:
                person_id = str(UUID(given))
            except (ValueError, AttributeError, TypeError):
                return _refused(number, "id", "must be a UUID")
        try:
            if person_id is not None and self._mode == "upsert":
                patch = self._patch(fields, context=self._context)
                changes = patch.changes()
                if not changes:
                    return _refused(number, WHOLE, "names no field to change")
                if refused := self._refused_fixed(number, changes.keys()):
                    return refused
                return self._outgoing(self._upserting, number, person_id, changes)
            person = self._create(fields, context=self._context)
        except ValidationError as exc:
            return Refused(number, [_kept(one) for one in field_errors(exc, most=MOST_OF_A_ROW, whole=WHOLE)])
        data = person.fields()
        if refused := self._refused_fixed(number, {name for name in self._fixed if data[name] is not None}):
            return refused
        if person_id is None:
            person_id = derived_id("import", "person", self._import_id, str(number))
        return self._outgoing(self._creating, number, person_id, data)

    def _refused_fixed(self, number: int, names: Collection[str]) -> Refused | None:
        """Return why a row cannot be as it is that sets what the client may not set; None if it does not."""
        for name, scope in self._fixed.items():
            if name in names:
                return _refused(number, name, f"wants the scope {scope}")
        return None

    def _outgoing(
        self, attributes: Mapping[str, Any], number: int, person_id: str, data: Mapping[str, Any]
    ) -> Outgoing:
        command_id = derived_id("import", "command", self._import_id, str(number))
        message = {
            **attributes,
            "id": command_id,
            "subject": person_id,
            "partitionkey": person_id,
            "causationid": causation_of(number),
            "data": data,
        }
        return Outgoing(
            attributes["type"],
            command_id,
            person_id,
            attributes["source"],
            attributes["time"],
            orjson.dumps(message),
        )
