"""The bytes that are hashed and signed: canonical JSON, and JSON that is read without tolerance."""

import json
from typing import Any, Final

_ENCODE: Final = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode


class Unreadable(ValueError):
    """Bytes that are not what they should be; the text says in what way."""


class OlderLog(Unreadable):
    """A log of schema 1: another program is for it."""


def canonical(content: object) -> bytes:
    """Return JSON with sorted keys and no white space, in UTF-8.

    For texts, whole numbers, truth values, nulls, and lists and objects of these this is RFC 8785 (JCS).

    Raises:
        Unreadable: A text holds half a surrogate pair, which has no UTF-8 form.
    """
    try:
        return _ENCODE(content).encode()
    except (UnicodeEncodeError, RecursionError) as exc:
        raise Unreadable(f"it has no UTF-8 form ({type(exc).__name__})") from None


def read_object(text: bytes) -> dict[str, Any]:
    """Return the JSON object in `text`; white space and the order of its keys do not matter.

    Raises:
        Unreadable: It is no JSON object in UTF-8, one key is there twice, or a number is not whole.
    """
    content = parse(text)
    return content if len(canonical(content)) == len(text) else parse_unique(text)


def parse(text: bytes) -> dict[str, Any]:
    """Return the JSON object in `text`, but see whether a key is there twice only by its length.

    No text is shorter than the canonical one of what it holds, and one with a key that is there twice is
    longer. So of text as long as its canonical form nothing is hidden; any other goes to `parse_unique`.

    Raises:
        Unreadable: It is no JSON object in UTF-8, or a number is not whole.
    """
    return _parse(text)


def parse_unique(text: bytes) -> dict[str, Any]:
    """Return the JSON object in `text`: slower.

    Raises:
        Unreadable: It is no JSON object in UTF-8, one key is there twice, or a number is not whole.
    """
    return _parse(text, object_pairs_hook=_unique)


def _parse(text: bytes, **options: Any) -> dict[str, Any]:
    try:
        content = json.loads(text.decode(), parse_constant=_refuse, parse_float=_refuse, **options)
    except Unreadable:
        raise
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except ValueError:
        raise Unreadable("it is not JSON") from None
    if not isinstance(content, dict):
        raise Unreadable("it is no JSON object")
    return content


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise Unreadable("it has a key twice")
    return content


def _refuse(_: str) -> None:
    raise Unreadable("it holds a number that is not whole")
