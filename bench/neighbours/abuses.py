"""The abuses: each a small function, which does one round of what is not to hurt other subjects."""

from __future__ import annotations

import asyncio
import gzip
import os
import pickle
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Final

import orjson
import uvloop

from bench.neighbours.asking import AbuseJob, Abuser, Answered

EARLY: Final = "2026-01-02T00:00:00Z"
EXPORTS: Final = {"NDJSON": "application/x-ndjson", "CSV": "text/csv"}
NDJSON, CSV = EXPORTS.values()
_rounds = count()


@dataclass(frozen=True, slots=True)
class Abuse:
    """A way to take more than one's share.

    Attributes:
        one_round: Does it once, by one of many clients that do nothing else.
        clients: How many at once.
        held: The setting's name of what may be open at once for one subject, if it keeps answers open.
    """

    one_round: Callable[[Abuser], Awaitable[None]]
    clients: int = 64
    held: str = ""


async def counts(abuser: Abuser) -> None:
    """Count everybody whom no index finds."""
    await abuser.query("/people?gender=F&count=exact")


async def bounded_counts(abuser: Abuser) -> None:
    """Count as dashboards do."""
    await abuser.query("/people?address.exists=true&count=true")


async def searches(abuser: Abuser) -> None:
    """Search for what a million people have."""
    await abuser.query("/people?q=a&count=true&limit=200")


async def unselective_filters(abuser: Abuser) -> None:
    """Ask for what nobody has in an order that does not help, so that everybody is looked at."""
    filters = "gender=No+binario&middle_name.exists=false&address.exists=false"
    await abuser.query(f"/people?{filters}&sort=birth_date,-created_at")


async def event_searches(abuser: Abuser) -> None:
    """Search the log by what no one index has."""
    await abuser.query("/events?actor=bench&type=person.deleted&limit=200")


async def unread_exports(abuser: Abuser) -> None:
    """Begin an export, and read nothing of it."""
    await abuser.hold("/people/export", accept=NDJSON)


async def read_exports(abuser: Abuser) -> None:
    """Export everybody, as fast as it comes."""
    await abuser.query("/people/export", accept=CSV)


async def streams(abuser: Abuser) -> None:
    """Follow the events, with every client that one can have."""
    await abuser.hold("/events/stream")


async def replays(abuser: Abuser) -> None:
    """Have all events from the first one on, and read none."""
    await abuser.hold("/events/stream?from=first")


async def histories(abuser: Abuser) -> None:
    """Read the history of somebody with very many versions, and what they were."""
    for what in ("/history?limit=50", f"?version={abuser.job.versions - 1}", f"?as_of={EARLY}"):
        await abuser.query(f"/people/{abuser.job.old}{what}")


async def histories_from_the_start(abuser: Abuser) -> None:
    """Read what somebody was of whom no milestones are kept."""
    await abuser.query(f"/people/{abuser.job.oldest}?version={abuser.job.versions}")


async def quoted_imports(abuser: Abuser) -> None:
    """Import a million cells with stray quotes, a few KB when packed."""
    await abuser.imported(_quotes())


async def blank_imports(abuser: Abuser) -> None:
    """Import nothing but ends of lines."""
    await abuser.imported(_newlines())


async def unknown_imports(abuser: Abuser) -> None:
    """Import rows in which every name is unknown."""
    await abuser.imported(_unknown(), kind="application/x-ndjson")


async def logins(abuser: Abuser) -> None:
    """Log in as somebody, with another password each time."""
    body = orjson.dumps({"name": "somebody", "password": f"another {next(_rounds)} word"})
    await abuser.login(body)


READS: Final = {
    "counts": Abuse(counts),
    "bounded counts": Abuse(bounded_counts),
    "searches": Abuse(searches),
    "unselective filters": Abuse(unselective_filters),
    "searches in the log": Abuse(event_searches),
    "exports not read": Abuse(unread_exports, held="exports_at_once"),
    "exports": Abuse(read_exports, clients=8),
    "streams": Abuse(streams, clients=256, held="streams_at_once"),
    "replays": Abuse(replays),
    "long histories": Abuse(histories),
    "long histories without milestones": Abuse(histories_from_the_start),
}
WRITES: Final = {
    "imports of stray quotes": Abuse(quoted_imports, clients=4),
    "imports of blank lines": Abuse(blank_imports, clients=4),
    "imports of unknown names": Abuse(unknown_imports, clients=4),
    "log-ins": Abuse(logins, clients=16),
}
ABUSES: Final = {**READS, **WRITES}


@cache
def _quotes() -> bytes:
    row = b'"a"b,"c"d,"e"f\r\n'
    return gzip.compress(b"first_name,last_name,address\r\n" + row * 300_000, 9)


@cache
def _newlines() -> bytes:
    return gzip.compress(b"first_name,last_name\r\n" + b"\n" * 64_000_000, 9)


@cache
def _unknown() -> bytes:
    row = orjson.dumps({f"unknown_{number}": "x" for number in range(2_000)}) + b"\n"
    return gzip.compress(row * 500, 9)


async def abuse(job: AbuseJob) -> Answered:
    """Do an abuse in a loop, with all its clients at once, for as long as the job says."""
    chosen, abuser = ABUSES[job.name], Abuser(job)

    async def client() -> None:
        while True:
            await chosen.one_round(abuser)

    clients = [asyncio.create_task(client()) for _ in range(chosen.clients)]
    done, _ = await asyncio.wait(clients, timeout=job.seconds, return_when=asyncio.FIRST_EXCEPTION)
    for one in clients:
        one.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    for one in done:
        one.result()
    return abuser.answered


def main() -> None:
    """Read a job from standard input, do it, write what was answered to standard output."""
    os.nice(10)  # an abuser has processors of its own
    job = pickle.load(sys.stdin.buffer)
    sys.stdout.buffer.write(pickle.dumps(uvloop.run(abuse(job))))


if __name__ == "__main__":
    # As an import, so that the classes have the same names here and where the result is read.
    from bench.neighbours import abuses

    abuses.main()
