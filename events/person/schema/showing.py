"""The person schema as a caller may see it. Pure."""

from copy import deepcopy
from typing import Any

from events.person.schema.declarations import PersonSchema


def shown_schema(schema: PersonSchema, hidden: frozenset[str]) -> dict[str, Any]:
    """Return the content of a schema's file, without some fields and without what names them.

    Args:
        schema: The schema.
        hidden: The names of the fields that are left out.
    """
    document: dict[str, Any] = deepcopy(dict(schema.document))
    if not hidden:
        return document
    for name in hidden:
        document["properties"].pop(name, None)
    document["required"] = [name for name in document.get("required", ()) if name not in hidden]
    together = document.get("rollcall", {})
    kinds = {kind for kind, names in schema.unique.items() if not hidden.isdisjoint(names)}
    for part in ("unique", "taken"):
        if part in together:
            together[part] = {kind: told for kind, told in together[part].items() if kind not in kinds}
    if "sorts" in together:
        together["sorts"] = [
            names
            for names in together["sorts"]
            if hidden.isdisjoint(name.removeprefix("-") for name in names)
        ]
    if "display" in together:
        together["display"] = [name for name in together["display"] if name not in hidden]
    return document
