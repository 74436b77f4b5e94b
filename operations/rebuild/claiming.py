"""Brings the reserved values of people to what the log says, or compares the two.

A value that a worker has reserved for an event which is not yet in the log is never touched (docs/adr/0004).
"""

import time
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from events.person.claims import Claim, is_later, kind_of
from events.person.schema.declarations import PersonSchema
from operations.log_walk import RANGES, Range
from operations.rebuild.connections import (
    BATCH,
    RebuildConnections,
    Rebuilding,
    RebuildReport,
    pauses,
    under_way,
)
from operations.rebuild.differences import Difference
from operations.rebuild.folding import Folded

Held = list[tuple[str, Folded]]
"""Names of values, each with the person who has it by the log."""


def restore_claims(sides: RebuildConnections, people: Sequence[Folded], done: RebuildReport) -> None:
    """See that what people hold is reserved for them. What is reserved beyond that, `ClaimWalker` finds.

    Args:
        sides: The log and the read model.
        people: What each one's events come to.
        done: Takes what became of it.
    """
    held = [(name, folded) for folded in people for name in sorted(folded.claims)]
    lacking = _lacking(sides, held, strong=not sides.job.check)
    for pause in pauses():
        if not lacking:
            return
        time.sleep(pause)
        known = sides.folded({folded.person_id for _, folded in lacking})
        held = [(name, known[folded.person_id]) for name, folded in lacking]
        lacking = _lacking(sides, [one for one in held if one[0] in one[1].claims], strong=True)
        if lacking and not sides.job.check:
            claims = [Claim(name, folded.person_id, folded.version) for name, folded in lacking]
            done.repaired["claim_missing"] += sides.model.claim(claims)
            _give_back(sides, claims)
            done.repaired["claim_taken"] += _take_back(sides, claims)
            lacking = _lacking(sides, lacking, strong=True)
        lasting = [one for one in lacking if not under_way(one[1])]
        _tell(sides, lasting, done)
        lacking = [one for one in lacking if one not in lasting]
    _tell(sides, lacking, done)


def _give_back(sides: RebuildConnections, claims: Sequence[Claim]) -> None:
    """Release what was reserved just now for people who gave it up meanwhile.

    Their worker may have released it before it was reserved; one who gives it up later finds it.
    """
    known = sides.folded({claim.person_id for claim in claims})
    given_up = [claim for claim in claims if claim.name not in known[claim.person_id].possible_claims]
    if given_up:
        sides.model.release(
            [{"_id": one.name, "person_id": one.person_id, "version": one.version} for one in given_up]
        )


def _lacking(sides: RebuildConnections, held: Held, *, strong: bool) -> Held:
    """Return those that are not reserved for whom they should be."""
    if not held:
        return []
    there = sides.model.claims_named({name for name, _ in held}, strong=strong)
    return [
        (name, folded) for name, folded in held if there.get(name, {}).get("person_id") != folded.person_id
    ]


def _take_back(sides: RebuildConnections, claims: Sequence[Claim]) -> int:
    """Give values to whom they belong that are reserved for people who do not have them; return how many."""
    # The claim first: one that is older than the log it is held against is no worker's any more.
    there = sides.model.claims_named({claim.name for claim in claims}, strong=True)
    known = sides.folded(_people(list(there.values())))
    return sum(
        sides.model.hand_over(there[claim.name], claim)
        for claim in claims
        if claim.name in there and _is_stray(there[claim.name], known[there[claim.name]["person_id"]])
    )


def free_claims(sides: RebuildConnections, document: Mapping[str, Any], done: RebuildReport) -> None:
    """Release what is reserved for a person who is gone from log and read model.

    Args:
        sides: The log and the read model.
        document: What the read model had of the person.
        done: Takes what became of it.
    """
    schema = sides.job.schema
    names = sides.job.claims.possible(_fields(document, schema))
    there = sides.model.claims_named(names, strong=True) if names else {}
    held = [claim for claim in there.values() if claim["person_id"] == document["_id"]]
    done.repaired["claim_stray"] += sides.model.release(held) if held else 0


