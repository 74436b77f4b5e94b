"""Puts a new secret of claims in the place of the old one, while workers work: step by step, and resumable.

The steps are the states of `events.person.claims.ClaimState`; where a run was cut off, the rows say. Between
two steps every worker must have read the one before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from pymongo import MongoClient
from pymongo.collection import Collection

from events.person.schema.declarations import PersonSchema
from operations.addresses import DatabaseAddress, claim_names
from operations.log_opening import Opening
from operations.log_reader import connect
from operations.rebuild.connections import Rebuilding
from operations.rebuild.differences import Difference
from operations.rebuild.read_model import ReadModel
from operations.schema.reserving import reserve_for
from service_kit.mongo.claim_secrets import PREFIX, READ_SECONDS, THERE
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import store_errors, writing
from service_kit.seals.kek import Keks
from service_kit.seals.wrapping import SECRETS, bound_to

WAIT_SECONDS: Final = READ_SECONDS + 5.0
"""So long after a step nobody acts by the step before: what is known of the secrets is 10 s old at most."""
Rows = Collection[dict[str, Any]]


def renew_claims(
    address: DatabaseAddress,
    schema: PersonSchema,
    opening: Opening,
    processes: int,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> list[Difference]:
    """Make a new secret, claim all values under it, look them up under it, and destroy the old one.

    Args:
        address: The log, the claims and the keys.
        schema: What a person is.
        opening: Opens sealed values.
        processes: How many walk the people.
        say: Is told what is done.
        pause: Waits so many seconds.

    Returns:
        Who has values that somebody else has: then the old secret stays, and both are claimed under.

    Raises:
        SetupError: It cannot be told what somebody has, or there is no secret yet.
        StoreUnavailable: MongoDB stays away.
    """
    claim_names(schema)  # makes the first secret where no worker did
    with _secrets(address) as rows:
        states = _states(rows)
        if len(states) == 1:
            states = _add(rows, opening.keks, max(states) + 1)
        old, new = sorted(states)
        if states[new] == "made":
            say(f"Secret {new} is made: values are freed under it.")
            pause(WAIT_SECONDS)
            _move(rows, new, "made", "filling")
        if _states(rows)[new] == "filling":
            say(f"Values are claimed under secret {new}, too.")
            pause(WAIT_SECONDS)
            job = Rebuilding(address, schema, opening, claim_names(schema), check=False)
            if found := reserve_for(job, processes):
                return found
            _move(rows, new, "filling", "whole")
        if _states(rows)[old] == "whole":
            say(f"All values are claimed under secret {new}, and looked up under it.")
            pause(WAIT_SECONDS)
            _move(rows, old, "whole", "old")
        pause(WAIT_SECONDS)
        model = ReadModel(address)
        try:
            dropped = model.drop_claims_under(old)
        finally:
            model.close()
        with store_errors():
            gone = {"$set": {"ended_at": datetime.now(UTC)}, "$unset": {"kek": "", "key": ""}}
            rows.update_one({"_id": f"{PREFIX}{old}", "state": "old"}, gone)
        say(f"Secret {old} is destroyed, and {dropped:,} claims under it are gone.")
    return []


@contextmanager
def _secrets(address: DatabaseAddress) -> Iterator[Rows]:
    client: MongoClient[dict[str, Any]] = connect(address)
    try:
        yield writing(client, keys_database(address.database))[SECRETS]
    finally:
        client.close()


def _states(rows: Rows) -> dict[int, str]:
    """Return the state of each secret that is not destroyed, by its number."""
    with store_errors():
        return {int(row["_id"].removeprefix(PREFIX)): row["state"] for row in rows.find(THERE)}


def _add(rows: Rows, keks: Keks, number: int) -> dict[int, str]:
    id_ = f"{PREFIX}{number}"
    kek, wrapped = keks.wrap(os.urandom(32), bound_to(SECRETS, id_))
    with store_errors():
        rows.insert_one({"_id": id_, "state": "made", "kek": kek, "key": wrapped})
    return _states(rows)


def _move(rows: Rows, number: int, before: str, after: str) -> None:
    with store_errors():
        rows.update_one({"_id": f"{PREFIX}{number}", "state": before}, {"$set": {"state": after}})
