"""The verb that rebuilds the read model from the log in place, or compares the two.

Exit status 0: both are equal now; 1: something differs and is left alone; 2: they could not be read.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from contextlib import closing
from typing import Final

from events.errors import StoreUnavailable
from operations.addresses import claim_names, database_address, person_schema, state_folder
from operations.errors import SetupError
from operations.keys.verb import known_keks
from operations.log_opening import Opening
from operations.log_walk import walk_ranges
from operations.progress_bar import ProgressBar
from operations.proof.proof import add_jobs, end_politely
from operations.rebuild.claiming import ClaimWalker
from operations.rebuild.connections import Rebuilding, RebuildReport
from operations.rebuild.differences import TEXTS, Difference
from operations.rebuild.read_model import ReadModel
from operations.rebuild.rebuilding import PeopleWalker
from operations.rebuild.resume import ResumeFile, what
from operations.terminal import print_progress, print_result
from service_kit.read_model import projection_of

FINE, FOUND, CANNOT = 0, 1, 2
_SHOWN: Final = 20


def add_rebuild(parser: argparse.ArgumentParser) -> None:
    """Options of `rebuild`."""
    what_else = parser.add_mutually_exclusive_group()
    what_else.add_argument("--check", action="store_true", help="write nothing; print each difference")
    what_else.add_argument(
        "--drop-orphans",
        action="store_true",
        help="remove people of whom the log knows nothing, which is the last copy of them",
    )
    parser.add_argument(
        "--prove",
        action="store_true",
        help="prove every sealed value against its event's hash, too; else its seal is trusted",
    )
    parser.add_argument("--json", action="store_true", help="differences as JSON, one a line")
    parser.add_argument(
        "--afresh", action="store_true", help="do not go on where a rebuild that was ended had come to"
    )
    add_jobs(parser)


def rebuild(options: argparse.Namespace) -> int:
    """Bring every person's document and reserved values to what the log says."""
    end_politely()
    try:
        return _rebuild(options)
    except (SetupError, StoreUnavailable) as exc:
        print_progress(str(exc))
        return CANNOT


def _rebuild(options: argparse.Namespace) -> int:
    address = database_address()
    opening = Opening(address.database, known_keks())
    schema = person_schema()
    claims = claim_names(schema)
    job = Rebuilding(address, schema, opening, claims, options.check, options.drop_orphans, options.prove)
    run = _Run(job, options)
    began = time.monotonic()
    run.people()
    run.claims()
    run.outdated()
    seconds = max(time.monotonic() - began, 0.001)
    total = run.total
    print_progress(
        f"{total.events:,} events of {total.people:,} people and {total.claims:,} claims in {seconds:.1f} s "
        f"({total.events / seconds:,.0f} events/s): {described(total.repaired, run.found, check=job.check)}."
    )
    return FOUND if run.found else FINE


class _Run:
    """One run of the verb: its walks, one after the other.

    Attributes:
        total: What they came to.
        found: How many differences of each kind there still are.
    """

    def __init__(self, job: Rebuilding, options: argparse.Namespace) -> None:
        self._job, self._options = job, options
        self._left: set[str] = set()
        self.total = RebuildReport()
        self.found: Counter[str] = Counter()

    def people(self) -> None:
        """Walk all people; a rebuild notes what is done."""
        job = self._job
        file = ResumeFile(state_folder(), what(job.address, job.schema))
        progress = file.load(afresh=self._options.afresh or job.check)
        if progress.done:
            ranges = len(progress.borders) + 1
            left = ranges - len(progress.done)
            print_progress(f"Going on with a rebuild that was ended: {left} of {ranges} ranges are left.")
        walk = walk_ranges(lambda: PeopleWalker(job), self._options.jobs, progress.plan)
        with ProgressBar("events") as bar:
            for part, piece, done in walk:
                self._take(done, bar)
                if not job.check and not done.found:
                    progress.done.append(piece.number)
                    file.save(progress)
                bar.show(part, self.total.events)
        if not job.check:
            file.forget()

    def claims(self) -> None:
        """Walk all claims."""
        job = self._job
        with ProgressBar("claims") as bar:
            for part, _, done in walk_ranges(lambda: ClaimWalker(job), self._options.jobs):
                self._take(done, bar)
                bar.show(part, self.total.claims)

    def outdated(self) -> None:
        """See, after a rebuild, that no document keeps a query API unready which needs this projection."""
        if self._job.check:
            return
        with closing(ReadModel(self._job.address)) as model:
            older = model.older_than(projection_of(self._job.schema), len(self._left) + _SHOWN)
        for person_id in set(older) - self._left:
            self._tell(Difference("outdated", person_id))

    def _take(self, done: RebuildReport, bar: ProgressBar) -> None:
        self.total.add(done)
        if done.found:
            bar.clear()
        for one in done.found:
            self._tell(one)

    def _tell(self, found: Difference) -> None:
        self.found[found.kind] += 1
        if not self._job.check:
            self._left.add(found.person_id)
        print_result(json.dumps(found.as_json()) if self._options.json else found.sentence)


def described(repaired: Counter[str], found: Counter[str], *, check: bool) -> str:
    """Return what a run came to, as the end of a sentence.

    Args:
        repaired: How many differences of each kind are gone.
        found: How many are still there.
        check: Whether nothing was to be written.
    """
    words = []
    if repaired.total():
        words.append(f"put right {_counts(repaired)}")
    if found:
        words.append(f"found {_counts(found)}" if check else f"left alone {_counts(found)}")
    return "; ".join(words) or "the read model is what the log says"


def _counts(kinds: Counter[str]) -> str:
    return ", ".join(f"{kinds[kind]:,} {kind.replace('_', ' ')}" for kind in TEXTS if kinds[kind])
