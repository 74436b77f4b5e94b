"""The verbs that make checkpoints, on demand or on a schedule, and the key that signs them."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from events.errors import StoreUnavailable
from operations.addresses import database_address
from operations.errors import SetupError
from operations.proof.checkpoint_folder import Key, held, make_key, write_checkpoint
from operations.proof.proof import Proof, add_jobs, end_politely, read_public_keys
from operations.proof.signed_accesses import note_signed_accesses
from operations.terminal import print_progress, print_result, short_path
from operations.tokens.access import seconds
from operations.tokens.verb import checked
from verifier import Finding, digest, key_id
from verifier.findings import result

FINE, FOUND, CANNOT = 0, 1, 2


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Options of `checkpoint`."""
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="where it goes: away from the database"
    )
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help="the private key that signs")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="former keys, once another one signs")
    parser.add_argument(
        "--every", type=checked(seconds), metavar="TIME", help="stay, and make one so often: 15m, 1h, 1d"
    )
    add_jobs(parser)


def checkpoint(options: argparse.Namespace) -> int:
    """Verify the log against the checkpoints that are there, and add one if all is fine."""
    end_politely()
    try:
        key = Key.read(options.key)
        with held(options.to):
            while True:
                began = time.monotonic()
                status = _add(options, key)
                if not options.every:
                    return status
                time.sleep(max(0.0, began + options.every - time.monotonic()))
    except SetupError as exc:
        print_progress(str(exc))
        return CANNOT


def _add(options: argparse.Namespace, key: Key) -> int:
    """Make one; what is away now may be back the next time."""
    try:
        return _make(options, key)
    except (StoreUnavailable, OSError) as exc:
        print_progress(f"No checkpoint was made: {exc}")
        return CANNOT


def _make(options: argparse.Namespace, key: Key) -> int:
    def tell(finding: Finding) -> None:
        print_result(finding.sentence)

    public = key.private.public_key()
    keys = {key_id(public): public}
    if options.public_key:
        keys |= read_public_keys(options.public_key)
    with Proof(database_address(), options.jobs, tell) as proof:
        chain = proof.read_checkpoints(options.to, keys)
        totals = proof.walk(keep_heads=True)
        if proof.findings:
            print_progress(f"No checkpoint was made: {result(proof.findings)}.")
            return FOUND
        checkpoint = write_checkpoint(options.to, key, proof.heads(totals), proof.known, chain.last)
        note_signed_accesses(database_address(), proof.heads(totals), checkpoint)
    print_progress(
        f"Checkpoint {checkpoint.number} in {short_path(options.to)}: {checkpoint.events:,} events in "
        f"{checkpoint.streams:,} streams, {checkpoint.changed:,} changed since the one before. Its digest:"
    )
    print_result(digest(checkpoint))
    return FINE


def add_checkpoint_key(parser: argparse.ArgumentParser) -> None:
    """Options of `checkpoint-key`."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the two files go")


def checkpoint_key(options: argparse.Namespace) -> int:
    """Make the key pair that signs checkpoints."""
    private, public = make_key(options.folder)
    print_progress(
        f"{short_path(private)} signs: keep it where checkpoints are made. "
        f"{short_path(public)} verifies: give it away."
    )
    return FINE
