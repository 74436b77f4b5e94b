"""Exports that are sent: how many at once and to whom, for how long, and how one looks that breaks off."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace

import bson
import httpx
import pytest
from fastapi import Request

from events.errors import Busy, StoreUnavailable, Unauthenticated
from query_api.exports.event_lines import CSV, NDJSON
from query_api.exports.people_lines import WORKBOOK
from query_api.exports.responses import BROKEN_OFF, RETRY_SECONDS, ExportSender
from query_api.exports.streams import BATCH, WRITTEN, Exports
from query_api.history.routes import add_audit_routes
from query_api.imports.routes import add_export_route, add_import_routes
from query_api.people.queries import Answer
from query_api.people.routes import PeopleDependencies
from query_api.reading.searches import Searches
from service_kit.auth.roles import SCOPES
from service_kit.auth.tokens import Caller
from service_kit.http.web import create_app
from service_kit.person_view import PersonView
from service_kit.slots import AtOnce
from tests.default_schema import SCHEMA, ExportQuery
from tests.unit.service_kit.test_guard import served

FORMS = (NDJSON, CSV, WORKBOOK)
VIEW = PersonView.of(SCHEMA, SCOPES)
PEOPLE = b"".join(bson.encode({"_id": str(one), "first_name": "Ana", "version": 1}) for one in range(BATCH))


class Cursor:
    """Gives batches of people, then an end or a failure when told so; or batches without end."""

    def __init__(self, batches: int = 1, *, endless: bool = False) -> None:
        self._endless = endless
        self.address, self.alive, self.closed = ("a", 1), True, False
        self._batches: asyncio.Queue[object] = asyncio.Queue()
        for _ in range(batches):
            self._batches.put_nowait(PEOPLE)

    def end(self, *failure: Exception) -> None:
        for one in failure or (StopAsyncIteration(),):
            self._batches.put_nowait(one)

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        if self._endless:
            await asyncio.sleep(0.01)
            return PEOPLE
        batch = await self._batches.get()
        if isinstance(batch, Exception):
            self.alive = False
            raise batch
        return batch

    async def close(self) -> None:
        self.closed = True


class Collections:
    """Stands for a client of MongoDB, its databases and its collections: each read gets the next cursor."""

    def __init__(self) -> None:
        self.cursors: list[Cursor] = []
        self._read = 0

    def get_database(self, *_arguments, **_options):
        return self

    def with_options(self, **_options):
        return self

    def __getitem__(self, _name):
        return self

    def find_raw_batches(self, _wanted, **_options) -> Cursor:
        self._read += 1
        while len(self.cursors) < self._read:
            self.cursors.append(Cursor())
        return self.cursors[self._read - 1]


class Verifier:
    """Takes the token for the subject's name."""

    async def verify(self, authorization: str | None) -> Caller:
        if not authorization:
            raise Unauthenticated("no token")
        return Caller(authorization, None, frozenset(SCOPES), float("inf"))


class Reads:
    """Knows one import."""

    def member_of(self, _answer) -> str:
        return "a:1"

    async def find(self, *_arguments, **_options) -> Answer:
        return Answer([{"_id": "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"}], None)


def stage(number: int = 3, each: int = 2, seconds: float = 60.0) -> SimpleNamespace:
    """Return the routes that export, on collections in memory."""
    positions = SimpleNamespace(before_read=lambda strong: None)
    people = PeopleDependencies(
        Reads(), None, None, Verifier(), False, positions, "CO", Searches(AtOnce(9, 9), 1.0), SCHEMA
    )
    collections = Collections()
    exports = Exports(collections, "x", None, SCHEMA, None)
    sender = ExportSender(people, exports, AtOnce(number, each), seconds)
    app = create_app("test", {})
    add_export_route(app, people, sender)
    add_audit_routes(app, people, sender)
    add_import_routes(app, people, sender, lambda: datetime.now(UTC))
    return SimpleNamespace(collections=collections, exports=exports, sender=sender, app=app)


async def begun(at: SimpleNamespace, subject: str, media_type: str = NDJSON):
    return await at.sender.response(
        Request({"type": "http"}),
        subject,
        partial(at.exports.people, ExportQuery(), media_type, VIEW),
        "people",
    )


