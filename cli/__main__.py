"""Runs one verb: the table of verbs, and the one place where an error becomes a sentence."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

from cli import checks
from local.errors import SetupError
from local.say import say


@dataclass(frozen=True)
class Verb:
    """One word after `./run`. Its module is imported once it is asked for: some take long.

    Attributes:
        summary: One line for the help.
        module: Where it is, in `cli`.
        name: The function there that does it and returns the exit status; `add_…`, if it is there, describes
            its options.
    """

    summary: str
    module: str
    name: str

    @property
    def action(self) -> Callable[[argparse.Namespace], int]:
        """What does it."""
        action: Callable[[argparse.Namespace], int] = getattr(self._module, self.name)
        return action

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Describe its options."""
        add = getattr(self._module, f"add_{self.name.strip('_')}", None)
        if add is not None:
            add(parser)

    @property
    def _module(self) -> object:
        return import_module(f"cli.{self.module}")


VERBS = {
    "up": Verb("start everything, stay in the foreground", "running", "up"),
    "down": Verb("stop what `up` started", "running", "down"),
    "status": Verb("show what runs (exit status 3: nothing does)", "running", "status"),
    "reset": Verb("begin with empty databases", "running", "reset"),
    "token": Verb("print a token, and nothing else", "tokens", "token"),
    "accounts": Verb("make and change accounts", "accounts", "accounts"),
    "broker": Verb("print the address of the broker that runs, for subscribers", "running", "broker"),
    "import": Verb("create or change people from a file", "imports", "import_"),
    "export": Verb("write people to a file", "exports", "export"),
    "verify": Verb("prove that nothing in the log was altered", "verify", "verify"),
    "checkpoint": Verb("sign the state of the log, for `verify`", "checkpoint", "checkpoint"),
    "checkpoint-key": Verb("make the key pair that signs checkpoints", "checkpoint", "checkpoint_key"),
    "feed": Verb("hold the feed against the log, and announce what it lacks", "feed", "feed"),
    "rebuild": Verb("bring the read model to what the log says, in place", "rebuild", "rebuild"),
    "replay": Verb("deliver events again, as lines or to a queue", "replay", "replay"),
    "dead-letters": Verb(
        "list, show, retry or drop parked people's commands and dead messages",
        "dead_letters",
        "dead_letters",
    ),
    "queues": Verb("replace the queues of an older version, with what is in them", "queues", "queues"),
    "images": Verb("remove people's images that nobody has", "images", "images"),
    "env": Verb("write .env: fresh secrets for docker-compose.yml", "env", "env"),
}
# What follows these belongs to the program they run, options and all.
FORWARDING: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "test": (
        "run every check and test; with arguments, pytest with them alone; --long: as root, the slow tests",
        checks.test,
    ),
    "bench": ("run the benchmarks", checks.bench),
}


def parser(asked: str | None) -> argparse.ArgumentParser:
    """The command line of `./run`, with the options of the verb that is asked for."""
    top = argparse.ArgumentParser(prog="./run", description="Rollcall on this machine.")
    words = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in VERBS.items():
        own = words.add_parser(name, help=verb.summary, description=verb.summary)
        if name == asked:
            verb.add_arguments(own)
    for name, (summary, _) in FORWARDING.items():
        words.add_parser(name, help=summary, description=summary)
    return top


def main(argv: Sequence[str]) -> int:
    """Run the verb.

    Args:
        argv: What follows `./run`.

    Returns:
        The exit status.
    """
    try:
        if argv and argv[0] in FORWARDING:
            return FORWARDING[argv[0]][1](argv[1:])
        options = parser(argv[0] if argv else None).parse_args(argv)
        return VERBS[options.verb].action(options)
    except SetupError as exc:
        say(str(exc))
        return 1
    except KeyboardInterrupt:
        return 130


def run() -> None:
    """Run the verb on the command line and end."""
    # Else the libraries print their tracebacks; what they mean comes as a sentence.
    logging.getLogger().addHandler(logging.NullHandler())
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
