"""Walks chains of events for verification: the work on one range of people."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from operations.addresses import DatabaseAddress
from operations.log_opening import Opening
from operations.log_reader import LogReader
from operations.log_walk import RANGES, Range
from verifier import Finding, KnownHeads, Verdict, head_line, walk


@dataclass(frozen=True)
class Job:
    """What is walked, and against what.

    Attributes:
        address: The log.
        known: File of the heads that checkpoints recorded (`KnownHeads`), if any.
        heads: Folder where each range leaves its heads as lines, if they are wanted.
        opening: Proves sealed values, if that is asked for.
    """

    address: DatabaseAddress
    known: Path | None = None
    heads: Path | None = None
    opening: Opening | None = None


@dataclass(frozen=True)
class RangeReport:
    """What a range came to.

    Attributes:
        people: How many have events.
        events: How many events they have.
        findings: The first bad version of each bad stream.
        proved: How many sealed values were opened and proved.
        erased: How many are those of erased people, so that nobody opens them.
    """

    people: int
    events: int
    findings: tuple[Finding, ...]
    proved: int = 0
    erased: int = 0


def heads_file(folder: Path, number: int) -> Path:
    """Return where a range leaves its heads."""
    return folder / f"{number:06}.heads"


class ChainWalker:
    """One process's connection to the log and to the known heads."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._reader = LogReader(job.address, job.opening)
        self._known = KnownHeads(job.known) if job.known else None

    def borders(self) -> list[str]:
        """Return the ids that split the streams into ranges."""
        return self._reader.borders(RANGES, accounts=True)

    def walk(self, piece: Range) -> RangeReport:
        """Walk a range."""
        people = events = proved = erased = 0
        findings: list[Finding] = list(self._reader.strays()) if piece.after is None else []
        recorded = self._known.recorded(piece.after, piece.to) if self._known else ()
        with ExitStack() as stack:
            heads = None
            if self._job.heads:
                heads = stack.enter_context(heads_file(self._job.heads, piece.number).open("wb"))
            for verdict in walk(self._reader.links(piece.after, piece.to), recorded):
                if verdict.finding:
                    verdict = self._again(verdict)
                people += verdict.events > 0
                events += verdict.events
                proved += verdict.proved
                erased += verdict.withheld
                if verdict.finding:
                    findings.append(verdict.finding)
                elif heads and verdict.head:
                    heads.write(head_line(verdict.head) + b"\n")
        return RangeReport(people, events, tuple(findings), proved, erased)

    def _again(self, verdict: Verdict) -> Verdict:
        """Ask the primary: a secondary may be behind the checkpoint, and a range may move between shards."""
        person_id = verdict.person_id
        recorded = self._known.of(person_id) if self._known else ()
        nothing = Verdict(person_id, 0, None, None)
        return next(walk(self._reader.links_of(person_id), recorded), nothing)

    def close(self) -> None:
        """Close both connections."""
        self._reader.close()
        if self._known:
            self._known.close()
