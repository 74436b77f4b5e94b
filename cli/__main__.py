"""Runs one verb: the table of verbs, and the one place where an error becomes a sentence."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cli import (
    accounts,
    checkpoint,
    checks,
    dead_letters,
    env,
    exports,
    images,
    imports,
    rebuild,
    replay,
    running,
    tokens,
    verify,
)
from local.errors import SetupError
from local.say import say


@dataclass(frozen=True)
class Verb:
    """One word after `./run`.

    Attributes:
        summary: One line for the help.
        action: Does it; returns the exit status.
        add_arguments: Describes its options.
    """

    summary: str
    action: Callable[[argparse.Namespace], int]
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda _: None


VERBS = {
    "up": Verb("start everything, stay in the foreground", running.up, running.add_up),
    "down": Verb("stop what `up` started", running.down),
    "status": Verb("show what runs (exit status 3: nothing does)", running.status),
    "reset": Verb("begin with empty databases", running.reset, running.add_reset),
    "token": Verb("print a token, and nothing else", tokens.token, tokens.add_token),
    "accounts": Verb("make and change accounts", accounts.accounts, accounts.add_accounts),
    "broker": Verb("print the address of the broker that runs, for subscribers", running.broker),
    "import": Verb("create or change people from a file", imports.import_, imports.add_import),
    "export": Verb("write people to a file", exports.export, exports.add_export),
    "verify": Verb("prove that nothing in the log was altered", verify.verify, verify.add_verify),
    "checkpoint": Verb(
        "sign the state of the log, for `verify`", checkpoint.checkpoint, checkpoint.add_checkpoint
    ),
    "checkpoint-key": Verb(
        "make the key pair that signs checkpoints", checkpoint.checkpoint_key, checkpoint.add_checkpoint_key
    ),
    "rebuild": Verb(
        "bring the read model to what the log says, in place", rebuild.rebuild, rebuild.add_rebuild
    ),
    "replay": Verb("deliver events again, as lines or to a queue", replay.replay, replay.add_replay),
    "dead-letters": Verb(
        "list, show, retry or drop parked people's commands and unreadable messages",
        dead_letters.dead_letters,
        dead_letters.add_dead_letters,
    ),
    "images": Verb("remove people's images that nobody has", images.images, images.add_images),
    "env": Verb("write .env: fresh secrets for docker-compose.yml", env.env, env.add_env),
}
# What follows these belongs to the program they run, options and all.
FORWARDING: dict[str, tuple[str, Callable[[Sequence[str]], int]]] = {
    "test": ("run every check and test; with arguments, pytest with them alone", checks.test),
    "bench": ("run the benchmarks", checks.bench),
}


def parser() -> argparse.ArgumentParser:
    """The command line of `./run`."""
    top = argparse.ArgumentParser(prog="./run", description="Rollcall on this machine.")
    words = top.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, verb in VERBS.items():
        own = words.add_parser(name, help=verb.summary, description=verb.summary)
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
        options = parser().parse_args(argv)
        return VERBS[options.verb].action(options)
    except SetupError as exc:
        say(str(exc))
        return 1
    except KeyboardInterrupt:
        return 130


def run() -> None:
    """Run the verb on the command line and end."""
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    run()
