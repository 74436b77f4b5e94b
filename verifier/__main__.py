"""Verifies an exported log: `python -m verifier LOG.ndjson --checkpoints DIR --public-key FILE`."""

import argparse
import gzip
import io
import json
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from verifier.canonical import Unreadable
from verifier.chains import Link, walk
from verifier.checkpoints import public_keys
from verifier.findings import Finding, result
from verifier.folder import Chain, read_chain
from verifier.heads import KnownHeads
from verifier.lines import SortedLinks, read_lines

FINE, FOUND, CANNOT, INTERRUPTED = 0, 1, 2, 130
_ACCESSES: Final = "access:"
"""What the id of a stream of access records begins with."""
_GZIP: Final = b"\x1f\x8b"


def main(argv: Sequence[str]) -> int:
    """Verify what the arguments name.

    Args:
        argv: The command line.

    Returns:
        0 when all is fine, 1 with findings, 2 when something cannot be read.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if (options.checkpoints is None) == bool(options.public_key):
        parser.error("--checkpoints and --public-key belong together")
    try:
        with tempfile.TemporaryDirectory(prefix="verifier-") as scratch:
            return _Run(options).verify(Path(scratch))
    except Unreadable as exc:
        _tell(f"Cannot verify: {exc}.")
    except (OSError, EOFError, zlib.error) as exc:
        _tell(f"Cannot verify: {exc}.")
    except KeyboardInterrupt:
        return INTERRUPTED
    return CANNOT


class _Run:
    """One verification: what was counted, and what is told."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._findings = self._events = self._people = self._proved = self._withheld = 0

    def verify(self, scratch: Path) -> int:
        """Read everything, tell what was found, return the exit status."""
        against = ""
        with ExitStack() as stack:
            heads = stack.enter_context(KnownHeads(scratch / "heads"))
            links = stack.enter_context(SortedLinks(scratch / "links"))
            if self._options.checkpoints:
                against = f", against {self._read_checkpoints(heads).described}"
            links.add(self._links(stack.enter_context(_open(self._options.log))))
            # Access records are in no export of events: `rollcall verify` holds them against checkpoints.
            recorded = (one for one in heads.recorded() if not one.person_id.startswith(_ACCESSES))
            for verdict in walk(links.in_order(), recorded):
                self._people += bool(verdict.events)
                self._proved += verdict.proved
                self._withheld += verdict.withheld
                if verdict.finding:
                    self._report(verdict.finding)
        opened = ""
        if self._proved or self._withheld:
            opened = f", {self._proved:,} values proved and {self._withheld:,} withheld"
        counted = f"{self._events:,} events in {self._people:,} streams{opened}{against}"
        _tell(f"{counted}: {result(self._findings)}.")
        return FOUND if self._findings else FINE

    def _read_checkpoints(self, heads: KnownHeads) -> Chain:
        path = self._options.public_key
        try:
            keys = public_keys(path.read_bytes())
        except Unreadable as exc:
            raise Unreadable(f"{path}: {exc}") from None
        chain = read_chain(self._options.checkpoints, keys, heads)
        for finding in chain.findings:
            self._report(finding)
        if not chain.checkpoints and not chain.findings:
            raise Unreadable(f"there is no checkpoint in {self._options.checkpoints}")
        return chain

    def _links(self, file: BinaryIO) -> Iterator[Link]:
        for one in read_lines(file):
            if isinstance(one, Finding):
                self._report(one)
            else:
                self._events += 1
                yield one

    def _report(self, finding: Finding) -> None:
        self._findings += 1
        print(json.dumps(finding.as_json()) if self._options.json else finding.sentence)


@contextmanager
def _open(path: str) -> Iterator[BinaryIO]:
    """Open the log, packed or not; `-` is standard input."""
    raw = io.FileIO(0, closefd=False) if path == "-" else io.FileIO(path)
    with io.BufferedReader(raw) as file:
        if file.peek(2)[:2] != _GZIP:
            yield file
            return
        # The second buffer is for reading line by line, which GzipFile does slowly.
        with gzip.GzipFile(fileobj=file) as packed, io.BufferedReader(packed) as unpacked:
            yield unpacked


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="verifier", description=__doc__)
    parser.add_argument(
        "log", metavar="LOG", help="exported log, one event a line; may be gzip; - for standard input"
    )
    parser.add_argument("--checkpoints", type=Path, metavar="DIR", help="a folder of checkpoints")
    parser.add_argument(
        "--public-key", type=Path, metavar="FILE", help="the key, or keys, that sign them (PEM)"
    )
    parser.add_argument("--json", action="store_true", help="findings as JSON, one a line")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
