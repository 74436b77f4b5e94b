"""Says what became of an imported file, and writes which of its rows were rejected, and why.

Exit status: 0 all rows are in, or would be; 3 some were rejected.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from events.cells import csv_lines, neutralised
from events.imports.states import ERROR_COLUMNS
from operations.errors import SetupError
from operations.terminal import print_progress, print_result, short_path
from operations.transfer.api import Api, Interrupted
from service_kit.files import write_whole

FINE, REJECTED = 0, 3


def tell_result(api: Api, import_id: str, status: Mapping[str, Any], errors: Path | None) -> int:
    """Say what became of an import; return the exit status.

    Args:
        api: Has the errors of its rows.
        import_id: The import.
        status: What the query API tells of it.
        errors: Where to write the errors, if they are wanted.

    Raises:
        SetupError: They cannot be had, or written.
    """
    unchanged = f"{status['unchanged']:,} unchanged, " if status["unchanged"] else ""
    applied = f"{status['applied']:,} applied"
    print_result(f"{status['read']:,} rows: {applied}, {unchanged}{status['rejected']:,} rejected.")
    if status["state"] == "stopped":
        print_progress(f"Stopped: {status['reason']}. Correct it, and go on with --import-id {import_id}.")
    if not status["rejected"]:
        return FINE
    if errors is None:
        print_progress(
            f"Why, row by row: GET /imports/{import_id}/errors, or the same command with --errors FILE."
        )
        return REJECTED
    try:
        with api.answer("GET", f"/imports/{import_id}/errors", {"Accept": "text/csv"}) as response:
            rows = response.read()
    except Interrupted as exc:
        raise SetupError(f"The errors could not be fetched: {exc}.") from exc
    _write_errors(errors, rows, status["rows_left_out"])
    return REJECTED


def tell_checked(told: Mapping[str, Any], errors: Path | None) -> int:
    """Say what a dry run found, of which nothing is kept to ask for later; return the exit status.

    Args:
        told: Its answer.
        errors: Where to write the errors, if they are wanted.

    Raises:
        SetupError: They cannot be written.
    """
    accepted = f"{told['accepted']:,} would be accepted"
    print_result(f"{told['read']:,} rows: {accepted}, {told['rejected']:,} rejected.")
    if told["state"] == "stopped":
        print_progress(f"Stopped: {told['reason']}.")
    if not told["rejected"]:
        return FINE
    if errors is None:
        print_progress("Why, row by row: the same command with --errors FILE.")
    else:
        rows = [[neutralised(str(one[name])) for name in ERROR_COLUMNS] for one in told["errors"]]
        _write_errors(errors, csv_lines([ERROR_COLUMNS, *rows]), told["rows_left_out"])
    return REJECTED


def _write_errors(path: Path, rows: bytes, left_out: int) -> None:
    try:
        write_whole(path, rows)
    except OSError as exc:
        raise SetupError(f"{short_path(path)} cannot be written: {exc.strerror}.") from exc
    more = f", but for {left_out:,} more rows" if left_out else ""
    print_progress(f"Why, row by row: {short_path(path)}{more}")
