"""Who read what: on record within a second, or before the answer; found by person; pages, exports, kills."""

import asyncio
import csv
import io
from datetime import UTC, datetime

import httpx
import pytest_asyncio
from pymongo import MongoClient

from events.access.batch import ACCESSES
from events.person.decider import PersonState
from service_kit.access.records import decode
from service_kit.ids import new_id
from service_kit.read_model import person_document
from tests.default_schema import SCHEMA
from tests.system import eventually, new_person
from tests.transport import share_keys

DATABASE = "accesses"
CANARY = "Canary-4711"


def records(system) -> list[dict]:
    with MongoClient(system.mongo.uri) as client:
        batches = list(client[DATABASE][ACCESSES].find({"records": {"$exists": True}}))
    return [record for batch in batches for record in decode(batch["records"])]


@pytest_asyncio.fixture(scope="module")
async def people(system, services) -> list[str]:
    """Some people in a database of their own, as workers would have written them."""
    system.initialise(DATABASE)
    share_keys(system, DATABASE)
    now = datetime(2026, 1, 31, 8, tzinfo=UTC)
    ids = [new_id() for _ in range(3)]
    with MongoClient(system.mongo.uri, w="majority") as client:
        client[DATABASE]["people"].insert_many(
            person_document(
                PersonState(
                    one,
                    "active",
                    1,
                    "0" * 64,
                    {"first_name": "Ana", "last_name": CANARY},
                    created_at=now,
                    updated_at=now,
                ),
                SCHEMA,
            )
            for one in ids
        )
    return ids


async def test_an_auditor_finds_who_read_about_a_person(system, people):
    person_id = people[0]
    path = f"/people/{person_id}"
    async with system.running("query_api", ROLLCALL_MONGO_DB=DATABASE) as service:
        purpose = {"Rollcall-Purpose": "case 4711"}
        async with system.client(service, system.token("people:read", subject="reader")) as reader:
            assert (await reader.get(path, headers=purpose)).status_code == 200
            page = await reader.get("/people", params={"q": CANARY[:6], "limit": 2})
            assert page.status_code == 200
            export = await reader.get("/people/export")
            assert len(export.text.splitlines()) == 3
            assert (await reader.get(f"{path}/history")).status_code == 403
            assert (await reader.get(f"/people/{new_id()}")).status_code == 404
        async with httpx.AsyncClient(base_url=service.url) as nobody:
            assert (await nobody.get(path)).status_code == 401
        async with system.client(service, system.token(subject="auditor")) as auditor:
            strong = {"consistency": "strong"}

            async def all_of(**wanted) -> list[dict]:
                return (await auditor.get("/accesses", params={**strong, **wanted})).json()["items"]

            async def all_there() -> bool:
                # An export is on record twice.
                of_reader, refused = await all_of(subject="reader"), await all_of(outcome="refused")
                return (len(of_reader), len(refused)) == (6, 2)

            await eventually(all_there)
            shown = {one["id"] for one in page.json()["items"]}
            about = await auditor.get(f"{path}/accesses", params=strong)
            assert about.status_code == 200, about.text
            found = [one for one in about.json()["items"] if one["subject"] == "reader"]
            by_id = next(one for one in found if one["route"] == "/people/{person_id}")
            assert (by_id["purpose"], by_id["outcome"], by_id["people"]) == (
                "case 4711",
                "answered",
                [person_id],
            )
            assert {one["route"] for one in found} == {
                "/people/{person_id}",
                "/people/{person_id}/history",
                *(["/people"] if person_id in shown else []),
            }

            (listed,) = await all_of(route="/people", subject="reader")
            assert listed["values"] == {"q": CANARY[:6], "limit": "2"} and set(listed["people"]) == shown
            ended, begun = await all_of(route="/people/export")
            assert (ended["lines"], ended["whole"], ended["begun"]) == (3, True, begun["id"])
            refused = await all_of(outcome="refused")
            assert {(one["status"], one["subject"]) for one in refused} == {(401, None), (403, "reader")}
            assert [one["status"] for one in await all_of(outcome="absent", subject="reader")] == [404]

            # Reading them is on record, too; page by page there is each one once.
            async def read_accesses() -> list[dict]:
                return await all_of(route="/people/{person_id}/accesses", subject="auditor")

            assert (await eventually(read_accesses))[0]["people"] == [person_id]
            everything = [one["id"] for one in await all_of(to=datetime.now(UTC).isoformat(), limit=200)]
            until = (await all_of(limit=1))[0]["at"]
            pages, params = [], {**strong, "limit": 2, "to": until}
            while True:
                answer = (await auditor.get("/accesses", params=params)).json()
                pages += [one["id"] for one in answer["items"]]
                if answer["next"] is None:
                    break
                params["cursor"] = answer["next"]
            assert len(set(pages)) == len(pages) and set(pages) <= set(everything)
            assert len(pages) >= 8
            csv_file = await auditor.get("/accesses", params=strong, headers={"Accept": "text/csv"})
            rows = list(csv.DictReader(io.StringIO(csv_file.text)))
            assert {"reader", "auditor"} <= {row["subject"] for row in rows}
            assert {one["id"] for one in found} <= {row["id"] for row in rows}
        async with system.client(service, system.token("people:read")) as reader:
            assert (await reader.get("/accesses")).status_code == 403
    with MongoClient(system.mongo.uri) as client:
        stored = repr(list(client[DATABASE][ACCESSES].find()))
    assert "Canary" not in stored and "case 4711" not in stored