def _fields(document: Mapping[str, Any], schema: PersonSchema) -> dict[str, Any]:
    """Return the fields with unique values in a document of the read model; a deleted person has none."""
    if "deleted" in document:
        return {}
    return {name: document.get(name) for names in schema.unique.values() for name in names}


def _tell(sides: RebuildConnections, lacking: Held, done: RebuildReport) -> None:
    there = sides.model.claims_named({name for name, _ in lacking}, strong=True) if lacking else {}
    for name, folded in lacking:
        value = (_kind(name, sides.job.schema),)
        if name in there:
            reason = f"it is person {there[name].get('person_id')}"
            done.found.append(Difference("claim_taken", folded.person_id, value, reason))
        else:
            done.found.append(Difference("claim_missing", folded.person_id, value))


class ClaimWalker:
    """One process's connections, and what it does with a range of claims.

    Args:
        job: What is rebuilt, and how.
    """

    def __init__(self, job: Rebuilding) -> None:
        self._sides = RebuildConnections(job)

    def borders(self) -> list[str]:
        """Return the names that split the claims into ranges."""
        return self._sides.model.claim_borders(RANGES)

    def close(self) -> None:
        """Close the connections."""
        self._sides.close()

    def walk(self, piece: Range) -> RebuildReport:
        """Release what is reserved for people who do not have it, or find it.

        So goes what is of a kind that was given up: nobody has it.
        """
        done = RebuildReport()
        claims = self._sides.model.claims(piece.after, piece.to, strong=not self._sides.job.check)
        while batch := list(islice(claims, BATCH)):
            done.claims += len(batch)
            self._judge([claim for claim in batch if self._counts(claim)], done)
        return done

    def _counts(self, claim: Mapping[str, Any]) -> bool:
        """Return whether a claim is to be judged: not one of a kind that this schema does not know yet.

        Nor one of a secret that was made after this run began: that is a worker's or a roll-over's.
        """
        job = self._sides.job
        return not is_later(claim["_id"], job.schema) and not job.claims.is_of_newer_secret(claim["_id"])

    def _judge(self, claims: Sequence[Mapping[str, Any]], done: RebuildReport) -> None:
        sides = self._sides
        names = {name for names in sides.job.schema.unique.values() for name in names}
        holders = sides.model.holders(_people(claims), names, strong=not sides.job.check)
        suspects = [claim for claim in claims if not self._is_held(claim, holders.get(claim["person_id"]))]
        for pause in pauses():
            if not suspects:
                return
            time.sleep(pause)
            # The claim first: one that is older than the log it is held against is no worker's any more.
            there = sides.model.claims_named({claim["_id"] for claim in suspects}, strong=True)
            known = sides.folded(_people(list(there.values())))
            strays = [claim for claim in there.values() if _is_stray(claim, known[claim["person_id"]])]
            if not sides.job.check:
                done.repaired["claim_stray"] += sides.model.release(strays) if strays else 0
                return
            lasting = [claim for claim in strays if not under_way(known[claim["person_id"]])]
            done.found += [_stray(claim, sides.job.schema) for claim in lasting]
            suspects = [claim for claim in strays if claim not in lasting]
        done.found += [_stray(claim, sides.job.schema) for claim in suspects]

    def _is_held(self, claim: Mapping[str, Any], holder: Mapping[str, Any] | None) -> bool:
        schema = self._sides.job.schema
        fields = _fields(holder, schema) if holder else {}
        return claim["_id"] in self._sides.job.claims.possible(fields)


def _people(claims: Sequence[Mapping[str, Any]]) -> set[str]:
    return {claim["person_id"] for claim in claims}


def _is_stray(claim: Mapping[str, Any], folded: Folded) -> bool:
    """Return whether a value is reserved for a person who does not have it, nor is about to.

    A claim of a version that the log has not yet is that of an event which a worker is about to append.
    """
    return (
        folded.problem is None
        and claim["_id"] not in folded.possible_claims
        and claim["version"] <= folded.version
    )


def _stray(claim: Mapping[str, Any], schema: PersonSchema) -> Difference:
    return Difference("claim_stray", claim["person_id"], (_kind(claim["_id"], schema),))


def _kind(claim: str, schema: PersonSchema) -> str:
    return kind_of(claim, schema) or claim.partition(":")[0]
