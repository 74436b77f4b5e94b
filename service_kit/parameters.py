"""Owns how OpenAPI documents tell of query parameters: from the form that reads them."""

from typing import Any

from pydantic import BaseModel


def parameters(form: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the OpenAPI query parameters that a form describes."""
    found = []
    for name, schema in form.model_json_schema()["properties"].items():
        value = dict(schema)
        value.pop("title", None)
        if "anyOf" in value:  # an optional one is absent, never null
            value = next(dict(kind) for kind in value["anyOf"] if kind.get("type") != "null")
        description = value.pop("description", schema.get("description", ""))
        found.append(
            {"name": name, "in": "query", "required": False, "description": description, "schema": value}
        )
    return found
