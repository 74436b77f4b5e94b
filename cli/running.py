"""The verbs that start, stop and show the system on this machine."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import time

from local.access import new_token
from local.errors import AlreadyRunning, SetupError
from local.places import Places
from local.records import end_leftovers
from local.say import say, show, shown
from local.sending import send_demo
from local.status import look, table
from local.supervisor import StopRequest, held_lock, holder, supervise
from local.system import System
from local.welcome import welcome

_DEMO_PEOPLE = 500
_STOPPING_S = 75.0
_NOT_RUNNING = 3


def add_up(parser: argparse.ArgumentParser) -> None:
    """Options of `up`."""
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="how many workers (default: 1)"
    )
    parser.add_argument("--demo", action="store_true", help=f"send {_DEMO_PEOPLE} plausible people")


def up(options: argparse.Namespace) -> int:
    """Start everything and keep it running until Ctrl-C or `down`."""
    places = Places.find()
    stop = StopRequest()
    stop.install()
    system = System(places, os.environ, options.workers)

    def ready() -> None:
        token = new_token(places, system.environment, subject="local")
        if options.demo:
            send_demo(system.ports.command_url, token, _DEMO_PEOPLE, stop.check)
        show(welcome(system.ports, token))

    supervise(places, system, stop, ready)
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop what runs; also what an unclean end left behind."""
    places = Places.find()
    deadline = time.monotonic() + _STOPPING_S
    asked = False
    while True:
        try:
            with held_lock(places):
                found = end_leftovers(places.run)
                break
        except AlreadyRunning:
            pid = holder(places)
            if pid is None or time.monotonic() > deadline:
                raise SetupError(
                    f"Rollcall (process {pid}) did not stop within {_STOPPING_S:.0f} s: end that "
                    "process, then run `./run down` again."
                ) from None
            if not asked:
                say(f"Stopping Rollcall (process {pid}) …")
                os.kill(pid, signal.SIGTERM)
                asked = True
            time.sleep(0.1)
    say("Stopped." if asked or found else "Rollcall is not running.")
    return 0


def status(_: argparse.Namespace) -> int:
    """Show what runs."""
    places = Places.find()
    try:
        with held_lock(places):
            say("Rollcall is not running: start it with `./run up`.")
            return _NOT_RUNNING
    except AlreadyRunning:
        pass
    statuses = look(places)
    if not statuses:
        say(f"Rollcall (process {holder(places)}) is starting or stopping.")
        return 1
    show(table(statuses))
    return 0 if all(status.good for status in statuses) else 1


def add_reset(parser: argparse.ArgumentParser) -> None:
    """Options of `reset`."""
    parser.add_argument("--purge", action="store_true", help="delete the data for good, put nothing aside")


def reset(options: argparse.Namespace) -> int:
    """Begin empty. The data is put aside, once, so that a slip of the finger loses nothing."""
    places = Places.find()
    try:
        with held_lock(places):
            end_leftovers(places.run)
            _put_aside(places, purge=options.purge)
    except AlreadyRunning:
        raise SetupError(
            f"Rollcall is running (process {holder(places)}): stop it with `./run down`, then reset it."
        ) from None
    return 0


def _put_aside(places: Places, *, purge: bool) -> None:
    aside = places.state / "data.before-reset"
    if purge:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(places.data)
        say("All data is deleted. The token key is kept: tokens stay valid.")
    elif any(places.data.iterdir()):
        shutil.rmtree(aside, ignore_errors=True)
        places.data.rename(aside)
        say(
            f"The next `./run up` begins empty. The data is in {shown(aside)} until the next "
            "reset; `./run reset --purge` deletes it now. The token key is kept."
        )
    else:
        say("There is no data to reset.")


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 64):
        raise argparse.ArgumentTypeError("choose a number from 1 to 64")
    return int(text)
