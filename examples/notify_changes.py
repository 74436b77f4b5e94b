"""Prints who changed what, as it happens: `python -m examples.notify_changes`."""

import asyncio
import os
import sys

from subscriber import Event, subscribe


async def notify(event: Event) -> None:
    """Tell one change; a real one would send a mail, and raise if that failed."""
    # Their names are in the clear; who wants the values gives `subscribe` an `EventOpener`.
    sealed = [name for name in event["sealedfields"] if not name.startswith("@")]
    fields = ", ".join([*event["data"], *sealed]) or "nothing more"
    print(f"{event['time']} {event['actor']} {event['type']} {event['subject']}: {fields}", flush=True)


if __name__ == "__main__":
    url = os.environ.get("ROLLCALL_AMQP_URL") or sys.exit("Set ROLLCALL_AMQP_URL: `./run broker` prints it.")
    try:
        print("Waiting for changes; Ctrl-C ends this.", file=sys.stderr)
        asyncio.run(subscribe(url, "notify", notify, topics=["person.updated", "person.deleted"]))
    except KeyboardInterrupt:
        sys.exit(130)
