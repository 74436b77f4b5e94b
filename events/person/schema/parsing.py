"""Parses the JSON of a file, and says why it cannot be."""

import json
from collections.abc import Mapping

from events.person.schema.errors import Fault, WrongFile
from events.person.schema.objects import shown


def parse_document(text: str | bytes) -> object:
    """Return the content of a file; no object in it says anything twice.

    Args:
        text: JSON; of bytes, UTF-8.

    Raises:
        WrongFile: It is no JSON.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as exc:
        what = f"is no JSON in line {exc.lineno}, column {exc.colno}"
        raise WrongFile([Fault("the file", what, exc.msg)]) from exc
    except RecursionError as exc:
        raise WrongFile([Fault("the file", "is nested too deeply", "write as the reference shows")]) from exc
    except UnicodeDecodeError as exc:
        raise WrongFile([Fault("the file", "is not UTF-8", "save it as UTF-8")]) from exc
    except _GivenTwice as exc:
        raise WrongFile([Fault("the file", f"has {exc} twice in one object", "leave one of them")]) from exc
    except ValueError as exc:
        raise WrongFile([Fault("the file", "has a number that is too long", "write a shorter one")]) from exc


class _GivenTwice(ValueError):
    pass


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    content = dict(members)
    if len(content) != len(members):
        names = [name for name, _ in members]
        raise _GivenTwice(shown(next(name for name in names if names.count(name) > 1)))
    return content


def require_object(document: object) -> Mapping[str, object]:
    """Return the content of a file, which is an object.

    Raises:
        WrongFile: It is something else.
    """
    if not isinstance(document, Mapping):
        raise WrongFile([Fault("the file", f"is {shown(document)}", "write an object")])
    return document
