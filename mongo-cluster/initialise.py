"""Brings a MongoDB deployment to what `collections.json` says; run twice, it changes nothing.

Usage: ROLLCALL_MONGO_URI=mongodb://… python mongo-cluster/initialise.py
"""

import os
import sys

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from service_kit.schema import load_indexes

WAIT_MS = 20_000


def initialise(uri: str, database: str) -> list[str]:
    """Create the collections and indexes that are missing.

    Args:
        uri: MongoDB connection string.
        database: Name of the database.

    Returns:
        A line for each change; none if all was there.

    Raises:
        PyMongoError: The deployment cannot be reached within 20 s, or refuses.
    """
    changes = []
    with MongoClient[dict[str, object]](uri, serverSelectionTimeoutMS=WAIT_MS) as client:
        db = client[database]
        present = set(db.list_collection_names())
        for name, indexes in load_indexes().items():
            if name not in present:
                db.create_collection(name)
                changes.append(f"created collection {name}")
            there = set(db[name].index_information())
            for index in indexes:
                if index.name not in there:
                    db[name].create_index(list(index.keys), unique=index.unique)
                    changes.append(f"created index {index.name} on {name}")
    return changes


def main() -> None:
    """Initialise the deployment that the environment names, and say what changed."""
    uri = os.environ.get("ROLLCALL_MONGO_URI")
    if not uri:
        sys.exit("set ROLLCALL_MONGO_URI to the deployment's connection string")
    try:
        changes = initialise(uri, os.environ.get("ROLLCALL_MONGO_DB", "rollcall"))
    except PyMongoError as exc:
        sys.exit(f"could not initialise MongoDB: {exc}")
    print("\n".join(changes) or "nothing changed")


if __name__ == "__main__":
    main()
