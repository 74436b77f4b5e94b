"""Clients that create, change and delete people as fast as they may, and insist until each is accepted."""

import asyncio
import random
import time

from service_kit.ids import new_id
from tests.firehose import Firehose, request
from tests.system import new_person


class Crowd:
    """What the clients know together: who was accepted, and the documents in use.

    Args:
        token: For all of them.
        commands: How many they send; they stop earlier when `stop` is set.
        people: How many of those are creates of new people, which come first.
        rate: Commands a second that they try to send.
    """

    def __init__(self, token: str, *, commands: int, people: int, rate: float, seed: int = 7) -> None:
        self.random = random.Random(seed)
        self.token = token
        self.stop = asyncio.Event()
        self.people: list[str] = []
        self.accepted: set[str] = set()
        self.sent = 0
        self._commands = commands
        self._first = people
        self._rate = rate
        self._bodies: list[dict] = []

    @property
    def over(self) -> bool:
        """Whether nothing more is to be sent."""
        return self.sent >= self._commands or self.stop.is_set()

    def next(self) -> bytes:
        """Return a request: first creates; then a mix, some of which must be refused."""
        self.sent += 1
        if self.sent <= self._first or not self.people:
            body = new_person()
            self._bodies.append(body)
            return request("POST", "/people", self.token, body, Idempotency_Key=new_id())
        choice, person = self.random.random(), self.random.choice(self.people)
        key = new_id()
        if choice < 0.05:
            body = {**new_person(), "document_id": self.random.choice(self._bodies)["document_id"]}
            return request("POST", "/people", self.token, body, Idempotency_Key=key)
        if choice < 0.07:
            return request("DELETE", f"/people/{person}", self.token, Idempotency_Key=key)
        body = {"address": f"Calle {self.sent}"}
        if choice < 0.12:
            body["document_id"] = new_person()["document_id"]
        headers = {"If_Match": '"3"'} if choice < 0.17 else {}
        return request("PATCH", f"/people/{person}", self.token, body, Idempotency_Key=key, **headers)

    async def run(self, port: int, clients: int) -> None:
        """Send everything, from several clients at once."""
        await asyncio.gather(*(self._client(port, clients / self._rate) for _ in range(clients)))

    async def _client(self, port: int, pace: float) -> None:
        hose = Firehose(port)
        due = time.monotonic()
        while not self.over:
            raw = self.next()
            answer = await insist(hose, raw)
            assert answer.status == 202, answer
            self.accepted.add(answer.body["command_id"])
            if answer.body["person_id"] not in self.accepted and raw.startswith(b"POST"):
                self.people.append(answer.body["person_id"])
            if self.random.random() < 0.02:
                again = await hose.send(raw)  # a client that retries: the same command
                assert again.status == 503 or again.body == answer.body
            due += pace
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        hose.close()


async def insist(hose: Firehose, raw: bytes):
    """Send until the answer is not 503, as its `Retry-After` asks; the key makes it one command."""
    for _ in range(150):
        answer = await hose.send(raw)
        if answer.status != 503:
            return answer
        await asyncio.sleep(0.2)
    raise AssertionError("503 for 30 s")
