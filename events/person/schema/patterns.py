r"""Patterns of texts: ECMA-262 with its `u` flag, as far as an engine that takes linear time takes it, too.

What both engines take can still mean two things. So a pattern is read as ECMA-262 defines it and written anew
for Rust's `regex` crate, which pydantic-core compiles:

- `\d`, `\w` and `\b` are ASCII in ECMA-262 (22.2.2.9, WordCharacters), and Unicode in Rust.
- `\s` is ECMA-262's WhiteSpace and LineTerminator, with U+FEFF and without U+0085.
- `.` excludes the four LineTerminators, not the line feed alone.
- `$` is the end of the text in both, never the place before a last line feed.

Groups catch nothing here, so each becomes `(?:…)`.
"""

from functools import lru_cache
from typing import Final

from pydantic_core import SchemaError, SchemaValidator, ValidationError, core_schema

from events.person.schema.errors import WrongPattern
from events.person.schema.translation import translated

LONGEST_PATTERN: Final = 500


def check_pattern(pattern: str) -> WrongPattern | None:
    """Return what is wrong with a pattern; None if all is well."""
    try:
        _validator(linear_pattern(pattern))
    except WrongPattern as exc:
        return exc
    except SchemaError as exc:
        if "size limit" in str(exc):
            return WrongPattern("repeats so much that it takes too much memory", "repeat less")
        return WrongPattern("is no pattern that the engine takes", "write it in a simpler way")
    return None


def matches(pattern: str, text: str) -> bool:
    """Return whether a pattern, which has no fault, matches a text somewhere."""
    try:
        _validator(linear_pattern(pattern)).validate_python(text)
    except ValidationError:
        return False
    return True


@lru_cache(maxsize=512)
def linear_pattern(pattern: str) -> str:
    """Return a pattern of ECMA-262 with the same meaning as Rust's engine takes it.

    Raises:
        WrongPattern: Not both engines take it.
    """
    if len(pattern) > LONGEST_PATTERN:
        raise WrongPattern(f"has {len(pattern):,} characters", f"write at most {LONGEST_PATTERN}")
    return translated(pattern)


@lru_cache(maxsize=16)  # one may take megabytes
def _validator(pattern: str) -> SchemaValidator:
    return SchemaValidator(core_schema.str_schema(pattern=pattern))
