"""Patterns of texts: what ECMA-262 (with its `u` flag) and an engine that takes linear time both take."""

from functools import cache
from typing import Final

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

LONGEST_PATTERN: Final = 500


def check_pattern(pattern: str) -> str | None:
    """Return what is wrong with a pattern; None if all is well."""
    if len(pattern) > LONGEST_PATTERN:
        return f"has {len(pattern):,} characters"
    try:
        _validator(linear_pattern(pattern))
    except SchemaError:
        return "is no pattern"
    return None


def linear_pattern(pattern: str) -> str:
    """Return a pattern as Rust's engine takes it."""
    return pattern


@cache
def _validator(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern))


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern matches a text somewhere."""
    try:
        _validator(linear_pattern(pattern)).validate_python(text)
    except ValidationError:
        return False
    return True
