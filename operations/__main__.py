"""Runs one verb for operators: `rollcall VERB`, with the servers' addresses in `ROLLCALL_…` settings."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from operations.errors import SetupError
from operations.terminal import print_progress
from service_kit.version import VERSION


@dataclass(frozen=True)
class Verb:
    """One word of a command line. Its module is imported once it is asked for: some take long.

    Attributes:
        summary: One line for the help.
        module: Where it is.
        name: The function there that does it and returns the exit status; `add_…`, if it is there, describes
            its options.
    """

    summary: str
    module: str
    name: str

    @property
    def action(self) -> Callable[[argparse.Namespace], int]:
        """What does it."""
        action: Callable[[argparse.Namespace], int] = getattr(import_module(self.module), self.name)
        return action

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Describe its options."""
        add = getattr(import_module(self.module), f"add_{self.name.strip('_')}", None)
        if add is not None:
            add(parser)


VERBS = {
    "token": Verb("print a token, and nothing else", "operations.tokens.verb", "token"),
    "accounts": Verb("make and change accounts", "operations.accounts.verb", "accounts"),
    "import": Verb("create or change people from a file", "operations.transfer.imports", "import_"),
    "export": Verb("write people to a file", "operations.transfer.exports", "export"),
    "verify": Verb("prove that nothing in the log was altered", "operations.proof.verify", "verify"),
    "checkpoint": Verb(
        "sign the state of the log, for `verify`", "operations.proof.checkpoint", "checkpoint"
    ),
    "checkpoint-key": Verb(
        "make the key pair that signs checkpoints", "operations.proof.checkpoint", "checkpoint_key"
    ),
    "feed": Verb("compare the feed with the log, and announce what it lacks", "operations.feed.verb", "feed"),
    "rebuild": Verb(
        "bring the read model to what the log says, in place", "operations.rebuild.verb", "rebuild"
    ),
    "schema": Verb("show, check and change what a person is", "operations.schema.verb", "schema"),
    "keys": Verb(
        "list, change and retire the keys under which people's keys are wrapped",
        "operations.keys.verb",
        "keys",
    ),
    "people": Verb(
        "erase people, and list the erasures and whether each is final", "operations.erasing.verb", "people"
    ),
    "replay": Verb("deliver events again, as lines or to a queue", "operations.replay.verb", "replay"),
    "dead-letters": Verb(
        "list, show, retry or drop parked people's commands and dead letters",
        "operations.dead_letters.verb",
        "dead_letters",
    ),
    "queues": Verb(
        "replace the queues of an older version, with what is in them", "operations.queues", "queues"
    ),
    "images": Verb("remove the images that no person has", "operations.images.verb", "images"),
    "env": Verb("write .env: fresh secrets for docker-compose.yml", "operations.env", "env"),
}


def parser(program: str, verbs: Mapping[str, Verb], asked: str | None) -> argparse.ArgumentParser:
    """Return a command line of verbs.

    Args:
        program: Its name, for the help.
        verbs: By their words.
        asked: The verb whose options are needed; the others' modules are not imported.
    """
    top = argparse.ArgumentParser(
        prog=program,
        description="Records about people, and the proof of who changed what.",
        epilog=f"`{program} help VERB` tells the options of a verb.",
    )
    top.add_argument("--version", action="version", version=f"rollcall {VERSION}")
    # Verbs that tell the user of another verb name the program as it was called.
    top.set_defaults(program=program)
    words = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in verbs.items():
        own = words.add_parser(name, help=verb.summary, description=verb.summary)
        if name == asked:
            verb.add_arguments(own)
    return top


def help_as_option(argv: Sequence[str]) -> list[str]:
    """Return a command line in which a wish for help is an option: nothing at all, `help`, `help VERB`.

    Args:
        argv: What follows the program's name.
    """
    if not argv or argv[0] == "help":
        return [*(word for word in argv if word != "help"), "--help"]
    return list(argv)


def run_verb(program: str, verbs: Mapping[str, Verb], argv: Sequence[str]) -> int:
    """Run the verb that a command line names; what goes wrong becomes a sentence.

    Args:
        program: Its name, for the help.
        verbs: By their words.
        argv: What follows the program's name.

    Returns:
        The exit status.
    """
    argv = help_as_option(argv)
    try:
        options = parser(program, verbs, argv[0]).parse_args(argv)
        return verbs[options.verb].action(options)
    except SetupError as exc:
        print_progress(str(exc))
        return 1
    except KeyboardInterrupt:
        return 130


def silence_libraries() -> None:
    """Keep the libraries' tracebacks off the terminal: what they mean comes as a sentence."""
    logging.getLogger().addHandler(logging.NullHandler())


def main(argv: Sequence[str]) -> int:
    """Run a verb for operators.

    Args:
        argv: What follows `rollcall`.

    Returns:
        The exit status.
    """
    return run_verb("rollcall", VERBS, argv)


def run() -> None:
    """Run the verb on the command line and end."""
    silence_libraries()
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
