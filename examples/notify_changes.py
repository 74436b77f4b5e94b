"""Prints who changed what, as it happens: `python -m examples.notify_changes`."""

import asyncio
import os

from subscriber import Event, subscribe


async def notify(event: Event) -> None:
    """Tell one change; a real one would send a mail, and raise if that failed."""
    fields = ", ".join(event["data"]) or "nothing more"
    print(f"{event['time']} {event['actor']} {event['type']} {event['subject']}: {fields}", flush=True)


if __name__ == "__main__":
    asyncio.run(
        subscribe(
            os.environ["ROLLCALL_AMQP_URL"], "notify", notify, topics=["person.updated", "person.deleted"]
        )
    )
