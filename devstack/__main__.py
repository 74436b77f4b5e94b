"""Runs one verb of `./run`: those for development here, and the operators' with what runs on this machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Final

from devstack import checks
from devstack.paths import Paths
from operations.__main__ import VERBS as OPERATORS_VERBS
from operations.__main__ import Verb, help_as_option, run_verb, silence_libraries
from operations.errors import SetupError
from operations.terminal import print_progress

_OWN: Final = {
    "up": Verb("start everything, stay in the foreground", "devstack.running", "up"),
    "down": Verb("stop what `up` started", "devstack.running", "down"),
    "status": Verb("show what runs (exit status 3: nothing does)", "devstack.running", "status"),
    "reset": Verb("begin with empty databases", "devstack.running", "reset"),
    "broker": Verb(
        "print the address of the broker that runs, for subscribers", "devstack.running", "broker"
    ),
    "mongo": Verb(
        "open a MongoDB shell on the database that runs; --uri: print its address",
        "devstack.mongo_shell",
        "mongo",
    ),
    "test": Verb(
        "run every check and test; --fast: what takes three minutes; --long: as root, the slow tests; other "
        "arguments: pytest with them alone",
        "devstack.checks",
        "",
    ),
    "bench": Verb("run the benchmarks", "devstack.checks", ""),
    "docs": Verb("build the documentation and serve it on this machine", "devstack.documentation", "docs"),
}
VERBS: Final = {**_OWN, **OPERATORS_VERBS}
# What follows these belongs to the program they run, options and all.
FORWARDING: Final[dict[str, Callable[[Sequence[str]], int]]] = {"test": checks.test, "bench": checks.bench}


def main(argv: Sequence[str]) -> int:
    """Run the verb.

    Args:
        argv: What follows `./run`.

    Returns:
        The exit status.
    """
    if argv and argv[0] in FORWARDING:
        try:
            return FORWARDING[argv[0]](argv[1:])
        except SetupError as exc:
            print_progress(str(exc))
            return 1
    if help_as_option(argv)[0] in OPERATORS_VERBS:
        # Imported here: the list of verbs is shown before any package is installed.
        from devstack.parts import operators_environment

        os.environ.update(operators_environment(Paths.find(), os.environ))
    return run_verb("./run", VERBS, argv)


if __name__ == "__main__":
    silence_libraries()
    sys.exit(main(sys.argv[1:]))
