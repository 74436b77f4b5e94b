"""What was measured, and how two sides are compared: in turns, by medians."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

NOISY = 1.4
"""So many times the least ratio of a pair may be exceeded by the greatest before we say so."""


@dataclass(frozen=True)
class Sample:
    """One run of one side.

    Attributes:
        rate: Operations a second.
        cpu_us: Processor time for each operation, in microseconds, by who used it.
        more: What else is worth keeping.
    """

    rate: float
    cpu_us: dict[str, float]
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: What was measured.
        ours: Our figure, with its unit.
        floor: The floor's, or nothing.
        ratio: One to the other, or nothing.
        wanted: What the ratio or our figure must be.
        ok: Whether it is.
        details: All of it, for the JSON.
        noisy: Whether the pairs differ so much that the verdict may be chance.
    """

    name: str
    ours: str
    floor: str
    ratio: str
    wanted: str
    ok: bool
    details: dict[str, Any] = field(default_factory=dict)
    noisy: bool = False

    @property
    def verdict(self) -> str:
        """The last cell of the line."""
        return ("ok" if self.ok else "SHORT") + (" (noisy)" if self.noisy else "")


def note(text: str) -> None:
    """Tell on standard error what is going on."""
    print(text, file=sys.stderr, flush=True)


def in_turns(
    name: str, pairs: int, ours: Callable[[int], Sample], floor: Callable[[int], Sample]
) -> tuple[list[Sample], list[Sample]]:
    """Run both sides in turns, each first every other time, and return their samples.

    Args:
        name: For progress.
        pairs: How often.
        ours: Runs our side; gets the number of the pair.
        floor: Runs the floor; the same.
    """
    samples: dict[str, list[Sample]] = {"ours": [], "floor": []}
    sides = {"ours": ours, "floor": floor}
    for pair in range(pairs):
        for side in sorted(sides, reverse=pair % 2 == 0):
            sample = sides[side](pair)
            samples[side].append(sample)
            used = ", ".join(f"{who} {us:,.0f}" for who, us in sample.cpu_us.items())
            note(f"  {name} {side:5} {sample.rate:8,.0f}/s   processor time each, µs: {used}")
    return samples["ours"], samples["floor"]


def compare(name: str, ours: Sequence[Sample], floor: Sequence[Sample], wanted: float) -> Row:
    """Return the row of a comparison: the ratio of the medians, and the range of the pairs' ratios."""
    mine, theirs = (median(sample.rate for sample in side) for side in (ours, floor))
    ratio = mine / theirs
    ratios = [a.rate / b.rate for a, b in zip(ours, floor, strict=True)]
    return Row(
        name,
        f"{mine:,.0f}/s",
        f"{theirs:,.0f}/s",
        f"{ratio:.2f} ({min(ratios):.2f}–{max(ratios):.2f})",
        f"≥ {wanted:.2f}",
        ratio >= wanted,
        {
            "ratio": ratio,
            "ratios": ratios,
            "median_of_ratios": median(ratios),
            "wanted": wanted,
            "ours": [vars(sample) for sample in ours],
            "floor": [vars(sample) for sample in floor],
        },
        noisy=max(ratios) > NOISY * min(ratios),
    )


def beside(name: str, other: str, rate: float, others: float, wanted: float, unit: str = "/s") -> Row:
    """Return the row of a rate that must not fall below a part of another of ours."""
    ratio = rate / others
    return Row(
        f"{name}, beside {other}",
        f"{rate:,.0f}{unit}",
        f"{others:,.0f}{unit}",
        f"{ratio:.2f}",
        f"≥ {wanted:.2f}",
        ratio >= wanted,
        {"ratio": ratio, "wanted": wanted, "rate": rate, "other": others},
    )


def at_most(name: str, value: float, limit: float, unit: str, **details: Any) -> Row:
    """Return the row of a figure that must not be above a limit."""
    return Row(
        name,
        f"{value:,.2f}" if unit == "" else f"{value:,.0f} {unit}",
        "",
        "",
        f"≤ {limit:g}{f' {unit}' if unit else ''}",
        value <= limit,
        {"value": value, "limit": limit, "unit": unit, **details},
    )


def at_least(name: str, value: float, wanted: float, unit: str, **details: Any) -> Row:
    """Return the row of a figure that must not be below a limit."""
    return Row(
        name,
        f"{value:,.0f}{unit}",
        "",
        "",
        f"≥ {wanted:,.0f}{unit}",
        value >= wanted,
        {"value": value, "wanted": wanted, "unit": unit, **details},
    )


def table(rows: Sequence[Row]) -> str:
    """Return the rows as an aligned table, which is Markdown too."""
    head = ["scenario", "ours", "floor", "ratio (min–max)", "wanted", ""]
    lines = [head] + [[r.name, r.ours, r.floor, r.ratio, r.wanted, r.verdict] for r in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    text = [_line(line, widths) for line in lines]
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([text[0], rule, *text[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        cell.rjust(width) if 0 < column < 4 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return f"| {' | '.join([first, *rest])} |"
