"""Brings the parameters in OpenAPI documents to one form, whoever described them."""

from typing import Any

from pydantic import BaseModel


def parameters(form: type[BaseModel]) -> list[dict[str, Any]]:
    """Return the OpenAPI query parameters that a form describes; a list has commas between its values."""
    fields = form.model_json_schema()["properties"]
    found = [
        plain({"name": name, "in": "query", "required": False, "schema": schema})
        for name, schema in fields.items()
    ]
    listed = {"style": "form", "explode": False}
    return [one | listed if one["schema"].get("type") == "array" else one for one in found]


def plain(parameter: dict[str, Any]) -> dict[str, Any]:
    """Return a parameter without pydantic's titles, and without null: it is absent rather than that."""
    schema = {name: value for name, value in parameter["schema"].items() if name != "title"}
    description = schema.pop("description", "")
    kinds = [kind for kind in schema.get("anyOf", ()) if kind.get("type") != "null"]
    if len(kinds) == 1:
        del schema["anyOf"]
        schema.pop("default", None)
        schema |= kinds[0]
        description = schema.pop("description", "") or description
    schema.pop("title", None)
    if schema.get("default") == "":
        del schema["default"]
    return {**parameter, "description": parameter.get("description") or description, "schema": schema}