async def taken(response, chunks: list[bytes] | None = None, begins: asyncio.Event | None = None) -> None:
    """Take an answer as a client does that stays."""

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        if message["type"] == "http.response.body":
            if begins is not None:
                begins.set()
            if chunks is not None:
                chunks.append(message["body"])

    await response({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)


async def test_a_process_sends_so_many_exports_and_so_many_to_a_subject():
    at = stage(number=3, each=2)
    sent = [await begun(at, "ada"), await begun(at, "ada")]
    with pytest.raises(Busy) as refused:
        await begun(at, "ada")
    assert refused.value.retry_after == RETRY_SECONDS
    sent.append(await begun(at, "grace"))
    with pytest.raises(Busy):
        await begun(at, "ida")
    assert at.sender.slots.in_use == len(at.collections.cursors) == 3, "who is refused opens no cursor"

    at.collections.cursors[0].end()
    await taken(sent[0])
    assert at.collections.cursors[0].closed
    sent.append(await begun(at, "ida"))
    assert at.sender.slots.in_use == 3


@pytest.mark.parametrize(
    "path",
    [
        "/people/export",
        "/events",
        "/imports/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c/errors",
    ],
)
async def test_who_comes_too_late_for_an_export_is_told_when_to_try_again(path):
    at = stage(number=1, each=1)
    at.sender.slots.take("grace")
    transport = httpx.ASGITransport(at.app)
    headers = {"Authorization": "ada", "Accept": NDJSON}
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:rollcall:problem:busy")
        assert answer.headers["retry-after"] == str(RETRY_SECONDS)
        # Nothing is opened for a head alone.
        assert (await client.head(path)).status_code == 200


@pytest.mark.parametrize("failure", [None, StoreUnavailable("away"), KeyError()])
async def test_a_slot_comes_free_however_an_export_ends(failure):
    at = stage()
    if failure is not None:
        at.collections.cursors.append(Cursor(0))
        at.collections.cursors[0].end(failure)
        with pytest.raises(type(failure)):
            await begun(at, "ada")
    else:
        begins = asyncio.Event()
        taking = asyncio.create_task(taken(await begun(at, "ada"), begins=begins))
        await begins.wait()
        assert at.sender.slots.in_use == 1
        taking.cancel()  # the client goes, and takes nothing more
        at.collections.cursors[0].end()
        await asyncio.gather(taking, return_exceptions=True)
    assert at.sender.slots.in_use == 0
    assert at.collections.cursors[0].closed


async def test_what_is_read_at_once_is_written_in_small_chunks_that_take_turns():
    at = stage()
    for _ in range(3):
        at.collections.cursors.append(Cursor(2))
        at.collections.cursors[-1].end()

    async def client(name: str) -> None:
        chunks = Chunks()
        await taken(await begun(at, name), chunks)
        assert not taken_turns & set(chunks.turns), "one writes at a time"
        taken_turns.update(chunks.turns)
        assert len(set(chunks.turns)) == 2 * BATCH // WRITTEN, "others come in between"
        assert sum(chunk.count(b"\n") for chunk in chunks) == 2 * BATCH
        assert max(chunk.count(b"\n") for chunk in chunks) == WRITTEN

    turn = 0
    taken_turns: set[int] = set()

    class Chunks(list[bytes]):
        """What was sent, and in which turn of the event loop."""

        def __init__(self) -> None:
            super().__init__()
            self.turns: list[int] = []

        def append(self, chunk: bytes) -> None:
            super().append(chunk)
            self.turns.append(turn)

    async def other() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    await client("ida")
    await asyncio.gather(client("ada"), client("grace"))
    beside.cancel()


@asynccontextmanager
async def client_of(at: SimpleNamespace, **headers: str):
    async with (
        served(at.app) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=20) as client,
    ):
        yield client


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("late", [False, True], ids=["no more", "too long"])
async def test_an_export_that_breaks_off_has_no_end(form, late):
    at = stage(seconds=0.2 if late else 60.0)
    at.collections.cursors.append(cursor := Cursor(endless=late))
    cursor.end(StoreUnavailable("away"))
    before = BROKEN_OFF._value.get()
    async with client_of(at, Authorization="ada", Accept=form) as client:
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            async with client.stream("GET", "/people/export") as response:
                assert response.status_code == 200
                async for _ in response.aiter_bytes():
                    pass
    assert BROKEN_OFF._value.get() == before + 1
    assert at.sender.slots.in_use == 0
    assert cursor.closed
