"""Clients that change people, insist until they are answered, and note what they were promised."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx

from bench.campaign.asking import AGAIN, Asked, Where
from bench.campaign.promises import Promise
from tests.system import new_person

LOOK_SECONDS = 60.0
"""How long a client that was told of a change tries to read it."""
_PEOPLE = 40
_REPEATABLE = 30


class Editor:
    """One client: it changes people of its own, and some that all editors share, one command after the other.

    Args:
        where: The APIs.
        name: Its own.
        seed: What it chooses by.
        shared: Ids of people whom every editor changes and none deletes.
        pace: Seconds between its commands.
        patience: Seconds that it waits for an answer before it repeats the request.
    """

    def __init__(
        self, where: Where, name: str, seed: str, shared: list[str], *, pace: float, patience: float
    ) -> None:
        self._where, self.name, self._shared = where, name, shared
        self._dice = random.Random(seed)
        self._pace, self._patience = pace, patience
        self._people: list[str] = []
        self._versions: dict[str, int] = {}
        self._repeatable: deque[tuple[Asked, str]] = deque(maxlen=_REPEATABLE)
        self._count = 0

    async def run(self) -> None:
        """Change people until told to stop."""
        where = self._where
        async with (
            where.client(where.commands, self._patience) as commands,
            where.client(where.queries, 10) as queries,
        ):
            self._commands, self._queries = commands, queries
            while not where.stop.is_set():
                began = time.monotonic()
                await self._choose()()
                pause = self._pace * self._dice.uniform(0.5, 1.5) - (time.monotonic() - began)
                await asyncio.sleep(max(0.005, pause))

    def _choose(self) -> Callable[[], Any]:
        if len(self._people) < 5:
            return self._create
        share = self._dice.random()
        for most, action in (
            (0.25, self._create),
            (0.60, self._update),
            (0.70, self._update_shared),
            (0.78, self._update_if_match),
            (0.84, self._revert),
            (0.88, self._delete),
            (0.94, self._repeat),
        ):
            if share < most:
                return action
        return self._ask_once

    def _mark(self) -> str:
        self._count += 1
        return f"Calle {self.name}-{self._count}"

    def _asked(self, method: str, path: str, **more: Any) -> Asked:
        wait = self._dice.choice((0, 0, 0, 10))
        return Asked(method, path, str(uuid4()), more, wait, more.pop("if_match", None))

    async def _create(self) -> None:
        mark = self._mark()
        asked = self._asked("POST", "/people", json=new_person(address=mark))
        person_id = await self._insist(asked, None, "create", mark, must_apply=True)
        if person_id is not None:
            self._people.append(person_id)
            del self._people[:-_PEOPLE]

    async def _update(self) -> None:
        person_id, mark = self._dice.choice(self._people), self._mark()
        asked = self._asked("PATCH", f"/people/{person_id}", json={"address": mark})
        await self._insist(asked, person_id, "update", mark, must_apply=True)

    async def _update_shared(self) -> None:
        person_id, mark = self._dice.choice(self._shared), self._mark()
        if_match = self._dice.choice((None, None, self._versions.get(person_id, 1)))
        asked = self._asked("PATCH", f"/people/{person_id}", json={"address": mark}, if_match=if_match)
        await self._insist(asked, person_id, "update", mark, must_apply=if_match is None)

    async def _update_if_match(self) -> None:
        person_id, mark = self._dice.choice(self._people), self._mark()
        version = self._versions.get(person_id, 1)
        asked = self._asked("PATCH", f"/people/{person_id}", json={"address": mark}, if_match=version)
        await self._insist(asked, person_id, "update", mark, must_apply=False)

    async def _revert(self) -> None:
        person_id, mark = self._dice.choice(self._people), self._mark()
        asked = self._asked("PATCH", f"/people/{person_id}", json={"address": mark})
        if await self._insist(asked, person_id, "update", mark, must_apply=True):
            asked = self._asked("POST", f"/people/{person_id}/revert", json={"to_version": 1})
            await self._insist(asked, person_id, "revert", None, must_apply=True)

    async def _delete(self) -> None:
        person_id = self._dice.choice(self._people)
        self._people.remove(person_id)
        await self._insist(
            self._asked("DELETE", f"/people/{person_id}"), person_id, "delete", None, must_apply=True
        )

    async def _repeat(self) -> None:
        """Send a request of before again: it must be the same command, whatever has happened since."""
        if not self._repeatable:
            return
        asked, command_id = self._dice.choice(self._repeatable)
        headers = {**asked.headers, "Prefer": "wait=0"}
        answer = await self._where.ask(
            self._commands, asked.method, asked.path, headers=headers, **asked.more
        )
        if answer is not None and answer.status_code == 202 and answer.json()["command_id"] != command_id:
            self._where.promises.broke(
                "another command for a key", f"{asked.method} {asked.path}: {command_id} and {answer.text}"
            )

    async def _ask_once(self) -> None:
        """Change somebody, and never ask again if there is no answer: nobody knows what became of it."""
        person_id, mark = self._dice.choice(self._people), self._mark()
        asked = self._asked("PATCH", f"/people/{person_id}", json={"address": mark})
        answer = await self._where.ask(
            self._commands, "PATCH", asked.path, headers=asked.headers, json={"address": mark}
        )
        if answer is not None and answer.status_code not in AGAIN:
            await self._take(answer, asked, person_id, "update", mark, must_apply=True)

    async def _insist(
        self, asked: Asked, person_id: str | None, kind: str, mark: str | None, *, must_apply: bool
    ) -> str | None:
        """Send a request until it is answered; return the person's id if the command was acknowledged."""
        where, pause = self._where, 0.1
        while not where.give_up.is_set():
            answer = await where.ask(
                self._commands, asked.method, asked.path, headers=asked.headers, **asked.more
            )
            if answer is not None and answer.status_code not in AGAIN:
                return await self._take(answer, asked, person_id, kind, mark, must_apply=must_apply)
            where.promises.counts["asked again"] += 1
            await asyncio.sleep(pause * self._dice.uniform(0.5, 1.5))
            pause = min(1.0, pause * 2)
        where.promises.counts["never answered"] += 1
        return None

    async def _take(
        self,
        answer: httpx.Response,
        asked: Asked,
        person_id: str | None,
        kind: str,
        mark: str | None,
        *,
        must_apply: bool,
    ) -> str | None:
        """Note what an answer promises, and see that it holds."""
        promises, status = self._where.promises, answer.status_code
        if status >= 400:
            promises.counts["refused when waited for"] += 1
            if mark is not None:
                promises.refused.add(mark)
            if must_apply or status not in (404, 409, 412, 422):
                promises.broke("refused wrongly", f"{kind} {person_id} {mark}: {status} {answer.text[:300]}")
            return None
        body = answer.json()
        person_id = person_id or body.get("person_id") or body["id"]
        command_id = body.get("command_id") or answer.headers["x-command-id"]
        version = None if status == 202 else int(answer.headers["etag"].strip('"'))
        promise = Promise(person_id, kind, mark, must_apply, version)
        promises.acknowledge(command_id, self.name, promise)
        self._repeatable.append((asked, command_id))
        if version is not None:
            self._versions[person_id] = version
            if person_id not in self._shared:
                await self._look(person_id, version, deleted=kind == "delete")
        return person_id

    async def _look(self, person_id: str, version: int, *, deleted: bool) -> None:
        """Read what a waited answer told of: the first answer there is must show it."""
        where, began = self._where, time.monotonic()
        while time.monotonic() - began < LOOK_SECONDS and not where.give_up.is_set():
            asked = time.monotonic()
            answer = await where.ask(self._queries, "GET", f"/people/{person_id}")
            if answer is not None and answer.status_code in (200, 404):
                break
            await asyncio.sleep(0.1)
        else:
            return
        where.promises.counts["reads after a waited answer"] += 1
        seen = 0 if answer.status_code == 404 else int(answer.json()["version"])
        if (seen != 0) if deleted else seen < version:
            wanted = "nobody" if deleted else f"version {version}"
            member = answer.headers.get("x-read-from")
            told = f"{answer.status_code} version {seen} in place of {wanted} from {member}"
            place = f"{(asked - began) * 1000:.0f} ms after the answer"
            where.promises.broke(
                "reads that broke the wait promise",
                f"{person_id}: {told}, {place}; lately: {where.diary.lately(20)}",
            )
            where.diary.note(f"a read after a waited answer: {told}, {place}")
