"""Draws the faults of a run from its seed: the same seed, the same faults, in the same order. Pure."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass

WEIGHTS = {
    "kill": 8,
    "stall": 6,
    "lag": 3,
    "set": 2,
    "brokers": 2,
    "everything": 1,
    "crashloop": 2,
    "power": 2,
    "full": 2,
    "stream": 1,
    "brim": 2,
}
"""Every kind of fault, and how often it comes."""
FATAL = frozenset({"brim"})
"""Kinds that come only when they are asked for by name. A disk that is full to the last byte from one moment
to the next, while commands flow, leaves RabbitMQ 3.10 no time for its alarm: a node that has been restarted
before loses confirmed messages (`corrupt_log`, `gap_between_snapshot_and_first_index`)."""
NEED_ROOT = frozenset({"power", "full", "brim"})
ALONE = frozenset(WEIGHTS) - {"kill", "stall", "lag"}
"""Kinds that begin when every other fault is over, and end before the next begins."""
_ROLES = ("worker", "command", "query", "mongod", "primary", "broker", "router")


@dataclass(frozen=True)
class Step:
    """One fault.

    Attributes:
        number: Its place in the plan.
        kind: One of `WEIGHTS`.
        role: Whom a kill or a stall meets; or whose disk runs full.
        pick: Chooses one of several, modulo how many there are.
        seconds: How long it lasts.
        count: How often a crash loop kills.
        away: Whether MongoDB is away during a crash loop.
        gap: Seconds until the next fault, from the end of this one; from its beginning if `overlaps`.
        overlaps: Whether the next one may begin before this one is over.
    """

    number: int
    kind: str
    role: str
    pick: int
    seconds: float
    count: int
    away: bool
    gap: float
    overlaps: bool

    @property
    def words(self) -> str:
        """Tell it in a line of the log."""
        if self.kind in ("kill", "full", "brim"):
            return f"{self.kind} {self.role}"
        if self.kind == "crashloop":
            return f"crashloop of {self.count} kills" + (", MongoDB away" if self.away else "")
        if self.kind == "stall":
            return f"stall {self.role} {self.seconds:.1f} s"
        return self.kind


def plan(seed: str, kinds: Collection[str], *, routed: bool) -> Iterator[Step]:
    """Yield faults without end.

    Args:
        seed: What all of them follow from.
        kinds: Only these.
        routed: Whether there is a router to be met.
    """
    dice = random.Random(seed)
    names = [name for name in WEIGHTS if name in kinds]
    roles = _ROLES if routed else _ROLES[:-1]
    number = 0
    while True:
        number += 1
        (kind,) = dice.choices(names, [WEIGHTS[name] for name in names])
        role = dice.choice(("mongo", "rabbit") if kind in ("full", "brim") else roles)
        longest = 45.0 if kind == "stall" else 25.0
        # Short ones are more common, as they are in life; both ends are met.
        seconds = 1.0 + (longest - 1.0) * dice.random() ** 1.7
        pick, count = dice.randrange(2**16), dice.randint(20, 60)
        away, overlaps = dice.random() < 0.5, kind not in ALONE and dice.random() < 0.3
        gap = dice.uniform(1.0, 8.0) if kind not in ALONE else dice.uniform(5.0, 25.0)
        yield Step(number, kind, role, pick, seconds, count, away, gap, overlaps)
