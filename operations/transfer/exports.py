"""The verb that exports people, or events: to a file that is whole or not there, or to standard output."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPResponse
from pathlib import Path
from typing import BinaryIO

from operations.errors import SetupError
from operations.progress_bar import ProgressBar
from operations.terminal import print_progress, short_path
from operations.transfer.api import Interrupted, add_api, find_api, target_of
from service_kit.files import whole_file

_FORMS = {
    "csv": "text/csv",
    "ndjson": "application/x-ndjson",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_PART = 1 << 16


def add_export(parser: argparse.ArgumentParser) -> None:
    """Options of `export`."""
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument(
        "--format", choices=tuple(_FORMS), help="default: by the file's ending, .csv, .ndjson or .xlsx"
    )
    parser.add_argument(
        "--bom", action="store_true", help="begin CSV with a byte order mark, as some spreadsheets want it"
    )
    parser.add_argument(
        "--filter",
        action="append",
        default=[],
        type=_filter,
        metavar="NAME=VALUE",
        help="a filter of GET /people: gender=F, q=ana, created_from=2026-01-01T00:00:00Z; with --events, of "
        "GET /events: person_id=ID; may be repeated",
    )
    parser.add_argument(
        "--events", action="store_true", help="events of the log, for `python -m verifier`, and no people"
    )
    parser.add_argument(
        "--opened", action="store_true", help="with --events: the sealed values, too, and what proves them"
    )
    parser.add_argument(
        "--withhold", metavar="FIELDS", help="with --opened: commitments in place of these, comma-separated"
    )
    add_api(parser)


def export(options: argparse.Namespace) -> int:
    """Export people, or events."""
    path: Path | None = options.file
    if path is not None and path.exists() and not path.is_file():
        raise SetupError(f"{short_path(path)} is no file.")
    form = options.format or form_of(path)
    what = "events" if options.events else "people"
    target = export_target(options, form)
    api = find_api(options, "audit:read" if options.events else "people:read")
    headers = {"Accept": _FORMS[form]}
    try:
        with api.answer("GET", target, headers) as response, ExitStack() as stack:
            out = sys.stdout.buffer
            if path is not None:
                with _writing():
                    out = stack.enter_context(whole_file(path))
            lines = _copy(response, out, what)
            with _writing():
                stack.close()
    except Interrupted as exc:
        raise SetupError(f"The export is not whole: {exc}. Run it again.") from exc
    count = "People" if form == "xlsx" else f"{lines - (form == 'csv'):,} {what}"
    print_progress(f"{count}{'' if path is None else f' in {short_path(path)}'}.")
    return 0


def export_target(options: argparse.Namespace, form: str) -> str:
    """Return the path and query of an export.

    Raises:
        SetupError: Options do not go together.
    """
    if options.bom and form != "csv":
        raise SetupError("A byte order mark (--bom) goes with CSV alone.")
    if options.events and form == "xlsx":
        raise SetupError("Events (--events) go into .ndjson or .csv.")
    if (options.opened and not options.events) or (options.withhold and not options.opened):
        raise SetupError("--opened belongs to --events, and --withhold to --opened.")
    query = dict(options.filter)
    if options.opened:
        query["opened"] = "true"
    if options.withhold:
        query["withhold"] = options.withhold
    path = "/events" if options.events else "/people/export"
    return target_of(path, **query, bom="true" if options.bom else None)


def form_of(path: Path | None) -> str:
    """Return the form that a file's name asks for; standard output gets lines of JSON.

    Raises:
        SetupError: Its ending is that of no form.
    """
    if path is None:
        return "ndjson"
    form = path.suffix.lower().removeprefix(".")
    if form not in _FORMS:
        endings = " or ".join(f".{known}" for known in _FORMS)
        raise SetupError(
            f"{short_path(path)} does not end in {endings}: give it one of these endings, or choose with "
            f"--format {' or --format '.join(_FORMS)}."
        )
    return form


@contextmanager
def _writing() -> Iterator[None]:
    """Tell a file that cannot be written from an API that does not answer: the system's errors are alike."""
    try:
        yield
    except OSError as exc:
        raise SetupError(f"The export cannot be written: {exc.strerror}.") from exc


def _copy(response: HTTPResponse, out: BinaryIO, what: str) -> int:
    lines = 0
    with ProgressBar(what) as bar:
        while part := response.read(_PART):
            with _writing():
                out.write(part)
                out.flush()
            lines += part.count(b"\n")
            bar.show(None, lines)
    return lines


def _filter(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError("write NAME=VALUE")
    return name, value
