"""Imports files in the background, resumed wherever they are cut, and gives people pictures."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx

from bench.campaign.asking import AGAIN, Where
from bench.campaign.promises import Promise
from tests.people_files import CSV, csv_of
from tests.pictures import photo
from tests.system import new_person

ROWS = 120
IMPORTER = "importer"
_PIECES = 6


async def import_files(where: Where, seed: str, *, pause: float = 8.0) -> None:
    """Import one file after the other until told to stop."""
    dice, number = random.Random(seed), 0
    async with where.client(where.commands, 30) as client:
        while not where.stop.is_set():
            number += 1
            await _import(where, client, number)
            await asyncio.sleep(pause * dice.uniform(0.5, 1.5))


async def _import(where: Where, client: httpx.AsyncClient, number: int) -> None:
    """Send a file, and send it again by the same id until it is read to its end."""
    import_id, promises = str(uuid4()), where.promises
    marks = [f"Fila {number}-{row}" for row in range(ROWS)]
    body = csv_of(new_person(address=mark) for mark in marks)
    promises.imported[import_id] = marks
    while not where.give_up.is_set():
        answer = await where.ask(
            client,
            "POST",
            "/people/import",
            params={"import_id": import_id},
            headers=CSV,
            content=_slowly(body),
        )
        if answer is not None and answer.status_code == 202:
            told = answer.json()
            if told["state"] in ("applying", "finished"):
                if told["accepted"] != ROWS:
                    promises.broke("rows refused", f"import {import_id}: {told}")
                promises.whole.add(import_id)
                return
        elif answer is not None and answer.status_code not in AGAIN | {409, 500}:
            promises.broke("refused wrongly", f"import {import_id}: {answer.status_code} {answer.text[:300]}")
            return
        promises.counts["imports resumed"] += 1
        await asyncio.sleep(1)


async def _slowly(body: bytes) -> AsyncIterator[bytes]:
    size = len(body) // _PIECES + 1
    for at in range(0, len(body), size):
        yield body[at : at + size]
        await asyncio.sleep(0.3)


async def change_pictures(where: Where, people: list[str], *, pause: float = 4.0) -> None:
    """Give some people new pictures, one after the other, until told to stop."""
    picture, promises, number = photo(), where.promises, 0
    async with where.client(where.commands, 20) as client:
        while not where.stop.is_set():
            number += 1
            person_id, key = people[number % len(people)], str(uuid4())
            while not where.give_up.is_set():
                answer = await where.ask(
                    client,
                    "PATCH",
                    f"/people/{person_id}/image",
                    headers={"Idempotency-Key": key},
                    files={"file": ("face.jpg", picture, "image/jpeg")},
                )
                if answer is not None and answer.status_code == 202:
                    promise = Promise(person_id, "picture", None, must_apply=True, version=None)
                    promises.acknowledge(answer.json()["command_id"], "pictures", promise)
                    promises.pictures.add(person_id)
                    break
                if answer is not None and answer.status_code not in AGAIN | {500}:
                    promises.broke("refused wrongly", f"picture of {person_id}: {answer.text[:300]}")
                    break
                await asyncio.sleep(0.5)
            await asyncio.sleep(pause)
