"""Waits until every worker that lives goes by what is on record of the person schema."""

import time
from collections.abc import Callable
from typing import Final

from operations.addresses import DatabaseAddress
from operations.errors import SetupError
from operations.log_reader import connect, refusals
from operations.terminal import print_progress
from service_kit.mongo.connection import reading
from service_kit.mongo.worker_rows import SILENT_SECONDS, WORKERS

_LOOK_SECONDS: Final = 0.5
_SAY_SECONDS: Final = 10.0
Rows = dict[str, tuple[int, int]]
"""By worker: the place in the record by which it goes, and its beat."""


class Behind:
    """Tells who does not go by the record yet: a worker counts until its beat has not changed for long.

    Args:
        step: The place in the record.
        clock: A monotonic one, in seconds. No clock of a worker's is compared with it.
    """

    def __init__(self, step: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._step, self._clock = step, clock
        self._seen: dict[str, tuple[int, float]] = {}

    def look(self, rows: Rows) -> list[str]:
        """Return the workers that do not go by it, and may live, by what is on record now."""
        now = self._clock()
        behind = []
        for name, (step, beat) in rows.items():
            if step >= self._step:
                continue
            last, since = self._seen.get(name, (None, now))
            if last != beat:
                self._seen[name] = beat, since = beat, now
            if now - since < SILENT_SECONDS:
                behind.append(name)
        return sorted(behind)


def wait_for_workers(address: DatabaseAddress, step: int, seconds: float) -> None:
    """Return once every worker that lives goes by a place in the record.

    Args:
        address: Where the workers are on record.
        step: The place.
        seconds: How long at most.

    Raises:
        SetupError: One does not; it is named.
        StoreUnavailable: MongoDB is away.
    """
    behind = Behind(step)
    began = said = time.monotonic()
    with connect(address) as client:
        rows = reading(client, address.database, strong=True)[WORKERS]
        while True:
            with refusals():
                found = {one["_id"]: (one["step"], one["beat"]) for one in rows.find()}
            left = behind.look(found)
            now = time.monotonic()
            if not left:
                return
            names = ", ".join(left)
            if now - began >= seconds:
                raise SetupError(
                    f"After {seconds:.0f} s, not every worker goes by what is on record: {names}. See that "
                    "they are started anew when they end, and apply again, or withdraw it."
                )
            if now - said >= _SAY_SECONDS:
                print_progress(f"Waiting for workers to go by what is on record: {names}.")
                said = now
            time.sleep(_LOOK_SECONDS)
