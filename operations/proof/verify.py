"""The verb that verifies the log in MongoDB: exit status 0 all fine, 1 findings, 2 it could not be read."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from events.errors import StoreUnavailable, Unavailable
from operations.addresses import database_address
from operations.errors import SetupError
from operations.feed.verb import forgotten
from operations.keys.verb import known_keks
from operations.log_opening import Opening
from operations.proof.proof import Proof, add_jobs, end_politely, read_public_keys
from operations.terminal import print_progress, print_result, short_path
from verifier import Finding
from verifier.findings import result

FINE, FOUND, CANNOT = 0, 1, 2


def add_verify(parser: argparse.ArgumentParser) -> None:
    """Options of `verify`."""
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", help="compare the log with these, too")
    parser.add_argument("--public-key", type=Path, metavar="FILE", help="the key, or keys, that sign them")
    parser.add_argument(
        "--open", action="store_true", help="open every sealed value, too, and prove it; wants the keys"
    )
    parser.add_argument(
        "--journal",
        type=Path,
        metavar="PATH",
        help="name keys that are there against the journal of erasures",
    )
    parser.add_argument("--json", action="store_true", help="findings as JSON, one a line")
    add_jobs(parser)


def verify(options: argparse.Namespace) -> int:
    """Walk the whole log; print the first bad version of each bad stream."""
    end_politely()
    try:
        return _verify(options)
    except (SetupError, StoreUnavailable) as exc:
        print_progress(str(exc))
        return CANNOT


def _verify(options: argparse.Namespace) -> int:
    if (options.checkpoints is None) != (options.public_key is None):
        raise SetupError("--checkpoints and --public-key belong together.")

    def tell(finding: Finding) -> None:
        print_result(json.dumps(finding.as_json()) if options.json else finding.sentence)

    against = ""
    address = database_address()
    opening = Opening(address.database, known_keks()) if options.open else None
    with Proof(address, options.jobs, tell) as proof:
        if options.checkpoints:
            chain = proof.read_checkpoints(options.checkpoints, read_public_keys(options.public_key))
            if not chain.checkpoints and not chain.findings:
                raise SetupError(f"There is no checkpoint in {short_path(options.checkpoints)}.")
            against = f", against {chain.described}"
        totals = proof.walk(opening=opening)
        if opening:
            against += f", {totals.proved:,} values proved and {totals.erased:,} of erased people"
        proof.read_gaps()
        if options.journal:
            proof.compare_journal(options.journal)
        against += _against_the_feed(proof)
    print_progress(f"{totals.described}{against}: {result(proof.findings)}.")
    return FOUND if proof.findings else FINE


def _against_the_feed(proof: Proof) -> str:
    """Find what the feed has and the log lacks, if there is a broker to ask; return how that is told."""
    try:
        places = forgotten()
    except Unavailable as exc:
        return f" (the feed was not looked at: {exc})"
    if places is None:
        return ""
    proof.forgotten(places)
    return ", against the feed"
