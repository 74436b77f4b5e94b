"""Reads the collections' definitions, which are stated once, in `mongo-cluster/collections.json`."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

DEFINITIONS: Final = Path(__file__).resolve().parents[2] / "mongo-cluster" / "collections.json"


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a collection: its keys, whether it forbids repeats, whether documents end by it.

    With `where`, it has the documents alone that have that field.
    """

    keys: tuple[tuple[str, int], ...]
    unique: bool
    expires: bool
    where: str | None

    @property
    def name(self) -> str:
        """Return the name that MongoDB gives such an index."""
        return "_".join(f"{field}_{direction}" for field, direction in self.keys)


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection: its name, the key that its documents are spread by, and its indexes."""

    name: str
    shard_key: tuple[tuple[str, str], ...]
    indexes: tuple[Index, ...]


@cache
def load_collections() -> tuple[Collection, ...]:
    """Return every collection, as defined."""
    content = json.loads(DEFINITIONS.read_text(encoding="utf-8"))
    return tuple(
        Collection(
            name,
            tuple(one["shard_key"].items()),
            tuple(
                Index(
                    tuple(index["keys"].items()),
                    index.get("unique", False),
                    index.get("expires", False),
                    index.get("where"),
                )
                for index in one["indexes"]
            ),
        )
        for name, one in content.items()
    )
