"""Brings the milestones of people to what the log says, or compares the two."""

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from operations.log_walk import Range
from operations.rebuild.connections import RebuildConnections, RebuildReport, pauses, under_way
from operations.rebuild.differences import Difference, Kind
from operations.rebuild.folding import Folded
from service_kit.milestones import Milestone, milestone_document, milestone_form


@dataclass(slots=True)
class _Differing:
    """Of one person, what is kept and should not be, and what should be and is not."""

    stray: list[Mapping[str, Any]] = field(default_factory=list)
    missing: list[Milestone] = field(default_factory=list)

    @property
    def kinds(self) -> list[Kind]:
        kinds: list[tuple[Kind, bool]] = [
            ("milestone_stray", bool(self.stray)),
            ("milestone_missing", bool(self.missing)),
        ]
        return [kind for kind, there in kinds if there]


def restore_milestones(
    sides: RebuildConnections, people: Sequence[Folded], piece: Range, done: RebuildReport
) -> None:
    """See that milestones are kept of people as the log says, and of nobody else.

    Args:
        sides: The log and the read model.
        people: What each one's events come to.
        piece: The ids that they are of.
        done: Takes what became of it.
    """
    seen = sides.model.milestones(piece.after, piece.to, strong=not sides.job.check)
    form = milestone_form(sides.job.schema)
    differing = _compare({one.person_id: one for one in people}, seen, form)
    for pause in pauses():
        if not differing:
            return
        time.sleep(pause)
        # The milestones first: what they show is in the log.
        seen = sides.model.milestones_of(differing)
        folded = sides.folded(differing)
        differing = _compare(folded, seen, form)
        if not sides.job.check:
            _repair(sides, differing, done)
            continue
        lasting = {one: its for one, its in differing.items() if not under_way(folded[one])}
        _tell(lasting, done)
        differing = {one: its for one, its in differing.items() if one not in lasting}
    _tell(differing, done)


def _compare(
    people: Mapping[str, Folded], seen: Iterable[Mapping[str, Any]], form: int
) -> dict[str, _Differing]:
    """Return by person id how milestones differ from what they should be; of whom they do not, nothing.

    What is in a newer form, or of somebody whose events cannot be folded, is left alone.
    """
    wanted = {
        (one.person_id, milestone.state.version): milestone
        for one in people.values()
        for milestone in one.milestones
    }
    differing: defaultdict[str, _Differing] = defaultdict(_Differing)
    for document in seen:
        person_id = document["person_id"]
        folded = people.get(person_id)
        if document["form"] > form or (folded is not None and folded.problem is not None):
            continue
        milestone = wanted.get((person_id, document["version"]))
        content = {name: value for name, value in document.items() if name != "_id"}
        if milestone is not None and content == milestone_document(milestone):
            del wanted[person_id, document["version"]]
        else:
            differing[person_id].stray.append(document)
    for (person_id, _), milestone in wanted.items():
        differing[person_id].missing.append(milestone)
    return differing


def _repair(sides: RebuildConnections, differing: Mapping[str, _Differing], done: RebuildReport) -> None:
    for its in differing.values():
        sides.model.replace_milestones(its.stray, its.missing)
        done.repaired.update(its.kinds)
    # Who deletes appends first and then removes: one of the two sees what the other has written.
    if deleted := sides.log.deleted_of(list(differing)):
        sides.model.forget_milestones(deleted)


def _tell(differing: Mapping[str, _Differing], done: RebuildReport) -> None:
    done.found += [Difference(kind, person_id) for person_id, its in differing.items() for kind in its.kinds]
