"""Brings a range of people in the read model to what the log says, or compares the two."""

import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from operations.log_walk import RANGES, Range
from operations.rebuild.claiming import free_claims, restore_claims
from operations.rebuild.connections import (
    BATCH,
    RebuildConnections,
    Rebuilding,
    RebuildReport,
    pauses,
    under_way,
)
from operations.rebuild.differences import LEFT_ALONE, difference
from operations.rebuild.folding import Folded, folds
from operations.rebuild.milestones import restore_milestones

Pair = tuple[Folded, dict[str, Any] | None]


class PeopleWalker:
    """One process's connections, and what it does with a range of people.

    Args:
        job: What is rebuilt, and how.
    """

    def __init__(self, job: Rebuilding) -> None:
        self._sides = RebuildConnections(job)
        self._check = job.check
        self._drops = job.drop_orphans
        self._stays = LEFT_ALONE - {"orphan"} if self._drops else LEFT_ALONE
        self._model = self._sides.model

    def borders(self) -> list[str]:
        """Return the ids that split the people into ranges."""
        return self._sides.log.borders(RANGES)

    def close(self) -> None:
        """Close the connections."""
        self._sides.close()

    def walk(self, piece: Range) -> RebuildReport:
        """Repair a range, or compare it.

        What is to be written is read from the primary: a secondary that is behind would have an older
        person inserted. What is only compared is read near, and asked of the primary where it differs.
        """
        done = RebuildReport()
        strong = not self._check
        documents = self._sides.log.documents(piece.after, piece.to, strong=strong)
        job = self._sides.job
        known = folds(documents, job.schema, job.claims, prove=job.prove)
        seen = self._model.people(piece.after, piece.to, strong=strong)
        after = piece.after
        for batch in _batches(beside(known, seen)):
            for folded, _ in batch:
                done.people += folded.events > 0
                done.events += folded.events
            differing = [pair for pair in batch if difference(*pair)]
            if differing and not self._check:
                differing = self._repair(differing, done)
            self._repair_until_same([folded.person_id for folded, _ in differing], done)
            people = [folded for folded, _ in batch]
            restore_claims(self._sides, people, done)
            restore_milestones(self._sides, people, Range(piece.number, after, people[-1].person_id), done)
            after = people[-1].person_id
        restore_milestones(self._sides, [], Range(piece.number, after, piece.to), done)
        return done

    def _repair(self, pairs: Sequence[Pair], done: RebuildReport) -> list[Pair]:
        """Write what is missing or other than it should be; return what must be looked at again."""
        missing: list[Pair] = []
        other: list[Pair] = []
        again: list[Pair] = []
        for pair in pairs:
            kind = _kind(pair)
            if kind == "missing":
                missing.append(pair)
            elif kind in LEFT_ALONE:
                again.append(pair)
            else:
                other.append(pair)
        if missing:
            there = self._model.insert([_document(folded) for folded, _ in missing])
            again += [pair for pair in missing if pair[0].person_id in there]
            done.repaired["missing"] += len(missing) - len(there)
        if other:
            seen = {folded.person_id: document for folded, document in other if document is not None}
            if self._model.replace(seen, [_document(folded) for folded, _ in other]):
                done.repaired.update(_kind(pair) for pair in other)
            else:
                again += other
        return again

    def _repair_until_same(self, person_ids: Sequence[str], done: RebuildReport) -> None:
        """Compare people on the primary, and repair them, until nothing is left that can be repaired."""
        left: list[Pair] = []
        for pause in pauses():
            if not person_ids:
                return
            time.sleep(pause)
            # The document first: what it shows is in the log, so a log that lacks it has lost it.
            seen = self._model.people_of(person_ids)
            known = self._sides.folded(person_ids)
            left = [
                (known[one], seen.get(one)) for one in person_ids if difference(known[one], seen.get(one))
            ]
            if not self._check:
                left = self._repair(left, done)
            if self._drops:
                left = self._remove_orphans(left, done)
            person_ids = []
            for folded, document in left:
                found = difference(folded, document)
                if found and (found.kind in self._stays or (self._check and not under_way(folded))):
                    done.found.append(found)
                else:
                    person_ids.append(folded.person_id)
        remain = set(person_ids)
        done.found += [found for pair in left if pair[0].person_id in remain and (found := difference(*pair))]

    def _remove_orphans(self, pairs: Sequence[Pair], done: RebuildReport) -> list[Pair]:
        """Remove those of whom also the primary's log knows nothing, with their claims; return the others."""
        left = []
        for folded, document in pairs:
            orphan = _kind((folded, document)) == "orphan"
            if orphan and document is not None and self._model.remove(document):
                free_claims(self._sides, document, done)
                done.repaired["orphan"] += 1
            else:
                left.append((folded, document))
        return left


def beside(known: Iterable[Folded], seen: Iterable[dict[str, Any]]) -> Iterator[Pair]:
    """Yield each person of either side, with what the other side has; both are in order of id."""
    documents = iter(seen)
    document = next(documents, None)
    for folded in known:
        while document is not None and document["_id"] < folded.person_id:
            yield Folded(document["_id"]), document
            document = next(documents, None)
        if document is not None and document["_id"] == folded.person_id:
            yield folded, document
            document = next(documents, None)
        else:
            yield folded, None
    while document is not None:
        yield Folded(document["_id"]), document
        document = next(documents, None)


def _batches(pairs: Iterable[Pair]) -> Iterator[list[Pair]]:
    batch: list[Pair] = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _kind(pair: Pair) -> str:
    found = difference(*pair)
    return found.kind if found else ""


def _document(folded: Folded) -> dict[str, Any]:
    if folded.document is None:
        raise ValueError(f"{folded.person_id} has no document")
    return folded.document
