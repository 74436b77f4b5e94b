"""Looks whether the unique indexes are there on which a service rests, before it writes anything."""

from collections.abc import Collection

from events.errors import StoreUnavailable
from service_kit.mongo.collections import load_collections
from service_kit.mongo.connection import Database, store_errors


async def check_unique_indexes(database: Database, names: Collection[str]) -> None:
    """Return if some collections have the unique indexes that they should.

    Args:
        database: Of either driver.
        names: The collections'.

    Raises:
        StoreUnavailable: They do not, or MongoDB is away.
    """
    with store_errors():
        for collection in load_collections():
            wanted = {index.name for index in collection.indexes if index.unique}
            if collection.name not in names or not wanted:
                continue
            if not wanted <= set(await database[collection.name].index_information()):
                raise StoreUnavailable(
                    f"MongoDB: {collection.name} lacks its unique indexes: run mongo-cluster/initialise.py"
                )
