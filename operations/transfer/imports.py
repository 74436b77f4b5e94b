"""The verb that imports a file: sends it, goes on where it was cut, waits until all of it is applied.

Exit status: 0 all rows are in; 1 it could not be done; 3 some rows were rejected.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from events.imports.files import ENDINGS, PACKED, WORKBOOK, form_named
from events.imports.states import OVER_BUDGET, UNREADABLE_FILE
from operations.errors import SetupError
from operations.progress_bar import ProgressBar
from operations.terminal import print_progress, print_result, short_path
from operations.transfer.api import Api, Interrupted, Unreachable, add_api, find_api, target_of
from operations.transfer.import_results import tell_checked, tell_result
from service_kit.ids import derived_id, new_id
from service_kit.retries import Patience

_PATIENCE_S = 60.0
_PART = 1 << 16
_POLL_S = 0.5
_SHOWN = 100
"""Characters of a value that a dry run prints."""


@dataclass(frozen=True)
class File:
    """What is sent.

    Attributes:
        path: Where it is.
        headers: What it is.
        size: Its bytes.
    """

    path: Path
    headers: dict[str, str]
    size: int

    @classmethod
    def find(cls, path: Path, encoding: str | None) -> File:
        """Look at a file.

        Args:
            path: Where it is.
            encoding: That it is in; None leaves it to the API to find out.

        Raises:
            SetupError: It cannot be read, or its name does not say what it is.
        """
        form, packed = form_named(path.name)
        if form is None:
            raise SetupError(
                f"{short_path(path)}: the name must end with {', '.join(ENDINGS)}, or that and {PACKED}."
            )
        charset = "" if encoding is None else f"; charset={encoding}"
        headers = {
            "Content-Type": f"{form}{charset}",
            **({"Content-Encoding": "gzip"} if packed else {}),
        }
        try:
            with path.open("rb"):
                return cls(path, headers, path.stat().st_size)
        except OSError as exc:
            raise SetupError(f"{short_path(path)} cannot be read: {exc.strerror}.") from exc

    @property
    def has_lines(self) -> bool:
        """Return whether its rows can be counted while it is sent."""
        return "Content-Encoding" not in self.headers and self.headers["Content-Type"] != WORKBOOK

    def parts(self, bar: ProgressBar) -> Iterator[bytes]:
        """Yield it part by part; the bar shows how much of it was taken."""
        sent = rows = 0
        with self.path.open("rb") as content:
            while part := content.read(_PART):
                yield part
                sent, rows = sent + len(part), rows + part.count(b"\n")
                bar.show(sent / self.size, rows if self.has_lines else sent)


def add_import(parser: argparse.ArgumentParser) -> None:
    """Options of `import`."""
    parser.add_argument(
        "file", type=Path, metavar="FILE", help=f"ends with {', '.join(ENDINGS)}, also {PACKED}"
    )
    parser.add_argument(
        "--upsert", action="store_true", help="a row with the id of a person who exists changes them"
    )
    parser.add_argument("--stop", action="store_true", help="read no further than the first invalid row")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only check the rows, and show how the first are understood",
    )
    parser.add_argument("--columns", metavar="LIST", help="take these columns alone, separated by commas")
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="TITLE=FIELD",
        help="what a column is: Correo=email; Notas= leaves it out; may be repeated",
    )
    parser.add_argument("--sheet", metavar="NAME", help="of a workbook (default: the first)")
    parser.add_argument(
        "--encoding",
        metavar="NAME",
        help="of the file: windows-1252, say (default: UTF-8, or by its mark)",
    )
    parser.add_argument("--errors", type=Path, metavar="FILE", help="write what was rejected there, as CSV")
    parser.add_argument(
        "--import-id",
        type=_uuid,
        metavar="UUID",
        help="default: made by the API of the file, these options and who asks, so that the same again "
        "doubles nothing",
    )
    add_api(parser)


def import_(options: argparse.Namespace) -> int:
    """Import a file."""
    file = File.find(options.file, options.encoding)
    api = find_api(options, "people:write", "people:read")
    query = {
        "mode": "upsert" if options.upsert else "create",
        "dry_run": "true" if options.dry_run else "false",
        "columns": options.columns,
    }
    query |= {name: value for name, value in (("map", options.map), ("sheet", options.sheet)) if value}
    # The API makes the import's id of the key, by a secret: one made of the file alone would tell for ever,
    # to those who can guess, what was in it.
    again = {} if options.import_id else {"Idempotency-Key": _key_of(file, query)}
    if options.url:
        api.require(f"/imports/{options.import_id or new_id()}")  # before the rows go to one API alone
    query |= {"on_error": "stop" if options.stop else "continue", "import_id": options.import_id}
    told = _read(api, file, query, again)
    import_id = told["import_id"]
    print_progress(f"Import {import_id}")
    _show(told.get("first_rows", []))
    if options.dry_run:
        return tell_checked(told, options.errors)
    status = _applied(api, import_id, told)
    return tell_result(api, import_id, status, options.errors)


def _read(api: Api, file: File, query: dict[str, Any], again: dict[str, str]) -> dict[str, Any]:
    """Send the file, again from the beginning while it is cut: the API skips what it has."""
    patience, began, read = Patience(_PATIENCE_S), False, -1
    what = "rows sent" if file.has_lines else "bytes sent"
    while True:
        try:
            told = _send(api, file, query, again, what)
            if told["state"] != "interrupted":
                return told
            reason = str(told.get("reason", "it was interrupted"))
            if told.get("code") == UNREADABLE_FILE:
                raise SetupError(
                    f"Import {told['import_id']} ended early: {reason}. The {told['read']:,} rows before "
                    "that are in; the same command with the right --encoding goes on there."
                )
            if told.get("code") == OVER_BUDGET and told["read"] <= read:
                raise SetupError(
                    f"Import {told['import_id']} ended early: {reason}. The {told['read']:,} rows before "
                    "that are in."
                )
            if told["read"] > read:
                read = told["read"]
                patience.renew()
        except Interrupted as exc:
            if isinstance(exc, Unreachable) and not began:
                raise SetupError(f"{exc}: start it with `./run up`, or name another with --url.") from exc
            reason = str(exc)
        began = True
        pause = patience.pause()
        if pause is None:
            raise SetupError(f"Interrupted: {reason}. The same command goes on where it was cut.")
        print_progress(f"Interrupted: {reason}; going on in {pause:.1f} s …")
        time.sleep(pause)


def _send(api: Api, file: File, query: dict[str, Any], again: dict[str, str], what: str) -> dict[str, Any]:
    with ProgressBar(what) as bar:
        target = target_of("/people/import", **query)
        with api.answer("POST", target, {**file.headers, **again}, file.parts(bar)) as response:
            return _json(response.read())


def _json(body: bytes) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(body)
    except ValueError:
        raise Interrupted("the answer broke off") from None
    return told


def _show(rows: list[dict[str, Any]]) -> None:
    """Print the first rows of a dry run as they are understood."""
    for row in rows:
        values = [
            f"{name}={str(value)[:_SHOWN]}" for name, value in row["values"].items() if value is not None
        ]
        values += [f"{one['field']} {one['reason']}" for one in row["errors"]]
        print_result(f"Row {row['row']}: {'; '.join(values)}")


def _applied(api: Api, import_id: str, told: dict[str, Any]) -> dict[str, Any]:
    """Wait until every row is decided, and return what the query API tells of the import."""
    if told["state"] == "failed":
        raise SetupError(f"Import {import_id}: {told['reason']}; give it an id of its own with --import-id.")
    deadline, last = time.monotonic() + _PATIENCE_S, -1
    with ProgressBar("rows applied") as bar:
        while True:
            try:
                with api.answer("GET", f"/imports/{import_id}", {}) as response:
                    status = _json(response.read())
                if status["state"] in ("finished", "stopped"):
                    return status
                decided = status["applied"] + status["unchanged"] + status["refused"]
                if decided != last:
                    last, deadline = decided, time.monotonic() + _PATIENCE_S
                bar.show(decided / (status["accepted"] or 1), status["applied"])
                reason = "no worker applies them"
            except Interrupted as exc:
                reason = str(exc)
            if time.monotonic() > deadline:
                raise SetupError(
                    f"All rows were accepted, but not all of them are applied: {reason}. "
                    "The same command waits for them."
                )
            time.sleep(_POLL_S)


def _key_of(file: File, query: dict[str, Any]) -> str:
    """Return what a file and the options make: the same again is the same import."""
    with file.path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return derived_id("file", digest, *(str(value) for value in query.values()))


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError("name a UUID") from None
