"""Decimal numbers as text: exact, however long, where a number of JSON is not. Pure."""

import re
from typing import Final

from pydantic_core import PydanticCustomError

MAX_DIGITS: Final = 34
"""Before the point, and after it: as many as IEEE 754's decimal128 has in all."""
_WRITTEN: Final = re.compile(r"([+-]?)([0-9]+)(?:\.([0-9]+))?", re.ASCII)
_DIGITS: Final = str.maketrans("0123456789", "9876543210")
_ZERO: Final = "1"


def decimal(text: str) -> str:
    """Return a decimal number in its one form: no plus, no surplus zeros; `-0` is `0`.

    Args:
        text: Digits, perhaps with a sign, and with a point before a fraction: `+1250.50`.

    Raises:
        ValueError: It is no such number, or has more than 34 digits before the point or after it.
    """
    match = _WRITTEN.fullmatch(text.strip())
    if match is None:
        raise PydanticCustomError(
            "no_decimal", "must be a decimal number, such as 1250.5: a point, no commas"
        )
    sign, whole, fraction = match[1], match[2].lstrip("0"), (match[3] or "").rstrip("0")
    if max(len(whole), len(fraction)) > MAX_DIGITS:
        raise PydanticCustomError(
            "too_many_digits",
            "must not have more than {most} digits before or after the point",
            {"most": MAX_DIGITS},
        )
    number = f"{whole or '0'}.{fraction}" if fraction else whole or "0"
    return f"-{number}" if sign == "-" and number != "0" else number


def decimal_key(number: str) -> str:
    """Return text that sorts as decimal numbers do.

    Args:
        number: In its one form.
    """
    if number == "0":
        return _ZERO
    digits = number.removeprefix("-")
    whole, _, fraction = digits.partition(".")
    if whole != "0":
        size, mantissa = len(whole), (whole + fraction).rstrip("0")
    else:
        mantissa = fraction.lstrip("0")
        size = len(mantissa) - len(fraction)
    key = f"{size + 100:03d}{mantissa}"
    # Of numbers below zero the larger ones come first, and the longer of two that begin alike.
    return f"0{key.translate(_DIGITS)}~" if number.startswith("-") else f"2{key}"
