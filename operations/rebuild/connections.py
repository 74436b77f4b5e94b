"""The two sides of a rebuild, log and read model, as one process sees them, and its result."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from events.person.claims import ClaimNames
from events.person.schema.declarations import PersonSchema
from operations.addresses import DatabaseAddress
from operations.log_opening import Opening
from operations.log_reader import LogReader
from operations.rebuild.differences import Difference
from operations.rebuild.folding import Folded, folds
from operations.rebuild.read_model import ReadModel

BATCH: Final = 1_000
_ROUNDS: Final = 6
_PAUSE_S: Final = 0.1
"""Before a second look, and twice as long before each one after it: three seconds in all."""
_UNDER_WAY: Final = timedelta(minutes=1)
"""An event so young may just be on its way into the read model."""


@dataclass(frozen=True)
class Rebuilding:
    """What is rebuilt, and how.

    Attributes:
        address: The log and the read model.
        schema: What a person is.
        opening: Opens sealed values.
        claims: Names the claims.
        check: Write nothing, only compare.
        drop_orphans: Remove people of whom the log knows nothing; they are the last copy.
        prove: Prove every sealed value, too.
    """

    address: DatabaseAddress
    schema: PersonSchema
    opening: Opening
    claims: ClaimNames
    check: bool
    drop_orphans: bool = False
    prove: bool = False


@dataclass
class RebuildReport:
    """What a range came to.

    Attributes:
        people: How many have events.
        events: How many events they have.
        claims: How many reserved values were looked at.
        repaired: How many differences of each kind are gone.
        found: Those that are still there.
    """

    people: int = 0
    events: int = 0
    claims: int = 0
    repaired: Counter[str] = field(default_factory=Counter)
    found: list[Difference] = field(default_factory=list)

    def add(self, other: "RebuildReport") -> None:
        """Count what another range came to, too; what it found is not kept."""
        self.people += other.people
        self.events += other.events
        self.claims += other.claims
        self.repaired += other.repaired


class RebuildConnections:
    """Connections to both sides.

    Args:
        job: What is rebuilt, and how.
    """

    def __init__(self, job: Rebuilding) -> None:
        self.job = job
        self.log = LogReader(job.address, job.opening)
        self.model = ReadModel(job.address)

    def close(self) -> None:
        """Close the connections."""
        self.log.close()
        self.model.close()

    def folded(self, person_ids: Collection[str]) -> dict[str, Folded]:
        """Return what some people's events come to, by id, as the primary has them."""
        documents = self.log.documents_of(list(person_ids))
        found = {
            one.person_id: one
            for one in folds(documents, self.job.schema, self.job.claims, prove=self.job.prove)
        }
        return {one: found.get(one) or Folded(one) for one in person_ids}


def under_way(folded: Folded) -> bool:
    """Return whether a person's last event is so young that its effects may be under way."""
    return folded.applied_at is not None and datetime.now(UTC) - folded.applied_at < _UNDER_WAY


def pauses() -> Iterator[float]:
    """Yield the seconds to wait before each look at what differs."""
    yield 0.0
    for number in range(_ROUNDS - 1):
        yield _PAUSE_S * 2.0**number
