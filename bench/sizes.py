"""How much is measured: enough to trust, or little to try the benchmarks out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """How much of everything.

    Attributes:
        pairs: How often ours and the floor run in turns.
        apply_pairs: The same for `apply`, whose runs take longer.
        seconds: How long each run of requests counts.
        commands: How many creates, and then updates, each run of `apply` applies.
        people: How many are in the collection that is read.
        deep_page: Which page is compared with the first one.
        growth: Into how many people the same is read.
        audited: How many people are in the log that is exported, each with two events.
        imported: How many rows are imported, and people exported.
        log: How many events are in the log that is verified.
        rebuilt: How many events are in the log that the read model is rebuilt from.
        rebuild_pairs: How often that is done.
        visible_seconds: How long commands are sent at a constant rate.
        versions: How many the person has whose history is abused.
        beside_seconds: How long a neighbour lives beside each abuse.
        beside: The abuses; all, if empty.
    """

    pairs: int = 5
    apply_pairs: int = 3
    seconds: float = 3.0
    commands: int = 15_000
    people: int = 100_000
    deep_page: int = 1_000
    growth: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    audited: int = 200_000
    imported: int = 1_000_000
    log: int = 200_000
    rebuilt: int = 1_000_000
    rebuild_pairs: int = 3
    visible_seconds: float = 25.0
    versions: int = 100_000
    beside_seconds: float = 20.0
    beside: tuple[str, ...] = ()


FULL = Sizes()
QUICK = Sizes(
    pairs=3,
    apply_pairs=2,
    seconds=1.5,
    commands=6_000,
    people=10_000,
    deep_page=100,
    growth=(1_000, 10_000, 20_000),
    audited=20_000,
    imported=30_000,
    log=40_000,
    rebuilt=60_000,
    rebuild_pairs=2,
    visible_seconds=6.0,
    versions=20_000,
    beside_seconds=5.0,
)
