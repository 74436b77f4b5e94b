"""No code of the services knows a field of a person by name: only the person schema does."""

import ast
from collections.abc import Iterator
from pathlib import Path

from events.person.schema.reading import default_schema

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ("command_api", "query_api", "workers", "operations", "service_kit", "events", "subscriber")
FORMATS = {"address", "email", "phone"}
"""Words that mean other things, too."""
READERS = {"address", "email", "phone", "birth_date", "document_id"}
"""What functions are called that read a format, and variables of other things."""


def uses(path: Path, names: set[str]) -> Iterator[tuple[str, int, str]]:
    """Yield where a file has one of the names: as a text, a variable, an attribute or an argument."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Constant(value=str(word)) if word in names - FORMATS:
                yield str(path.relative_to(ROOT)), node.lineno, word
            case ast.Attribute(attr=word) | ast.keyword(arg=word) | ast.arg(arg=word) if (
                word in names - READERS
            ):
                yield str(path.relative_to(ROOT)), node.lineno, word


def test_the_services_name_no_field_but_through_the_schema():
    names = set(default_schema().names)
    found = [
        use for folder in SERVICES for path in (ROOT / folder).rglob("*.py") for use in uses(path, names)
    ]
    assert found == []


def test_a_field_that_is_named_is_found():
    path = ROOT / "tests" / "unit" / "test_fields_by_name.py"
    assert {word for _, _, word in uses(path, {"command_api", "rglob", "nobody"})} == {
        "command_api",
        "rglob",
        "nobody",
    }
