"""What a field may be called."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel

LONGEST_NAME: Final = 64
"""Characters of a field's name."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ADVICE: Final = f"write ASCII letters, digits and _, a letter first, at most {LONGEST_NAME} characters"
_OTHER: Final = "choose another name"
_SYSTEM: Final = """
    id version created_at updated_at image_url thumbnail_url image_id image keys hash projection deleted
    person_schema row
"""
_PARAMETERS: Final = """
    q sort limit cursor count count_exact fields tz consistency as_of min_version include from to
    created_from created_to updated_from updated_to
"""
_KEYS: Final = "own words"
_MODELS: Final = """
    asked at_least bom changes choosing filters is_search is_span named names naming optional orders shown
    sorts strong within
"""
RESERVED: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys([*dir(BaseModel), *_MODELS.split()], "is a name that our programs use")
    | dict.fromkeys(_KEYS.split(), "is where the read model keeps what people are searched by")
    | dict.fromkeys(_PARAMETERS.split(), "is a parameter of every read")
    | dict.fromkeys(_SYSTEM.split(), "is what Rollcall itself says about every person")
)
"""Names that no field may have, in lower case, and why."""


def name_fault(name: str) -> tuple[str, str] | None:
    """Return what is wrong with the name of a field or of a kind of claim, and what to write instead.

    Returns:
        None if all is well.
    """
    if "$" in name or "." in name:
        return "has $ or . in its name, which MongoDB takes for an operator or a path", _ADVICE
    if not _NAME.fullmatch(name):
        return "is no name of a field", _ADVICE
    if len(name) > LONGEST_NAME:
        return f"has a name of {len(name):,} characters", _ADVICE
    if name.casefold().startswith("model_"):
        return "begins with model_, which our programs use", _OTHER
    if reason := RESERVED.get(name.casefold()):
        return reason, _OTHER
    return None


def alike(names: Iterator[str]) -> dict[str, str]:
    """Return the names that differ from an earlier one in case alone, each with that one."""
    first: dict[str, str] = {}
    return {name: one for name in names if (one := first.setdefault(name.casefold(), name)) != name}
