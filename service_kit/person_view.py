"""What of people a caller sees: fields that want a scope are hidden from who lacks it."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from events.errors import Forbidden
from events.person.schema.declarations import FieldDeclaration, PersonSchema

_MARK_CHARACTERS: Final = 8


def scopes_told(field: FieldDeclaration) -> str:
    """Return what both OpenAPI documents say of a field's scopes; nothing if it has none."""
    told = (f"shown with the scope `{field.read}`", f"set with the scope `{field.write}`")
    text = "; ".join(one for one, scope in zip(told, (field.read, field.write), strict=True) if scope)
    return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class PersonView:
    """What of a schema's people a caller sees.

    Attributes:
        schema: What a person is.
        hidden: The fields that are left out.
    """

    schema: PersonSchema
    hidden: frozenset[str]

    @classmethod
    def of(cls, schema: PersonSchema, scopes: Collection[str]) -> "PersonView":
        """Return what is seen by who has some scopes."""
        return cls(schema, schema.hidden(scopes))

    def tag(self, version: int) -> str:
        """Return what stands for a person at a version in an `ETag`: for other fields, another tag."""
        if not self.schema.has_views:
            return str(version)
        seen = ",".join(sorted(self.hidden)).encode()
        return f"{version}.{hashlib.sha256(seen).hexdigest()[:_MARK_CHARACTERS]}"

    def of_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return some values by field, without the hidden ones."""
        return {name: value for name, value in values.items() if name not in self.hidden}

    def shown(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return some fields' names, without the hidden ones."""
        return tuple(name for name in names if name not in self.hidden)

    def refuse_hidden(self, names: Iterable[str]) -> None:
        """Return if all of some fields are seen.

        Raises:
            Forbidden: One wants a scope that the caller lacks.
        """
        if self.hidden:
            for name in names:
                if name in self.hidden:
                    scope = self.schema.read_scope(name)
                    raise Forbidden(f"the field {name} wants the scope {scope}", scope)
