"""Lifts a person's values from the schemas that they were written in to the one in force. Pure.

Events and commands keep the number of the schema that they were written in; the log is never rewritten. A
value whose field was removed is carried along, unseen, so that it is there when the field is declared again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Final

from events.errors import NewerSchema
from events.person.schema.changes import compare, former_names, kinds_before, removed_fields
from events.person.schema.declarations import PersonSchema, Value

Values = dict[str, Value | None]
_WHOLE: Final = frozenset({"person.created", "person.create"})
"""What says all of a person's values: a field that is not there has none."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one schema makes of the values of the one before it.

    Attributes:
        names: By former name, the name of a field that is called otherwise.
        defaults: By name, what people have who were created before it.
        filled: By name, what people have from whom a value was taken before it: the field is required now.
    """

    names: Mapping[str, str]
    defaults: Mapping[str, Value]
    filled: Mapping[str, Value]

    @classmethod
    def between(cls, before: PersonSchema, after: PersonSchema) -> "Step":
        """Return what a schema makes of the values of the one before it."""
        former = former_names(before, after)
        defaults, filled = {}, {}
        for field in after.fields:
            old = before.by_name.get(former.get(field.name, field.name))
            if field.default is None or (old is not None and (old.required or not field.required)):
                continue
            defaults[field.name] = field.default
            if field.required:
                filled[field.name] = field.default
        return cls({old: name for name, old in former.items()}, defaults, filled)

    @property
    def is_idle(self) -> bool:
        """Return whether it changes nothing."""
        return not (self.names or self.defaults)

    def lift(self, type_: str, values: Mapping[str, Value | None]) -> Values:
        """Return values in the form of the later schema."""
        lifted = {self.names.get(name, name): value for name, value in values.items()}
        if type_ in _WHOLE:
            return lifted | {name: one for name, one in self.defaults.items() if lifted.get(name) is None}
        return lifted | {name: one for name, one in self.filled.items() if lifted.get(name, one) is None}


def in_force(schemas: Sequence[PersonSchema]) -> PersonSchema:
    """Return the newest of some schemas, which knows those before it.

    Args:
        schemas: All that were put in force, the oldest first.
    """
    if len(schemas) == 1:
        return schemas[0]
    shape, claimed_as = 0, {kind: kind for kind in schemas[0].unique}
    for at, (before, after) in enumerate(pairwise(schemas), 1):
        if any(change.kind == "rebuild" for change in compare(before, after, removed_fields(schemas[:at]))):
            shape = after.version
        former = kinds_before(before, after)
        # A name of its own for what is made unique later: of one that was given up, claims may be left.
        claimed_as = {
            kind: claimed_as[former[kind]] if kind in former else f"{kind}.{after.version}"
            for kind in after.unique
        }
    return replace(schemas[-1], earlier=tuple(schemas[:-1]), shape=shape, claimed_as=claimed_as)


def coming_kinds(schemas: Sequence[PersonSchema], after: PersonSchema) -> dict[str, tuple[str, ...]]:
    """Return the kinds that become unique, as claims call them, with their fields as they are in force.

    What is unique of a field that nobody has yet is none of them.

    Args:
        schemas: All that were in force, the oldest first.
        after: The one that is to follow.
    """
    called = in_force((*schemas, after)).claimed_as
    changes = compare(schemas[-1], after, removed_fields(schemas))
    obstacles = {one.where: one.obstacle for one in changes if one.obstacle}
    return {called[kind]: one.names for kind, one in obstacles.items() if one.kind == "shared"}


def lift_values(
    type_: str, number: int | None, values: Mapping[str, Value | None], schema: PersonSchema
) -> Mapping[str, Value | None]:
    """Return the values of an event or a command as the schema in force has them.

    Args:
        type_: Of the event or command; of what has no fields of people in it, the values stay as they are.
        number: Of the schema that they were written in; None for what is older than all numbers.
        values: By field.
        schema: The one in force; what is newer stays as it is.
    """
    if not schema.earlier or number == schema.version:
        return values
    for step in _steps(schema, schema.earlier[0].version if number is None else number):
        values = step.lift(type_, values)
    return values


def former_names_in(number: int | None, schema: PersonSchema) -> dict[str, str]:
    """Return the names that fields had in an earlier schema, of those that are called otherwise now.

    Args:
        number: Of the schema; None for what is older than all numbers.
        schema: The one in force.
    """
    if not schema.earlier or number == schema.version:
        return {}
    names: dict[str, str] = {}
    for step in _steps(schema, schema.earlier[0].version if number is None else number):
        then = {step.names.get(name, name): former for name, former in names.items()}
        names = {name: former for former, name in step.names.items() if former not in names} | then
    return {name: former for name, former in names.items() if name in schema.by_name}


@lru_cache(maxsize=256)
def _steps(schema: PersonSchema, number: int) -> tuple[Step, ...]:
    """Return what is made of the values of a schema, one after the other."""
    chain = pairwise((*schema.earlier, schema))
    steps = (Step.between(before, after) for before, after in chain if before.version >= number)
    return tuple(step for step in steps if not step.is_idle)


def written_in(number: int | None, schema: PersonSchema) -> PersonSchema | None:
    """Return the earlier schema that something was written in; None if it was the one in force, or a newer.

    Args:
        number: Of the schema; None for what is older than all numbers.
        schema: The one in force.
    """
    if not schema.earlier or (number is not None and number >= schema.version):
        return None
    known = [one for one in schema.earlier if number is not None and one.version <= number]
    return known[-1] if known else schema.earlier[0]


def refuse_newer(number: int | None, schema: PersonSchema) -> None:
    """Return if nothing was written in a newer schema.

    Args:
        number: Of the schema that it was written in; None for what is older than all numbers.
        schema: The one that this process goes by.

    Raises:
        NewerSchema: It was.
    """
    if number is not None and number > schema.version:
        raise NewerSchema(
            f"number {number} of the person schema is newer than {schema.version}, by which this process goes"
        )
