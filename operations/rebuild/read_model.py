"""Reads and writes the read model in MongoDB for `rebuild`: every write is guarded by what was seen there."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from pymongo import DeleteOne, ReplaceOne
from pymongo.errors import BulkWriteError

from events.person.claims import Claim
from operations.addresses import DatabaseAddress
from operations.log_reader import between, connect, read_all, refusals
from service_kit.milestones import Milestone, milestone_document
from service_kit.mongo.connection import kept_out, reading, writing

_SAMPLED: Final = 20
_BY_ID: Final = [("_id", 1)]
_BY_PERSON: Final = [("person_id", 1), ("form", 1), ("version", 1)]


class ReadModel:
    """A connection to `people`, `milestones` and `claims`.

    Every method raises `StoreUnavailable` when MongoDB is away, and `SetupError` when it refuses.

    Args:
        address: Where they are.
    """

    def __init__(self, address: DatabaseAddress) -> None:
        self._client = connect(address)
        self._near = reading(self._client, address.database, strong=False)
        self._strong = reading(self._client, address.database, strong=True)
        self._db = writing(self._client, address.database)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def people(self, after: str | None, to: str | None, *, strong: bool) -> Iterator[dict[str, Any]]:
        """Yield the documents of the people after one id, up to another, in order.

        Args:
            after: The id before the first.
            to: The last id.
            strong: Ask the primary; else a secondary, if there is one.
        """
        where = self._strong if strong else self._near
        return read_all(where["people"], {"_id": between(after, to)}, _BY_ID)

    def people_of(self, person_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return the documents that some people have on the primary, by id."""
        with refusals():
            found = self._strong["people"].find({"_id": {"$in": list(person_ids)}})
            return {document["_id"]: document for document in found}

    def holders(
        self, person_ids: Collection[str], names: Collection[str], *, strong: bool
    ) -> dict[str, dict[str, Any]]:
        """Return what some people's documents say of some fields, by id."""
        shown = {**dict.fromkeys(names, 1), "deleted": 1}
        where = self._strong if strong else self._near
        with refusals():
            found = where["people"].find({"_id": {"$in": list(person_ids)}}, shown)
            return {document["_id"]: document for document in found}

    def insert(self, documents: Sequence[dict[str, Any]]) -> set[str]:
        """Add documents of people; return the ids of those who have one by now."""
        return {documents[position]["_id"] for position in self._insert("people", documents)}

    def replace(self, seen: Mapping[str, Mapping[str, Any]], documents: Sequence[dict[str, Any]]) -> bool:
        """Replace documents by others, each if it is still as it was seen; return whether all were.

        Args:
            seen: Those that are there, by id.
            documents: What takes their place.
        """
        operations = [ReplaceOne(_as_seen(seen[document["_id"]]), document) for document in documents]
        with refusals():
            result = self._db["people"].bulk_write(operations, ordered=False)
        return bool(result.matched_count == len(operations))

    def remove(self, seen: Mapping[str, Any]) -> bool:
        """Remove a document if it is still as it was seen; return whether it was."""
        with refusals():
            return bool(self._db["people"].delete_one(_as_seen(seen)).deleted_count)

    def older_than(self, projection: int, most: int) -> list[str]:
        """Return the ids of people whose documents are in an older form, so many at most."""
        with refusals():
            older = {"projection": {"$not": {"$gte": projection}}}
            return [str(one["_id"]) for one in self._strong["people"].find(older, {"_id": 1}).limit(most)]

    def claim_borders(self, ranges: int) -> list[str]:
        """Return names that split the claims into about so many ranges of about the same size."""
        with refusals():
            pipeline = [{"$sample": {"size": ranges * _SAMPLED}}, {"$project": {"_id": 1}}]
            sample = sorted(
                one["_id"] for one in self._near["claims"].aggregate(pipeline) if isinstance(one["_id"], str)
            )
        return sorted(set(sample[_SAMPLED::_SAMPLED]))

    def claims(self, after: str | None, to: str | None, *, strong: bool) -> Iterator[dict[str, Any]]:
        """Yield the claims whose names come after one, up to another, in order; arguments as of `people`."""
        where = self._strong if strong else self._near
        return read_all(where["claims"], {"_id": between(after, to)}, _BY_ID)

    def claims_named(self, names: Collection[str], *, strong: bool) -> dict[str, dict[str, Any]]:
        """Return the claims that have these names, by name."""
        where = self._strong if strong else self._near
        with refusals():
            found = where["claims"].find({"_id": {"$in": list(names)}})
            return {document["_id"]: document for document in found}

    def claim(self, claims: Sequence[Claim]) -> int:
        """Add claims; return how many of the names nobody held."""
        documents = [
            {"_id": claim.name, "person_id": claim.person_id, "version": claim.version} for claim in claims
        ]
        return len(documents) - len(self._insert("claims", documents))

    def drop_claims(self, kind: str) -> None:
        """Remove all claims of a kind, as they call it."""
        with refusals():
            # The semicolon follows the colon that ends a kind.
            self._db["claims"].delete_many({"_id": {"$gte": f"{kind}:", "$lt": f"{kind};"}})

    def drop_claims_under(self, number: int) -> int:
        """Remove all claims under a secret, by its number; return how many there were."""
        with refusals():
            return int(self._db["claims"].delete_many({"_id": {"$regex": f"^[^:]+:{number}:"}}).deleted_count)

    def hand_over(self, seen: Mapping[str, Any], claim: Claim) -> bool:
        """Reserve a value for another person, if its claim is still as it was seen; return whether it was."""
        held_by = {"person_id": claim.person_id, "version": claim.version}
        with refusals():
            return bool(self._db["claims"].update_one(dict(seen), {"$set": held_by}).matched_count)

    def release(self, seen: Sequence[Mapping[str, Any]]) -> int:
        """Remove claims, each if it is still as it was seen; return how many were."""
        operations = [DeleteOne(dict(claim)) for claim in seen]
        with refusals():
            return int(self._db["claims"].bulk_write(operations, ordered=False).deleted_count)

    def milestones(self, after: str | None, to: str | None, *, strong: bool) -> list[dict[str, Any]]:
        """Return the milestones of the people after one id, up to another; arguments as of `people`."""
        where = self._strong if strong else self._near
        return list(read_all(where["milestones"], {"person_id": between(after, to)}, _BY_PERSON))

    def milestones_of(self, person_ids: Collection[str]) -> list[dict[str, Any]]:
        """Return the milestones that some people have on the primary."""
        wanted = {"person_id": {"$in": list(person_ids)}}
        return list(read_all(self._strong["milestones"], wanted, _BY_PERSON))

    def replace_milestones(
        self, stray: Collection[Mapping[str, Any]], missing: Collection[Milestone]
    ) -> None:
        """Remove milestones, and keep others."""
        operations: list[DeleteOne | ReplaceOne[dict[str, Any]]] = [
            DeleteOne({"person_id": one["person_id"], "_id": one["_id"]}) for one in stray
        ]
        operations += [ReplaceOne(one.key, milestone_document(one), upsert=True) for one in missing]
        with refusals():
            self._db["milestones"].bulk_write(operations)

    def forget_milestones(self, person_ids: Collection[str]) -> None:
        """Remove all milestones of people."""
        with refusals():
            self._db["milestones"].delete_many({"person_id": {"$in": list(person_ids)}})

    def _insert(self, collection: str, documents: Sequence[dict[str, Any]]) -> set[int]:
        """Insert documents; return the positions of those whose id is taken."""
        with refusals():
            try:
                self._db[collection].insert_many(documents, ordered=False)
            except BulkWriteError as exc:
                return kept_out(exc)
        return set()


def _as_seen(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filter of a document that nobody has written since: all writers set these together."""
    return {name: {"$eq": document.get(name)} for name in ("_id", "version", "hash", "projection")}
