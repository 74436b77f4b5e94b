"""Owns reading the collections' definitions; they are stated once, in `mongo-cluster/collections.json`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFINITIONS: Final = Path(__file__).resolve().parents[1] / "mongo-cluster" / "collections.json"


@dataclass(frozen=True, slots=True)
class Index:
    """An index of a collection: its keys in order, and whether it forbids repeats."""

    keys: tuple[tuple[str, int], ...]
    unique: bool

    @property
    def name(self) -> str:
        """Return the name that MongoDB gives such an index."""
        return "_".join(f"{field}_{direction}" for field, direction in self.keys)


def load_indexes() -> dict[str, tuple[Index, ...]]:
    """Return the indexes of every collection, by the collection's name."""
    collections = json.loads(DEFINITIONS.read_text(encoding="utf-8"))
    return {
        name: tuple(
            Index(tuple(index["keys"].items()), index.get("unique", False)) for index in collection["indexes"]
        )
        for name, collection in collections.items()
    }