async def test_whom_the_command_api_refuses_is_on_record(system, people):
    path, purpose = f"/people/{people[1]}", {"Rollcall-Purpose": "case 4711"}
    async with system.running("command_api", ROLLCALL_MONGO_DB=DATABASE) as service:
        async with system.client(service, system.token("people:read", subject="intruder")) as intruder:
            assert (await intruder.delete(path, headers=purpose)).status_code == 403
        async with system.client(service, system.token("ops", subject="operator")) as operator:
            assert (await operator.get("/dead-letters/messages")).status_code == 200
        async with httpx.AsyncClient(base_url=service.url) as nobody:
            assert (await nobody.delete(path)).status_code == 401

        async def on_record() -> list[dict]:
            found = [one for one in records(system) if one.get("subject") in ("intruder", "operator")]
            return sorted(found, key=lambda one: one["at"]) if len(found) == 2 else []

        refused, read = await eventually(on_record)
        assert (refused["method"], refused["route"], refused["status"]) == (
            "DELETE",
            "/people/{person_id}",
            403,
        )
        assert (read["route"], read["status"]) == ("/dead-letters/messages", 200)
    assert not [one for one in records(system) if one["method"] == "DELETE" and "subject" not in one]


async def test_a_report_tells_what_is_kept_and_is_on_record_itself(system, services, commands):
    """Of a person whom a worker has written, with its key, through the whole way."""
    created = await commands.post("/people", json=new_person(last_name=CANARY), headers={"Prefer": "wait=20"})
    assert created.status_code == 201
    path = f"/people/{created.json()['id']}"
    async with system.client(services["query_api"], system.token("people:read", subject="reader")) as reader:
        assert (await reader.get(path)).status_code == 200
    async with system.client(services["query_api"], system.token(subject="officer")) as officer:

        async def told() -> dict:
            report = (await officer.get(f"{path}/report")).json()
            routes = {one["route"] for one in report["accesses"]["items"]}
            return report if {"/people/{person_id}", "/people/{person_id}/report"} <= routes else {}

        report = await eventually(told)
        assert (report["status"], report["person"]["last_name"]) == ("active", CANARY)
        assert report["history"]["items"][0]["changes"]["last_name"] == {"from": None, "to": CANARY}
        page = await officer.get(f"{path}/report", headers={"Accept": "text/html", "Accept-Language": "es"})
        assert page.headers["cache-control"] == "no-store" and "Informe sobre una persona" in page.text
        assert CANARY in page.text
        assert (await commands.delete(path, headers={"Prefer": "wait=20"})).status_code == 200
        deleted = (await officer.get(f"{path}/report")).json()
        assert (deleted["status"], deleted["person"]) == ("deleted", None)
        assert deleted["history"]["items"][0]["changes"]["last_name"] == {"from": CANARY, "to": None}


async def test_a_killed_process_loses_nothing_when_strict_and_a_second_when_on(system, people):
    async def reading(mode: str) -> tuple[int, int, int]:
        """Return how many reads were answered, how many of those over a second ago, and are on record."""
        answered: list[float] = []
        loop, subject = asyncio.get_running_loop(), f"reader-{mode}"
        settings = {"ROLLCALL_MONGO_DB": DATABASE, "ROLLCALL_ACCESS_LOG": mode}
        async with (
            system.running("query_api", **settings) as service,
            system.client(service, system.token(subject=subject)) as client,
        ):

            async def read() -> None:
                while True:
                    try:
                        response = await client.get(f"/people/{people[0]}")
                    except httpx.TransportError:
                        return
                    assert response.status_code == 200
                    answered.append(loop.time())

            readers = [asyncio.create_task(read()) for _ in range(4)]
            began = loop.time()

            async def enough() -> bool:
                return len(answered) > 100 and loop.time() - began > 3

            await eventually(enough)
            service.kill()
            killed = loop.time()
            await asyncio.gather(*readers)
        kept = sum(one.get("subject") == subject for one in records(system))
        return len(answered), sum(one < killed - 1 for one in answered), kept

    answered, _, kept = await reading("strict")
    assert kept >= answered
    answered, older, kept = await reading("on")
    assert older <= kept
    assert 0 < older < answered


async def test_what_is_off_leaves_no_record(system, people):
    before = len(records(system))
    async with (
        system.running("query_api", ROLLCALL_MONGO_DB=DATABASE, ROLLCALL_ACCESS_LOG="off") as service,
        system.client(service) as client,
    ):
        assert (await client.get(f"/people/{people[0]}")).status_code == 200
    assert len(records(system)) == before
