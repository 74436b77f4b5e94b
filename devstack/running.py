"""The verbs that start, stop and show the system on this machine."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import time
from collections.abc import Callable

from devstack.demo.sending import send_demo
from devstack.first_start import has_data
from devstack.parts import running_amqp_url
from devstack.paths import Paths
from devstack.records import end_leftovers
from devstack.shape import Shape
from devstack.status import look, table
from devstack.supervisor import StopRequest, held_lock, holder, supervise
from devstack.system import System
from devstack.welcome import welcome
from events.accounts.event import LOCAL
from operations.addresses import person_schema
from operations.errors import AlreadyRunning, SetupError
from operations.terminal import print_progress, print_result, short_path
from operations.tokens.access import new_token
from service_kit.broker.users import SUBSCRIBER_USER

_DEMO_PEOPLE = 500
_STOPPING_S = 75.0
_NOT_RUNNING = 3


def add_up(parser: argparse.ArgumentParser) -> None:
    """Options of `up`."""
    parser.add_argument(
        "--workers", type=_up_to(64), default=1, metavar="N", help="how many workers (default: 1)"
    )
    parser.add_argument("--demo", action="store_true", help=f"send {_DEMO_PEOPLE} plausible people")
    parser.add_argument("--sharded", action="store_true", help="a sharded cluster in place of a replica set")
    parser.add_argument(
        "--shards", type=_up_to(8), default=2, metavar="N", help="with --sharded, how many (default: 2)"
    )
    parser.add_argument(
        "--members", type=_up_to(7), default=2, metavar="N", help="of each shard, with data (default: 2)"
    )
    parser.add_argument(
        "--brokers", type=int, choices=(1, 3), default=1, help="how many RabbitMQ nodes (default: 1)"
    )


def up(options: argparse.Namespace) -> int:
    """Start everything and keep it running until Ctrl-C or `down`."""
    paths = Paths.find()
    stop = StopRequest()
    stop.install()
    shards = options.shards if options.sharded else 0
    shape = Shape(options.workers, options.brokers, shards, options.members)
    system = System(paths, os.environ, shape)

    def ready() -> None:
        # The password's hash takes a library that no other verb here needs to wait for.
        from operations.accounts.verb import first_administrator

        schema = person_schema(system.environment)
        token = new_token(system.environment, subject=LOCAL)
        password = first_administrator(system.environment)
        if options.demo:
            send_demo(system.ports.command_url, token, schema, _DEMO_PEOPLE, stop.check)
        print_result(welcome(system.ports, token, password, schema))

    supervise(paths, system, stop, ready)
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop what runs; also what an unclean end left behind."""
    paths = Paths.find()
    deadline = time.monotonic() + _STOPPING_S
    asked = False
    while True:
        try:
            with held_lock(paths):
                leftovers = end_leftovers(paths.run)
                break
        except AlreadyRunning:
            pid = holder(paths)
            if pid is None or time.monotonic() > deadline:
                raise SetupError(
                    f"Rollcall (process {pid}) did not stop within {_STOPPING_S:.0f} s: end that "
                    "process, then run `./run down` again."
                ) from None
            if not asked:
                print_progress(f"Stopping Rollcall (process {pid}) …")
                os.kill(pid, signal.SIGTERM)
                asked = True
            time.sleep(0.1)
    print_progress("Stopped." if asked or leftovers else "Rollcall is not running.")
    return 0


def status(_: argparse.Namespace) -> int:
    """Show what runs."""
    paths = Paths.find()
    try:
        with held_lock(paths):
            print_progress("Rollcall is not running: start it with `./run up`.")
            return _NOT_RUNNING
    except AlreadyRunning:
        pass
    statuses = look(paths)
    if not statuses:
        print_progress(f"Rollcall (process {holder(paths)}) is starting or stopping.")
        return 1
    print_result(table(statuses))
    return 0 if all(status.good for status in statuses) else 1


def broker(_: argparse.Namespace) -> int:
    """Print the address of the broker that runs, with the password of the subscribers' user."""
    url = running_amqp_url(Paths.find(), SUBSCRIBER_USER)
    if url is None:
        raise SetupError("No RabbitMQ of Rollcall's own runs here: start one with `./run up`.")
    print_result(url)
    return 0


def add_reset(parser: argparse.ArgumentParser) -> None:
    """Options of `reset`."""
    parser.add_argument("--purge", action="store_true", help="delete the data for good, put nothing aside")


def reset(options: argparse.Namespace) -> int:
    """Begin empty. The data is put aside, once, so that a slip of the finger loses nothing."""
    paths = Paths.find()
    try:
        with held_lock(paths):
            end_leftovers(paths.run)
            _put_aside(paths, purge=options.purge)
    except AlreadyRunning:
        raise SetupError(
            f"Rollcall is running (process {holder(paths)}): stop it with `./run down`, then reset it."
        ) from None
    return 0


def _put_aside(paths: Paths, *, purge: bool) -> None:
    aside = paths.state / "data.before-reset"
    if purge:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.rmtree(paths.data)
        print_progress("All data is deleted. The token key is kept: tokens stay valid.")
    elif has_data(paths):
        shutil.rmtree(aside, ignore_errors=True)
        paths.data.rename(aside)
        print_progress(
            f"The next `./run up` begins empty. The data is in {short_path(aside)} until the next "
            "reset; `./run reset --purge` deletes it now. The token key is kept."
        )
    else:
        print_progress("There is no data to reset.")


def _up_to(most: int) -> Callable[[str], int]:
    """A number from 1, as an argument."""

    def count(text: str) -> int:
        if not (text.isdecimal() and 1 <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"choose a number from 1 to {most}")
        return int(text)

    return count
