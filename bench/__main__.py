"""Runs the benchmarks: `python -m bench`, or `./run bench`; ends with 1 if a figure falls short."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from bench import queues
from bench.accept import accept, generator_rate
from bench.apply import apply
from bench.audit import export, history
from bench.growth import growth
from bench.imports import imports
from bench.live import live
from bench.machine import describe, sentence
from bench.neighbours.abuses import ABUSES
from bench.neighbours.scenario import neighbours
from bench.read import read
from bench.rebuild import rebuild
from bench.results import Row, at_most, note, table
from bench.scale import scale
from bench.sizes import FULL, QUICK, Sizes
from bench.stack import FLOOR, OURS, REPLICA_SET, SHARDED, Stack
from bench.verify import verify
from bench.visible import visible
from devstack.paths import ROOT, Paths
from operations.errors import SetupError

CAMPAIGN = "campaign"
MEMORY_MB = 150.0
QUIET = 0.5
Scenario = Callable[[Stack, Sizes], list[Row]]
SCENARIOS: dict[str, tuple[str, Scenario]] = {
    "accept": (REPLICA_SET, accept),
    "apply": (REPLICA_SET, apply),
    "read": (REPLICA_SET, read),
    "visible": (REPLICA_SET, visible),
    "live": (REPLICA_SET, live),
    "scale": (REPLICA_SET, scale),
    "growth": (REPLICA_SET, growth),
    "export": (REPLICA_SET, export),
    "history": (REPLICA_SET, history),
    "import": (REPLICA_SET, imports),
    "verify": (REPLICA_SET, verify),
    "rebuild": (REPLICA_SET, rebuild),
    "neighbours": (REPLICA_SET, neighbours),
    "apply-sharded": (SHARDED, apply),
    "read-sharded": (SHARDED, read),
    "rebuild-sharded": (SHARDED, rebuild),
}
"""Each with the topology that it runs on."""


def main(arguments: Sequence[str]) -> int:
    """Run what the arguments name and return the exit status."""
    if arguments and arguments[0] == CAMPAIGN:
        return _campaign(arguments[1:])
    parser = _parser()
    options = parser.parse_args(arguments)
    chosen = options.scenarios or list(SCENARIOS)
    if unknown := set(chosen) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    sizes = QUICK if options.quick else FULL
    if options.pairs:
        sizes = replace(sizes, pairs=options.pairs, apply_pairs=options.pairs, rebuild_pairs=options.pairs)
    if options.rows:
        sizes = replace(sizes, imported=options.rows)
    if unknown := set(options.beside) - set(ABUSES):
        parser.error(f"no such abuse: {', '.join(sorted(unknown))}; there are {', '.join(ABUSES)}")
    sizes = replace(sizes, beside=tuple(options.beside))
    state = Paths.find().state
    state.mkdir(parents=True, exist_ok=True)
    with (state / "bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note("another benchmark runs: two at once would measure each other; wait for its end")
            return 2
        return _run(chosen, sizes, Path(options.json or state / "bench.json"))


def _campaign(arguments: Sequence[str]) -> int:
    """Run the campaign of faults; it measures nothing, and uses what the tests use."""
    sys.path.append(str(ROOT / "mongo-cluster"))
    from bench.campaign import command

    return command.main(arguments)


def _run(chosen: Sequence[str], sizes: Sizes, path: Path) -> int:
    began, load = time.monotonic(), os.getloadavg()[0]
    if load > QUIET:
        note(f"the machine is busy (load {load:.1f}): figures will be low, ratios less exact")
    try:
        report, rows = measure(chosen, sizes)
    except KeyboardInterrupt:
        note("interrupted; everything is stopped")
        return 130
    except SetupError as exc:
        note(str(exc))
        return 2
    report["load_before"] = load
    report["seconds"] = round(time.monotonic() - began, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"\n{table(rows)}\n\n{report['words']}\n")
    short = [row.name for row in rows if not row.ok]
    print(f"Short of what is wanted: {', '.join(short)}." if short else "All that is wanted is there.")
    return 1 if short else 0


def measure(chosen: Sequence[str], sizes: Sizes) -> tuple[dict[str, object], list[Row]]:
    """Start the servers, run the scenarios, stop everything; return the report and the rows."""
    rows: list[Row] = []
    report: dict[str, object] = {"sizes": asdict(sizes)}
    for topology in (REPLICA_SET, SHARDED):
        names = [name for name in chosen if SCENARIOS[name][0] == topology]
        if names:
            rows += _measure_on(topology, names, sizes, report)
    report["rows"] = [asdict(row) for row in rows]
    return report, rows


def _measure_on(topology: str, names: Sequence[str], sizes: Sizes, report: dict[str, object]) -> list[Row]:
    """Run scenarios on one topology; describe the machine in the report, if nobody has yet."""
    rows: list[Row] = []
    note(f"starting MongoDB ({topology}) and RabbitMQ")
    with Stack(topology) as stack:
        rabbitmq = queues.set_up(stack.rabbit.url)
        for database in (OURS, FLOOR):
            stack.fresh(database)
        if "machine" not in report:
            with stack.client() as client:
                machine = describe(client.server_info()["version"], rabbitmq)
            generator = generator_rate(stack, sizes)
            report |= {
                "machine": machine,
                "words": f"{sentence(machine)}\nLoad generator alone: {generator:,.0f} requests/s.",
                "generator_per_second": generator,
            }
        for name in names:
            note(name)
            try:
                rows += SCENARIOS[name][1](stack, sizes)
            except (SetupError, RuntimeError, TimeoutError) as exc:
                note(f"  {name} failed: {exc}")
                rows.append(Row(name, "failed", "", "", "", False, {"error": str(exc)}))
                stack.end_all()
        for service, sizes_mb in stack.memory.items():
            what = stack.named(f"memory: {service}")
            rows.append(at_most(what, sizes_mb["now"], MEMORY_MB, "MB", **sizes_mb))
    return rows


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument(
        "scenarios",
        nargs="*",
        metavar="scenario",
        help=f"{', '.join(SCENARIOS)}; or {CAMPAIGN}, with options of its own",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    parser.add_argument("--rows", type=int, metavar="N", help="how many rows `import` imports")
    parser.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="ABUSE",
        help="an abuse that `neighbours` stands",
    )
    parser.add_argument("--pairs", type=int, metavar="N", help="how often ours and the floor take turns")
    parser.add_argument("--json", metavar="PATH", help="where the figures go (.rollcall/bench.json)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
