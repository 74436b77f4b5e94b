"""The command line of the campaign: `python -m bench campaign`; ends with 1 if a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import FrameType

import structlog

from bench.campaign.asking import Where
from bench.campaign.counts import Count
from bench.campaign.director import Director
from bench.campaign.load import Load
from bench.campaign.plan import FATAL, NEED_ROOT, WEIGHTS, plan
from bench.campaign.promises import Diary, Promises
from bench.campaign.result import conclude, table
from bench.campaign.stage import BROKERS, TOPOLOGIES, Stage
from devstack.paths import Paths
from tests.trouble.conftest import stream_is_on_disk

_WARM_SECONDS = 120.0


def main(arguments: Sequence[str]) -> int:
    """Run the campaign that the arguments describe; return the exit status."""
    options = _parser().parse_args(arguments)
    kinds = {name for name in options.faults.split(",") if name} or set(WEIGHTS) - FATAL
    if os.geteuid() != 0:
        _say(f"not root: without {', '.join(sorted(kinds & NEED_ROOT))}")
        kinds -= NEED_ROOT
    topologies = [options.topology] if options.topology else list(TOPOLOGIES)
    # What subscribers and their library tell of a broker that is away is no news here.
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    signal.signal(signal.SIGTERM, _interrupt)
    results: dict[str, list[Count]] = {}
    for topology in topologies:
        results[topology] = _on(topology, kinds, options, options.minutes * 60 / len(topologies))
    report = {
        "seed": options.seed,
        "minutes": options.minutes,
        "results": {name: [asdict(count) for count in found] for name, found in results.items()},
    }
    (Paths.find().state / "campaign.json").write_text(json.dumps(report, indent=1, default=str) + "\n")
    wrong = sum(not count.ok for found in results.values() for count in found)
    print("\n" + "\n\n".join(table(name, found) for name, found in results.items()))
    print(f"\n{wrong} kinds of promises were broken." if wrong else "\nEvery promise was kept.")
    return 1 if wrong else 0


def _on(topology: str, kinds: set[str], options: argparse.Namespace, seconds: float) -> list[Count]:
    """Run the faults on one topology; the folder stays if something is wrong."""
    state = Paths.find().state
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder = Path(tempfile.mkdtemp(prefix=f"campaign-{topology}-", dir=state))
    diary = Diary(folder / "campaign.log", tell=True)
    diary.note(f"campaign on {topology}, seed {options.seed}, {seconds:.0f} s of {', '.join(sorted(kinds))}")
    diary.note(f"folder: {folder}")
    found: list[Count] = []
    try:
        stage = Stage(folder, topology, diary, disks=bool(kinds & NEED_ROOT))
        try:
            found = _faults(stage, kinds, options, seconds)
        finally:
            stage.close()
        (folder / "result.json").write_text(
            json.dumps([asdict(count) for count in found], indent=1, default=str) + "\n"
        )
        diary.note(table(topology, found))
    finally:
        diary.close()
        if found and all(count.ok for count in found) and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return found


def _faults(stage: Stage, kinds: set[str], options: argparse.Namespace, seconds: float) -> list[Count]:
    topology = stage.topology
    where = Where(
        stage.service("command").url,
        stage.service("query").url,
        stage.system.token(ttl_seconds=86_400),
        Promises(),
        stage.diary,
    )
    load = Load(where, stage.system.rabbit.url, stage.folder, f"{options.seed} {topology}", options.rate)
    steps = plan(f"{options.seed} {topology}", kinds, routed=stage.system.routed)
    director = Director(stage, load, steps)
    try:
        if not director.recover(_WARM_SECONDS):
            raise RuntimeError(f"the services do not start: {director.stuck}")
        load.start(_WARM_SECONDS)
        # A stream that is some seconds old does not survive a kill of RabbitMQ 3.10.
        asyncio.run(stream_is_on_disk(stage.system, BROKERS[topology]))
        stage.diary.note("all subscribers hear; faults begin")
        began = time.monotonic()
        director.run(seconds)
        found = [Count(f"fault: {kind}", number, wrong=False) for kind, number in director.done.items()]
        found.append(Count("seconds of faults", round(time.monotonic() - began), wrong=False))
        return found + conclude(stage, load, director)
    finally:
        director.close()
        load.close()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench campaign", description=__doc__)
    parser.add_argument(
        "--minutes", type=float, default=20.0, metavar="N", help="of faults, on all topologies together"
    )
    parser.add_argument(
        "--seed", default="1", metavar="S", help="the same seed makes the same plan of faults"
    )
    kinds = f"some of {','.join(WEIGHTS)}; all but {','.join(FATAL)}, if empty"
    parser.add_argument("--faults", default="", metavar="KINDS", help=kinds)
    parser.add_argument("--topology", choices=TOPOLOGIES, help="on this one alone")
    parser.add_argument("--rate", type=float, default=60.0, metavar="N", help="commands a second")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs also when all is well")
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
