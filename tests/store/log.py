"""A log of its own for each test, filled as a worker fills it, and the operator's verbs on it."""

import asyncio
import io
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from unittest.mock import patch

from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from command_api.accounts.account_log import AccountLog
from events.accounts.event import AccountFact, Origin, account_stream
from events.times import to_milliseconds
from operations.__main__ import main
from operations.addresses import DatabaseAddress
from service_kit.ids import new_id
from tests.store.given import create, delete, run, update
from tests.system import ROOT, eventually
from workers.store import Store


class Log:
    """A log of its own, and the verbs on it."""

    def __init__(self, system, store: Store, name: str) -> None:
        state = system.directory / "state"
        self.environment = system.environment(name, ROLLCALL_STATE_DIR=str(state), ROLLCALL_PERSON_SCHEMA="")
        # The feed is that of the other logs on these servers: what proves this one does not look at it.
        self.alone = {**self.environment, "ROLLCALL_AMQP_URL": ""}
        self.resume_file = state / f"rebuild-{name}.json"
        self.store, self.address = store, DatabaseAddress(system.mongo.uri, name)

    async def fill(self, people: int = 12) -> list[str]:
        """Add people with one to three events each; return their ids."""
        commands = [create() for _ in range(people)]
        ids = [command.person_id for command in commands]
        commands += [update(ids[n], address=f"Calle {n}") for n in range(0, people, 2)]
        commands += [delete(ids[n]) for n in range(0, people, 4)]
        await run(self.store, *commands)
        return sorted(ids)

    async def fill_accounts(self, client, names: Sequence[str]) -> None:
        """Add the streams of some accounts, two events each."""
        kept = AccountLog(client, self.address.database, lambda: datetime.now(UTC), new_id)
        for name in names:
            for kind in ("account.created", "account.roles_set"):
                now = to_milliseconds(datetime.now(UTC))
                fact = AccountFact(
                    account_stream(name), kind, {"roles": "viewer"}, new_id(), now, Origin("test")
                )
                await kept.append(fact)

    async def command(self, *words):
        """Run a verb; return its status, and what it found."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "operations", *map(str, words)),
            cwd=ROOT,
            env={**os.environ, **self.alone},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert b"Traceback" not in err, err.decode()
        return process.returncode, out.decode().splitlines(), err.decode()

    async def here(self, *words) -> tuple[int, list[str], str]:
        """Return what `command` does, of a verb that runs in this process, which is quicker."""
        status, out, err = await self.inside(*words, environment=self.alone)
        return status, out.decode().splitlines(), err

    async def inside(self, *words, environment=None) -> tuple[int, bytes, str]:
        """Run a verb in this process, which is quicker; return its status, its output, and what it said."""

        def run_it():
            with (
                patch.dict(os.environ, environment or self.environment),
                patch("signal.signal"),  # this is not the main thread
                redirect_stdout(io.TextIOWrapper(io.BytesIO())) as out,
                redirect_stderr(io.StringIO()) as err,
            ):
                status = main(list(map(str, words)))
                out.flush()
                return status, out.buffer.getvalue(), err.getvalue()

        return await asyncio.to_thread(run_it)

    async def rebuild(self, *words) -> tuple[set[tuple[str, ...]], str]:
        """Rebuild; return what still differs, and what it said."""
        status, out, err = await self.inside("rebuild", "--json", "--jobs", "1", *words)
        found = [json.loads(line) for line in out.splitlines()]
        assert status == (1 if found else 0), err
        return {(one["person_id"], one["kind"], *one.get("fields", ())) for one in found}, err

    async def differences(self) -> set[tuple[str, ...]]:
        """Compare, writing nothing; return what differs."""
        return (await self.rebuild("--check"))[0]

    async def verify(self, *words):
        return findings(await self.here("verify", "--json", "--jobs", "1", *words))

    async def found(self, *words):
        """What is found once the secondaries have what was done to the log."""
        return await eventually(lambda: self.verify(*words))


def findings(done) -> set[tuple[str | None, int | None, str]]:
    """Return what `verify --json` found: person, version and kind."""
    status, out, err = done
    found = [json.loads(line) for line in out]
    assert status == (1 if found else 0), err
    return {(one.get("person_id"), one.get("version"), one["kind"]) for one in found}


def harm(log: Log, do, collection: str = "events") -> None:
    """Do something to the log or another collection, as one who has MongoDB."""
    with MongoClient(log.address.uri) as client:
        database = client.get_database(log.address.database, write_concern=WriteConcern(w="majority"))
        do(database[collection])
