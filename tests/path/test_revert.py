"""The way back: a person is made again what it was, by a command like any other."""

import pytest

from tests.system import eventually, new_person

WAIT = {"Prefer": "wait=20"}
UNKNOWN = "/people/0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
SYSTEM = {"id", "version", "created_at", "updated_at"}


async def changed(commands) -> list[dict]:
    """Return a person as it was at each of three versions."""
    first = (
        await commands.post("/people", json=new_person(occupation="Baker", gender="M"), headers=WAIT)
    ).json()
    path = f"/people/{first['id']}"
    second = await commands.patch(path, json={"occupation": None, "gender": "NB"}, headers=WAIT)
    third = await commands.patch(path, json={"last_name": "Otra", "address": "Calle 1"}, headers=WAIT)
    return [first, second.json(), third.json()]


def fields(person: dict) -> dict:
    return {name: value for name, value in person.items() if name not in SYSTEM}


async def back(commands, path: str, to_version: int, **headers):
    return await commands.post(f"{path}/revert", json={"to_version": to_version}, headers={**WAIT, **headers})


@pytest.mark.parametrize("version", [1, 2, 3])
async def test_a_person_is_again_what_it_was(commands, queries, version):
    versions = await changed(commands)
    path = f"/people/{versions[0]['id']}"
    response = await back(commands, path, version, **{"If-Match": '"3"'})
    assert response.status_code == 200, response.text
    newest = 3 if version == 3 else 4  # the third is what it is already
    assert response.headers["etag"] == f'"{newest}"'
    person = response.json()
    assert fields(person) == fields(versions[version - 1])
    assert (person["version"], person["created_at"]) == (newest, versions[0]["created_at"])
    assert (await queries.get(path, params={"min_version": newest})).json() == person
    past = await queries.get(path, params={"version": version, "consistency": "strong"})
    assert fields(past.json()) == fields(person)


async def test_the_history_tells_what_was_taken_back_and_from_where(commands, queries):
    versions = await changed(commands)
    path = f"/people/{versions[0]['id']}"
    await back(commands, path, 2)
    history = (await queries.get(f"{path}/history", params={"consistency": "strong"})).json()["items"]
    assert history[0]["type"] == "person.updated"
    assert history[0]["changes"] == {
        "last_name": {"from": "Otra", "to": versions[0]["last_name"]},
        "address": {"from": "Calle 1", "to": versions[0]["address"]},
    }
    assert history[0]["causation_id"] == history[2]["event_id"]


async def test_a_revert_that_does_not_wait_is_accepted_and_its_status_told(commands, queries):
    person = (await changed(commands))[0]
    response = await commands.post(f"/people/{person['id']}/revert", json={"to_version": 1})
    assert response.status_code == 202
    assert response.json()["status"] == "accepted"

    async def applied():
        return (await queries.get(response.headers["location"])).json().get("version") == 4

    await eventually(applied)


async def test_a_repeated_revert_is_the_same_command(commands):
    person = (await changed(commands))[0]
    path = f"/people/{person['id']}"
    first = await back(commands, path, 1, **{"Idempotency-Key": "undo"})
    again = await back(commands, path, 1, **{"Idempotency-Key": "undo"})
    assert first.headers["x-command-id"] == again.headers["x-command-id"]
    assert first.json() == again.json()


async def test_former_values_are_answered_to_auditors_alone(system, services, commands):
    editor = system.token("people:read", "people:write", "people:delete")
    async with system.client(services["command_api"], editor) as edits:
        person = (await changed(edits))[0]
        path = f"/people/{person['id']}"
        reverted = await back(edits, path, 1, **{"Idempotency-Key": "blind"})
        assert (reverted.status_code, reverted.headers["etag"]) == (200, '"4"')
        assert reverted.json() == {"id": person["id"], "version": 4}
        # A repeat is answered from the record, which has what was so then.
        patch = {"json": {"address": "Calle 9"}, "headers": {**WAIT, "Idempotency-Key": "former"}}
        same = {"json": {"address": "Calle 9"}, "headers": {**WAIT, "Idempotency-Key": "former-same"}}
        first = [(await edits.patch(path, **body)).json() for body in (patch, same)]
        assert [(await edits.patch(path, **body)).json() for body in (patch, same)] == first, (
            "nothing changed since"
        )
        await edits.delete(path, headers=WAIT)
        for body in (patch, same):
            again = await edits.patch(path, **body)
            assert (again.status_code, again.json()["status"]) == (202, "accepted")
            assert again.json().keys() == {"person_id", "command_id", "status"}
            assert (await commands.patch(path, **body)).json()["address"] == "Calle 9"
    created = {"json": new_person(), "headers": {**WAIT, "Idempotency-Key": "former-create"}}
    async with system.client(services["command_api"], editor) as edits:
        person = (await edits.post("/people", **created)).json()
        await edits.delete(f"/people/{person['id']}", headers=WAIT)
        again = await edits.post("/people", **created)
        assert (again.status_code, again.json()["person_id"]) == (202, person["id"])


async def test_what_cannot_be_taken_back_is_refused_and_says_why(commands):
    person = (await changed(commands))[0]
    path = f"/people/{person['id']}"
    cases = [
        (await back(commands, path, 4), 409, "unknown-version"),
        (await back(commands, path, 1, **{"If-Match": '"2"'}), 412, "version-mismatch"),
        (await back(commands, UNKNOWN, 1), 404, "person-not-found"),
    ]
    await commands.delete(path, headers=WAIT)
    cases.append((await back(commands, path, 1), 404, "person-not-found"))
    for response, status, code in cases:
        assert response.status_code == status, response.text
        assert response.json()["type"] == f"urn:rollcall:problem:{code}"


async def test_a_document_that_somebody_else_has_taken_meanwhile_does_not_come_back(commands):
    first = (await commands.post("/people", json=new_person(), headers=WAIT)).json()
    path = f"/people/{first['id']}"
    await commands.patch(path, json={"document_id": new_person()["document_id"]}, headers=WAIT)
    other = new_person(document_type=first["document_type"], document_id=first["document_id"])
    assert (await commands.post("/people", json=other, headers=WAIT)).status_code == 201
    response = await back(commands, path, 1)
    assert response.status_code == 409
    assert response.json()["type"] == "urn:rollcall:problem:duplicate-document"


@pytest.mark.parametrize(
    "body", [{}, {"to_version": 0}, {"to_version": "1"}, {"to_version": 1.5}, {"to_version": 1, "x": 1}, []]
)
async def test_a_body_that_names_no_version(commands, body):
    response = await commands.post(f"{UNKNOWN}/revert", json=body)
    assert response.status_code == 422
    assert response.json()["errors"]
