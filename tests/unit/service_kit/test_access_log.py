"""The access log of a process: what is recorded of a request, batches that form a chain, and what is lost."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from fastapi.responses import JSONResponse, StreamingResponse

from events.access.batch import hash_of, marks_for, marks_of, packed, unpacked
from events.errors import Forbidden, StoreUnavailable, Unauthenticated
from events.log.event import GENESIS
from service_kit.access import log as access_log
from service_kit.access.log import AccessLog
from service_kit.access.recording import AccessRecording, note_export, note_people
from service_kit.access.records import AccessRecord, decode
from service_kit.http.guard import SUBJECT
from service_kit.http.web import create_app
from service_kit.ids import new_id
from service_kit.seals.access_key import AccessKey


class Batches:
    """Keeps batches in memory, or refuses to."""

    def __init__(self) -> None:
        self.kept: list[Mapping[str, Any]] = []
        self.away = False
        self.key = AccessKey.new()
        self._more = asyncio.Event()

    async def key_for(self, stream: str, month: str) -> tuple[str, AccessKey]:
        return f"{month}:{stream}", self.key

    async def keep(self, batch: Mapping[str, Any]) -> None:
        if self.away:
            raise StoreUnavailable("MongoDB is away")
        if batch["_id"] not in {one["_id"] for one in self.kept}:
            self.kept.append(batch)
            self._more.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.kept) < count:
                self._more.clear()
                await self._more.wait()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [record for batch in self.kept for record in decode(batch["records"])]

    def values(self, batch: int = 0) -> dict[str, Any]:
        one = self.kept[batch]
        return orjson.loads(self.key.open(one["_id"], one["sealed"]))


def log_of(batches: Batches, mode: str = "on") -> AccessLog:
    return AccessLog(batches, "query-api", new_id(), mode, lambda: 1_774_000_000.5)


def record(**changes: Any) -> AccessRecord:
    return AccessRecord(
        **{
            "at": 1_774_000_000.5,
            "method": "GET",
            "route": "/people",
            "status": 200,
            "subject": "ada",
            "address": "192.0.2.1",
            **changes,
        }
    )


@pytest.fixture
def batches() -> Batches:
    return Batches()


def client_of(log: AccessLog, **options: Any) -> httpx.AsyncClient:
    recording = partial(AccessRecording, access_log=log, **{"impersonal": ("/free",), **options})
    app = create_app("test", {}, recording=recording)

    async def subject(request) -> None:
        request.scope[SUBJECT] = "ada"

    from fastapi import Request

    @app.get("/people/{person_id}")
    async def get(person_id: str, request: Request) -> JSONResponse:
        if "authorization" not in request.headers:
            raise Unauthenticated("send a token")
        await subject(request)
        if request.headers["authorization"] == "weak":
            raise Forbidden("this needs the scope people:read", "people:read")
        return JSONResponse({"id": person_id})

    @app.get("/people")
    async def list_people(request: Request) -> JSONResponse:
        await subject(request)
        note_people(request.scope, request.query_params.getlist("shown"))
        return JSONResponse({})

    @app.get("/export")
    async def export(request: Request) -> StreamingResponse:
        note = note_export(request.scope, "7-x")

        async def lines():
            yield b"a line\n"
            await note.end(1, whole=True)

        return StreamingResponse(lines())

    @app.get("/free")
    async def free() -> JSONResponse:
        return JSONResponse({})

    assert isinstance(app, FastAPI)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_a_read_is_on_record_with_whom_it_showed_and_sealed_values(batches):
    log = log_of(batches)
    first, second = new_id(), new_id()
    async with client_of(log) as client:
        headers = {"Authorization": "good", "Rollcall-Purpose": "case\n 4711".replace("\n", "")}
        assert (await client.get(f"/people/{first}", headers=headers)).status_code == 200
        query = {"shown": [first, second], "q": "Ana", "cursor": "xyz", "ticket": "secret"}
        await client.get("/people", params=query)
        await client.get("/free")
    await log.close()
    (batch,) = batches.kept
    by_id, listed = batches.records
    assert (by_id["route"], by_id["status"], by_id["subject"]) == ("/people/{person_id}", 200, "ada")
    assert (by_id["shown"], listed["shown"]) == (1, 2)
    assert unpacked(batch["people"]) == [first, first, second]
    assert listed["filters"] == ["cursor", "q", "shown"]
    assert batches.values() == {
        "1": {"purpose": "case 4711"},
        "2": {"values": {"q": "Ana", "shown": f"{first},{second}"}},
    }
    clear = orjson.dumps([decode(batch["records"]), batch["subjects"], batch["marks"]])
    assert not any(word in clear for word in (b"Ana", b"4711", b"secret", b"xyz"))


async def test_a_refusal_names_a_subject_only_if_a_token_did(batches):
    log = log_of(batches)
    person_id = new_id()
    async with client_of(log) as client:
        for _ in range(3):
            await client.get(f"/people/{person_id}?q=Ana")
        await client.get(f"/people/{person_id}?Ana", headers={"Authorization": "weak"})
        await client.get("/nowhere")
    await log.close()
    unknown, refused = batches.records
    assert (unknown["status"], unknown["times"]) == (401, 3)
    assert "subject" not in unknown and "shown" not in unknown
    assert (refused["status"], refused["subject"], refused["shown"]) == (403, "ada", 1)
    assert "filters" not in refused and "sealed" not in batches.kept[0]


async def test_of_a_service_of_commands_a_refusal_is_on_record_only_with_a_subject(batches):
    log = log_of(batches)
    commands = {"impersonal": ("/people/{person_id}",), "nameless": False}
    async with client_of(log, **commands) as client:
        path = f"/people/{new_id()}"
        for headers, status in (
            ({}, 401),
            ({"Authorization": "good"}, 200),
            ({"Authorization": "weak"}, 403),
        ):
            assert (await client.get(path, headers=headers)).status_code == status
    await log.close()
    (refused,) = batches.records
    assert (refused["route"], refused["status"], refused["subject"]) == ("/people/{person_id}", 403, "ada")


async def test_an_export_is_recorded_when_it_begins_and_when_it_ends(batches):
    log = log_of(batches, "strict")
    running = asyncio.create_task(log.run())
    async with client_of(log) as client:
        assert (await client.get("/export")).text == "a line\n"
    running.cancel()
    begun, ended = batches.records
    assert (begun["position"], "lines" in begun) == ("7-x", False)
    assert (ended["lines"], ended["whole"], ended["of"]) == (1, True, begun["number"])


async def test_batches_of_a_process_form_a_chain(batches, monkeypatch):
    monkeypatch.setattr(access_log, "BATCH", 2)
    log = log_of(batches)
    for _ in range(5):
        log.add(record())
    await log.close()
    assert [batch["version"] for batch in batches.kept] == [1, 2, 3]
    prev = GENESIS
    for batch in batches.kept:
        assert (batch["prev"], hash_of(batch)) == (prev, batch["hash"])
        prev = batch["hash"]
    assert [one["number"] for one in batches.records] == [1, 2, 3, 4, 5]


async def test_what_comes_while_a_batch_is_written_waits_for_the_next(batches, monkeypatch):
    monkeypatch.setattr(access_log, "COLLECT_SECONDS", 600)
    monkeypatch.setattr(access_log, "BATCH", 4)
    log = log_of(batches)
    keep = batches.keep

    async def keep_while_more_come(batch: Mapping[str, Any]) -> None:
        if not batches.kept:
            for _ in range(3):
                log.add(record())
        await keep(batch)

    monkeypatch.setattr(batches, "keep", keep_while_more_come)
    running = asyncio.create_task(log.run())
    for _ in range(4):
        log.add(record())
    await batches.until(1)
    await asyncio.sleep(0.05)
    assert [batch["count"] for batch in batches.kept] == [4]
    log.add(record())
    await batches.until(2)
    assert [batch["count"] for batch in batches.kept] == [4, 4]
    running.cancel()


async def test_a_writer_that_is_ended_after_a_write_leaves_nothing_to_be_written_again(batches):
    log = log_of(batches)
    log.add(record())
    async with log._kept:  # as one who waits has it, the moment when it is told
        writing = asyncio.create_task(log._write(1))
        await batches.until(1)
        writing.cancel()
        await asyncio.wait([writing])
    await log.close()
    assert len(batches.records) == 1


async def test_what_cannot_be_written_waits_and_what_is_too_much_is_counted(batches, monkeypatch):
    monkeypatch.setattr(access_log, "MOST", 3)
    log = log_of(batches)
    batches.away = True
    for _ in range(5):
        log.add(record())
    with pytest.raises(StoreUnavailable, match="2 accesses are on no record"):
        await log.check()
    with pytest.raises(StoreUnavailable):
        await log._write(log._number)
    assert batches.kept == []
    batches.away = False
    await log.close()
    assert len(batches.records) == 3


async def test_strict_gives_no_answer_whose_record_is_not_durable(batches, monkeypatch):
    monkeypatch.setattr(access_log, "STRICT_SECONDS", 0.05)
    log = log_of(batches, "strict")
    running = asyncio.create_task(log.run())
    async with client_of(log) as client:
        assert (await client.get("/people")).status_code == 200
        assert len(batches.records) == 1
        batches.away = True
        for path in ("/people", "/export"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["type"]) == (
                503,
                "urn:rollcall:problem:store-unavailable",
            )
            assert "retry-after" in answer.headers
        assert (await client.get("/free")).status_code == 200
    running.cancel()


def test_of_many_people_a_batch_has_a_bounded_number_of_marks():
    few, many = [new_id() for _ in range(20)], [new_id() for _ in range(20_000)]
    for ids, most in ((few, 20), (many[:3_000], 4096), (many, 1)):
        marks = set(marks_of(packed(ids)))
        assert len(marks) <= most
        assert all(marks & set(marks_for(one)) for one in ids)
    assert not any(set(marks_of(packed(few))) & set(marks_for(one)) for one in many[:500])
    assert packed(["account:ana", few[0]]) == packed(few[:1])
    assert marks_for("account:ana") == []
