"""Erasing a person over the APIs: nothing personal is left, and the proof is whole."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import photo
from tests.system import ROOT, eventually, new_person

WAIT = {"Prefer": "wait=20"}
STRONG = {"consistency": "strong"}
NDJSON = {"Accept": "application/x-ndjson"}


async def created(commands, **fields) -> dict:
    response = await commands.post("/people", json=new_person(**fields), headers=WAIT)
    assert response.status_code == 201, response.text
    return response.json()


async def erase(commands, person_id: str, **headers):
    path = f"/people/{person_id}/erase"
    return await commands.post(path, json={"reason": "asked"}, headers=WAIT | headers)


def verify(export: Path) -> "subprocess.CompletedProcess[str]":
    """Verify an export as an auditor does, without keys."""
    command = [sys.executable, "-m", "verifier", str(export)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def is_gone(response) -> bool:
    return (response.status_code, response.json()["type"]) == (410, "urn:rollcall:problem:person-erased")


async def test_after_an_erasure_nothing_personal_is_read_and_the_log_is_whole(commands, queries, tmp_path):
    person = await created(commands, address="Calle 1")
    path = f"/people/{person['id']}"
    await commands.patch(path, json={"address": "Carrera 2"}, headers=WAIT)
    pictured = await commands.patch(
        f"{path}/image", files={"file": ("x", photo(), "image/jpeg")}, headers=WAIT
    )
    image_url = pictured.json()["image_url"]
    assert (await queries.get(image_url)).status_code == 200

    erased = await erase(commands, person["id"])
    assert (erased.status_code, erased.json()["version"]) == (200, 4), erased.text
    for asked in (STRONG, {}, {"version": 2}, {"min_version": 4}):
        assert is_gone(await queries.get(path, params=asked)), asked
    by_email = await queries.get(f"/people/by-email/{person['email']}")
    assert by_email.status_code == 404
    found = await queries.get("/people", params={"email": person["email"], **STRONG})
    assert found.json()["items"] == []
    gone = await queries.get(image_url)
    assert gone.status_code in {404, 410}

    history = (await queries.get(f"{path}/history", params=STRONG)).json()["items"]
    assert [one["type"] for one in history] == [
        "person.erased",
        "person.image_changed",
        "person.updated",
        "person.created",
    ]
    assert "address" in history[2]["erased"]
    told = str(history)
    personal = [value for name, value in person.items() if name not in ("id", "version", "gender")]
    for value in ("Carrera 2", *(one for one in personal if isinstance(one, str) and len(one) > 4)):
        assert value not in told or value in (person["created_at"], person["updated_at"]), value
    lines = await queries.get("/events", params={"person_id": person["id"], **STRONG}, headers=NDJSON)
    export = tmp_path / "export.ndjson"
    export.write_bytes(lines.content)
    verified = await asyncio.to_thread(verify, export)
    assert "4 events in 1 stream" in verified.stdout + verified.stderr, verified
    assert verified.returncode == 0


async def test_what_was_unique_is_free_and_the_person_takes_no_more(commands, queries):
    person = await created(commands)
    assert (await erase(commands, person["id"])).status_code == 200
    path = f"/people/{person['id']}"
    assert is_gone(await commands.patch(path, json={"address": "x"}, headers=WAIT))
    assert is_gone(await commands.delete(path, headers=WAIT))
    assert is_gone(await erase(commands, person["id"]))
    again = await created(commands, document_type=person["document_type"], document_id=person["document_id"])
    assert again["id"] != person["id"]


async def test_a_deleted_person_is_erased_too(commands, queries):
    person = await created(commands)
    path = f"/people/{person['id']}"
    assert (await commands.delete(path, headers=WAIT)).is_success
    assert (await queries.get(path, params=STRONG)).status_code == 404
    assert (await erase(commands, person["id"])).json()["version"] == 3
    assert is_gone(await queries.get(path, params=STRONG))


async def test_a_hold_forbids_it_by_name_until_it_is_lifted(commands, queries):
    person = await created(commands)
    path = f"/people/{person['id']}"
    for reference, version in (("CASE-7", 2), ("CASE-8", 3)):
        body = {"reason": "litigation", "reference": reference}
        held = await commands.put(f"{path}/hold", json=body, headers=WAIT)
        assert (held.status_code, held.json()["version"]) == (200, version), held.text
    refused = await erase(commands, person["id"])
    assert refused.status_code == 409
    assert "CASE-7" in refused.text
    for reference in ("CASE-7", "CASE-8"):
        assert (await erase(commands, person["id"])).status_code == 409
        lifted = await commands.delete(f"{path}/hold", params={"reference": reference}, headers=WAIT)
        assert lifted.status_code == 200, lifted.text
    assert (await erase(commands, person["id"])).status_code == 200
    history = (await queries.get(f"{path}/history", params=STRONG)).json()["items"]
    types = [one["type"] for one in history]
    assert types == ["person.erased", *["person.hold_lifted"] * 2, *["person.held"] * 2, "person.created"]


async def test_an_erasure_for_another_version_or_of_nobody_is_refused(commands):
    person = await created(commands)
    assert (await erase(commands, person["id"], **{"If-Match": '"9"'})).status_code == 412
    nobody = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
    assert (await erase(commands, nobody)).status_code == 404


async def test_a_create_that_is_sent_again_after_the_erasure_makes_nobody(commands, queries):
    body, key = new_person(), {"Idempotency-Key": "once-and-erased", **WAIT}
    person = (await commands.post("/people", json=body, headers=key)).json()
    assert (await erase(commands, person["id"])).status_code == 200
    again = await commands.post("/people", json=body, headers=key)
    assert is_gone(again)
    assert is_gone(await queries.get(f"/people/{person['id']}", params=STRONG))


@pytest.mark.parametrize("reason", ["because", "", None])
async def test_a_reason_is_a_code_for_it_stays_in_the_clear(commands, reason):
    person = await created(commands)
    response = await commands.post(f"/people/{person['id']}/erase", json={"reason": reason}, headers=WAIT)
    assert response.status_code == 422
    await eventually(lambda: _there(commands, person["id"]))


async def _there(commands, person_id: str) -> bool:
    held = await commands.patch(f"/people/{person_id}", json={"address": "Calle 9"}, headers=WAIT)
    return held.status_code == 200
