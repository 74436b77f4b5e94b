"""A person's document as large as ours, with the same keys, each made in the cheapest way."""

import unicodedata
from datetime import datetime
from functools import lru_cache
from typing import Any

from service_kit.read_model import PROJECTION

_ABSENT = dict.fromkeys(("middle_name", "address", "occupation", "image_url", "thumbnail_url", "image_id"))


def document_of(
    person_id: str, version: int, data: dict[str, Any], hash_: str, times: tuple[datetime, datetime]
) -> dict[str, Any]:
    """Return what the read model keeps of a person.

    Args:
        person_id: The id.
        version: The version.
        data: The fields, in their stored form.
        hash_: Of the newest event.
        times: Of the first event and of the newest, UTC.
    """
    created_at, updated_at = map(written, times)
    return {
        "_id": person_id,
        "version": version,
        **_ABSENT,
        **data,
        "created_at": created_at,
        "updated_at": updated_at,
        "hash": hash_,
        "projection": PROJECTION,
        "keys": _keys(data),
    }


def written(time: datetime) -> str:
    """Return a time as the read model keeps it."""
    return time.isoformat(timespec="milliseconds")[:23] + "Z"


@lru_cache(maxsize=8192)
def folded(text: str) -> str:
    """Return a text of the load generator's as it is compared: it has accents and apostrophes, no more."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return letters.replace("'", "").lower()


@lru_cache(maxsize=8192)
def _words(name: str) -> list[str]:
    """Return what a name is found by: each word, and what of it comes after an apostrophe."""
    return [folded(word) for one in name.split() for word in (one, *one.split("'")[1:])]


def _keys(data: dict[str, Any]) -> dict[str, Any]:
    first, last = folded(data["first_name"]), folded(data["last_name"])
    names = (data["first_name"], data.get("middle_name") or "", data["last_name"])
    own = {"first_name": f"{first}\0{data['first_name']}", "last_name": f"{last}\0{data['last_name']}"}
    keys = {
        "first_name": f"{own['first_name']}\0{own['last_name']}",
        "last_name": f"{own['last_name']}\0{own['first_name']}",
        "own": own,
        "words": list(dict.fromkeys(word for name in names for word in _words(name))),
    }
    if occupation := data.get("occupation"):
        keys["occupation"] = folded(occupation)
    return keys
