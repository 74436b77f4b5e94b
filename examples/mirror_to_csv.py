"""Keeps a CSV file of everybody: `python -m examples.mirror_to_csv mirror.csv`; goes on where it was."""

import asyncio
import csv
import io
import os
import sys
from pathlib import Path

from service_kit.files import write_whole
from subscriber import Event, EventOpener, SavedPosition, follow

COLUMNS = ["id", "version", "document_type", "document_id", "first_name", "last_name", "email"]
file = Path(sys.argv[1] if len(sys.argv) > 1 else "mirror.csv")
people: dict[str, dict[str, str]] = {}


async def mirror(event: Event) -> None:
    """Bring one person up to date; an event that came before changes nothing."""
    if event["type"] in ("person.held", "person.hold_lifted"):
        return  # nothing of this file changes
    known = people.get(event["subject"], {"id": event["subject"], "version": "0"})
    if event["type"] in ("person.deleted", "person.erased"):
        people.pop(event["subject"], None)
    elif event["version"] > int(known["version"]):
        people[event["subject"]] = {**known, **event["data"], "version": str(event["version"])}


class Mirror(SavedPosition):
    """Writes the file before the place that it stands for."""

    def save(self, position: str) -> None:
        """Keep both."""
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(people.values())
        write_whole(file, text.getvalue())
        super().save(position)


if __name__ == "__main__":
    url = os.environ.get("ROLLCALL_AMQP_URL") or sys.exit("Set ROLLCALL_AMQP_URL: `./run broker` prints it.")
    opener = EventOpener.of_environment() or sys.exit(
        "Set ROLLCALL_QUERY_URL, and ROLLCALL_SUBSCRIBER_TOKEN_FILE: a file with the token that opens events."
    )
    if file.exists():
        rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
        if rows.fieldnames != COLUMNS:
            sys.exit(f"{file} is no mirror, an export perhaps: name another file, and this one is kept.")
        people = {row["id"]: row for row in rows}
    place = Mirror(file.with_suffix(".position"))
    try:
        print("Waiting for changes; Ctrl-C ends this.", file=sys.stderr)
        asyncio.run(follow(url, "mirror", mirror, place, opener=opener))
    except KeyboardInterrupt:
        sys.exit(130)
