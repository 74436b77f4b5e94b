"""The verb that exports people: to a file that is whole or not there, or to standard output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import BinaryIO

from cli.api import Interrupted, add_api, find_api, target_of
from cli.meter import Meter
from local.errors import SetupError
from local.say import say, shown
from service_kit.files import whole_file

_FORMS = {"csv": "text/csv", "ndjson": "application/x-ndjson"}
_PART = 1 << 16


def add_export(parser: argparse.ArgumentParser) -> None:
    """Options of `export`."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--format", choices=tuple(_FORMS), help="default: by the file's name, else ndjson")
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        type=_filter,
        metavar="NAME=VALUE",
        help="a filter of GET /people: gender=F, q=ana, created_from=2026-01-01T00:00:00Z; may be repeated",
    )
    add_api(parser)


def export(options: argparse.Namespace) -> int:
    """Export people."""
    path: Path | None = options.file
    form = options.format or ("csv" if path is not None and path.suffix == ".csv" else "ndjson")
    api = find_api(options, "people:read")
    headers = {"Accept": _FORMS[form]}
    target = target_of("/people/export", **dict(options.filter))
    if path is not None and path.exists() and not path.is_file():
        raise SetupError(f"{shown(path)} is no file.")
    try:
        with api.answer("GET", target, headers) as response, ExitStack() as stack:
            out = sys.stdout.buffer
            if path is not None:
                with _writing():
                    out = stack.enter_context(whole_file(path))
            lines = _copy(response, out)
            with _writing():
                stack.close()
    except Interrupted as exc:
        raise SetupError(f"The export is not whole: {exc}. Run it again.") from exc
    say(f"{lines - (form == 'csv'):,} people{'' if path is None else f' in {shown(path)}'}.")
    return 0


@contextmanager
def _writing() -> Iterator[None]:
    """Tell a file that cannot be written from an API that does not answer: the system's errors are alike."""
    try:
        yield
    except OSError as exc:
        raise SetupError(f"The export cannot be written: {exc.strerror}.") from exc


def _copy(response: HTTPResponse, out: BinaryIO) -> int:
    lines = 0
    with Meter("people") as meter:
        while part := response.read(_PART):
            with _writing():
                out.write(part)
                out.flush()
            lines += part.count(b"\n")
            meter.show(None, lines)
    return lines


def _filter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("write NAME=VALUE")
    return name, value
