"""Images, from a form to the reader of a page: through both APIs, RabbitMQ, a worker and GridFS."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from command_api.images.uploads import AT_ONCE
from service_kit.http.guard import POLICY
from service_kit.ids import new_id
from service_kit.images import ImageSecret, Ticket
from tests.fake_cloudinary import changing, refusing
from tests.pictures import GPS_MARK, halves, opened, photo, saved, telling
from tests.system import eventually, new_person

WAIT = {"Prefer": "wait=20"}
MANY = b"\xff\xd8\xff" + b"\0" * (2 * 1024 * 1024)
HUGE = saved(halves(6000, 4200).convert("1"), "PNG")


def form(content: bytes, name: str = "file", filename: str = "me.jpg", media_type: str = "image/jpeg"):
    return {"files": {name: (filename, content, media_type)}}


async def created(commands) -> str:
    """Return the path of a new person."""
    response = await commands.post("/people", json=new_person(), headers=WAIT)
    assert response.status_code == 201, response.text
    return f"/people/{response.json()['id']}"


async def changed(commands, path: str, content: bytes, **headers) -> dict:
    """Return a person with this image."""
    response = await commands.patch(f"{path}/image", **form(content), headers={**WAIT, **headers})
    assert response.status_code == 200, response.text
    return response.json()


async def gone(queries, url: str) -> None:
    async def missing():
        return (await queries.get(url)).status_code == 404

    await eventually(missing)


@pytest.fixture
async def stranger(services):
    """A client of the query API without a token, as a browser's <img> is."""
    async with httpx.AsyncClient(base_url=services["query_api"].url) as client:
        yield client


async def test_an_image_is_changed_shown_replaced_and_removed(commands, queries, stranger):
    path = await created(commands)
    first = await changed(commands, path, photo(), **{"If-Match": '"1"'})
    assert first["version"] == 2
    assert (await queries.get(path, params={"min_version": 2})).json() == first
    shown = await stranger.get(first["image_url"])
    assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
    assert opened(shown.content).size == (120, 80)
    small = await stranger.get(first["thumbnail_url"])
    assert opened(small.content).size == (256, 256)
    for kept in (shown.content, small.content):
        assert telling(kept) == {} and GPS_MARK not in kept

    second = await changed(commands, path, saved(halves().rotate(90), "WEBP"))
    assert second["image_url"] != first["image_url"]
    await gone(stranger, first["image_url"])
    await gone(stranger, first["thumbnail_url"])
    assert (await stranger.get(second["image_url"])).status_code == 200

    response = await commands.delete(f"{path}/image", headers=WAIT)
    assert (response.status_code, response.headers["etag"]) == (200, '"4"')
    assert (response.json()["image_url"], response.json()["thumbnail_url"]) == (None, None)
    await gone(stranger, second["image_url"])

    again = await commands.delete(f"{path}/image", headers=WAIT)
    assert (again.status_code, again.headers["etag"], again.json()) == (200, '"4"', response.json())


async def test_the_image_of_a_deleted_person_is_removed_and_the_history_keeps_its_address(
    commands, queries, stranger
):
    path = await created(commands)
    person = await changed(commands, path, photo())
    assert (await commands.delete(path, headers=WAIT)).status_code == 200
    await gone(stranger, person["image_url"])
    history = (await queries.get(f"{path}/history", params={"consistency": "strong"})).json()["items"]
    assert [entry["type"] for entry in history] == [
        "person.deleted",
        "person.image_changed",
        "person.created",
    ]
    assert history[1]["changes"]["image_url"] == {"from": None, "to": person["image_url"]}
    assert history[0]["changes"]["image_url"] == {"from": person["image_url"], "to": None}


async def test_a_revert_brings_back_words_and_leaves_the_image(commands, queries):
    path = await created(commands)
    first = await commands.patch(path, json={"occupation": "Baker"}, headers=WAIT)
    person = await changed(commands, path, photo())
    await commands.patch(path, json={"occupation": None}, headers=WAIT)
    back = (await commands.post(f"{path}/revert", json={"to_version": 2}, headers=WAIT)).json()
    assert back["occupation"] == "Baker"
    assert (first.json()["image_url"], back["image_url"]) == (None, person["image_url"])
    past = await queries.get(path, params={"version": 3, "consistency": "strong"})
    assert past.json() == person


async def test_an_image_is_served_whole_in_parts_and_to_nobody_s_surprise(commands, stranger):
    person = await changed(commands, await created(commands), photo())
    url = person["image_url"]
    whole = await stranger.get(url)
    size, etag = len(whole.content), whole.headers["etag"]
    assert whole.headers["cache-control"] == "private, max-age=86400, immutable"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["content-security-policy"] == f"{POLICY}; sandbox"
    head = await stranger.head(url)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(size), b"")
    assert {**head.headers, "date": ""} == {**whole.headers, "date": ""}
    for known in (etag, f'W/{etag}, "x"', "*"):
        response = await stranger.get(url, headers={"If-None-Match": known})
        assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
    for expected, status in ((etag, 200), ("*", 200), (f"W/{etag}", 412), ('"x"', 412), ("x", 422)):
        for address in (url, f"{url}/thumbnail"):
            tag = expected if address == url else expected.replace(etag, f'{etag[:-1]}-thumbnail"')
            assert (await stranger.get(address, headers={"If-Match": tag})).status_code == status, tag
    cases = [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=5-", 206, 5, size),
        ("bytes=-7", 206, size - 7, size),
        (f"bytes=5-{size + 100}", 206, 5, size),
        (f"bytes=-{size + 100}", 206, 0, size),
        ("bytes=9-5", 200, 0, size),
        ("bytes=0-1,3-4", 200, 0, size),
        ("items=0-1", 200, 0, size),
        ("bytes=-", 200, 0, size),
    ]
    for header, status, start, end in cases:
        response = await stranger.get(url, headers={"Range": header})
        assert (response.status_code, response.content) == (status, whole.content[start:end]), header
        assert response.headers["content-length"] == str(end - start)
        if status == 206:
            assert response.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    for header in (f"bytes={size}-", "bytes=-0"):
        response = await stranger.get(url, headers={"Range": header})
        assert (response.status_code, response.headers["content-range"]) == (416, f"bytes */{size}")
    for condition, status in ((etag, 206), ('"other"', 200)):
        response = await stranger.get(url, headers={"Range": "bytes=0-0", "If-Range": condition})
        assert response.status_code == status
    assert (await stranger.get(f"/images/{new_id()}")).status_code == 404
    assert (await stranger.get("/images/x")).status_code == 422


@pytest.mark.parametrize(
    ("request_of", "status", "code"),
    [
        (form(b"GIF89a" + b"\0" * 99), 415, "unsupported-media-type"),
        (form(b"<svg/>", media_type="image/png"), 415, "unsupported-media-type"),
        ({"json": {"file": "x"}}, 415, "unsupported-media-type"),
        ({"content": photo(), "headers": {"Content-Type": "image/jpeg"}}, 415, "unsupported-media-type"),
        (form(MANY), 413, "body-too-large"),
        (form(MANY * 5), 413, "body-too-large"),
        (form(photo()[:200]), 422, "invalid-fields"),
        (form(HUGE), 422, "invalid-fields"),
        (form(photo(), name="image"), 422, "invalid-fields"),
        ({"data": {"x": "1"}, **form(photo())}, 422, "invalid-fields"),
        ({"files": [("file", photo()), ("file", photo())]}, 422, "invalid-fields"),
        ({"content": b"--x", "headers": {"Content-Type": "multipart/form-data"}}, 400, "malformed-body"),
        (
            {"content": b"--x\r\nrubbish", "headers": {"Content-Type": "multipart/form-data; boundary=x"}},
            422,
            None,
        ),
    ],
)
async def test_what_is_no_good_image_is_told_why(commands, request_of, status, code):
    response = await commands.patch(f"/people/{new_id()}/image", **request_of)
    assert response.status_code in ({status, 400} if code is None else {status}), response.text
    assert response.headers["content-type"] == "application/problem+json"
    if code is not None:
        assert response.json()["type"] == f"urn:rollcall:problem:{code}"


async def test_who_may_and_which_person(system, services, commands):
    path = await created(commands)
    async with system.client(services["command_api"], system.token("people:read")) as reader:
        for method, route in (
            ("PATCH", "image"),
            ("DELETE", "image"),
            ("POST", "image/upload-ticket"),
            ("POST", "image/confirm"),
        ):
            assert (await reader.request(method, f"{path}/{route}")).status_code == 403
    cases = [
        (f"/people/{new_id()}", {}, 404, "person-not-found"),
        (path, {"If-Match": '"7"'}, 412, "version-mismatch"),
    ]
    for where, headers, status, code in cases:
        response = await commands.patch(f"{where}/image", **form(photo()), headers={**WAIT, **headers})
        assert (response.status_code, response.json()["type"]) == (status, f"urn:rollcall:problem:{code}")


async def test_a_retry_is_the_same_command_and_the_same_image_and_another_picture_is_refused(commands):
    path = await created(commands)
    key = {"Idempotency-Key": "face-1"}
    first = await changed(commands, path, photo(), **key)
    assert await changed(commands, path, photo(), **key) == first
    other = form(saved(halves(30, 30), "PNG"))
    response = await commands.patch(f"{path}/image", **other, headers={**WAIT, **key})
    assert response.status_code == 422
    assert response.json()["type"] == "urn:rollcall:problem:idempotency-key-reused"
    assert first["version"] == 2


@asynccontextmanager
async def uploading(port: int, token: str, count: int) -> AsyncIterator[list[asyncio.Task[bytes]]]:
    """Begin some uploads that never end, until the block ends; give the heads of their answers, as they come."""
    head = (
        f"PATCH /people/{new_id()}/image HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n--x\r\n"
    )
    writers: list[asyncio.StreamWriter] = []
    answers: list[asyncio.Task[bytes]] = []
    try:
        for _ in range(count):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(head.encode())
            answers.append(asyncio.create_task(reader.readuntil(b"\r\n\r\n")))
        yield answers
    finally:
        for answer in answers:
            answer.cancel()
        for writer in writers:
            writer.close()
        closed = (writer.wait_closed() for writer in writers)
        await asyncio.gather(*answers, *closed, return_exceptions=True)


async def test_no_more_uploads_are_held_than_there_are_places(commands, services, system):
    # None of them ends. One that did would hold a place for a moment, for want of which another is refused.
    async with uploading(services["command_api"].port, system.token(), AT_ONCE + 3) as answers:
        async with asyncio.timeout(60):
            refused = [await answer for answer in itertools.islice(asyncio.as_completed(answers), 3)]
        for answer in refused:
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: " in answer.lower()
        assert sum(answer.done() for answer in answers) == 3

    async def taken_again():
        return (await commands.patch(f"/people/{new_id()}/image", **form(b"GIF89a"))).status_code == 415

    await eventually(taken_again)


async def ticket_for(commands, path: str, **headers) -> dict:
    response = await commands.post(f"{path}/image/upload-ticket", headers=headers)
    assert (response.status_code, response.headers["cache-control"]) == (200, "no-store")
    return response.json()


async def test_a_browser_uploads_by_itself_and_the_confirmation_is_one_command(commands, stranger, queries):
    path = await created(commands)
    ticket = await ticket_for(commands, path)
    assert datetime.fromisoformat(ticket["expires_at"]) - datetime.now(UTC) <= timedelta(minutes=10)
    confirm = {"json": {"ticket": ticket["ticket"]}, "headers": WAIT}
    early = await commands.post(ticket["confirm"], **confirm)
    assert (early.status_code, early.json()["errors"][0]["field"]) == (422, "ticket")

    async with httpx.AsyncClient() as browser:
        for content, status in (
            (b"GIF89a", 415),
            (photo(), 201),
            (photo(), 201),
            (saved(halves(9, 9), "PNG"), 409),
        ):
            response = await browser.post(ticket["url"], data=ticket["fields"], **form(content))
            assert response.status_code == status, response.text
            assert response.headers["access-control-allow-origin"] == "*"
    assert (await queries.get(path)).json()["image_url"] is None

    first = await commands.post(ticket["confirm"], **confirm)
    assert first.status_code == 200, first.text
    again = await commands.post(ticket["confirm"], **confirm)
    assert again.json() == first.json()
    assert again.headers["x-command-id"] == first.headers["x-command-id"]
    shown = await stranger.get(first.json()["image_url"])
    assert telling(shown.content) == {}
    assert opened(shown.content).size == (120, 80)


async def test_a_ticket_is_good_for_its_person_its_subject_and_its_time_alone(commands, system, services):
    path, other = await created(commands), await created(commands)
    ticket = await ticket_for(commands, path)
    late = Ticket(
        new_id(), path.rpartition("/")[2], new_id(), "tester", datetime.now(UTC) - timedelta(seconds=1)
    )
    late_text = ImageSecret(system.key.encode()).sign(late)
    cases = [
        (other, ticket["ticket"], "is for another person"),
        (path, ticket["ticket"][:-3] + "abc", "is no upload ticket"),
        (path, system.token(), "is no upload ticket"),
        (path, late_text, "has expired"),
    ]
    for where, text, reason in cases:
        response = await commands.post(f"{where}/image/confirm", json={"ticket": text})
        assert (response.status_code, reason in response.json()["errors"][0]["reason"]) == (422, True), (
            response.text
        )
    async with system.client(services["command_api"], system.token(subject="somebody")) as somebody:
        response = await somebody.post(f"{path}/image/confirm", json={"ticket": ticket["ticket"]})
        assert "given to somebody else" in response.json()["errors"][0]["reason"]
    async with httpx.AsyncClient(base_url=services["command_api"].url) as stranger:
        for text in ("", "x", late_text, ticket["ticket"][:-2]):
            response = await stranger.post("/images/uploads", params={"ticket": text}, **form(photo()))
            assert response.status_code == 422, response.text
        assert (
            await stranger.patch(path, headers={"Authorization": f"Bearer {ticket['ticket']}"})
        ).status_code == 401


async def test_with_cloudinary_all_is_the_same_and_its_trouble_changes_nothing(
    system, commands, queries, cloudinary
):
    path = await created(commands)
    async with (
        system.running("command_api", CLOUDINARY_URL=cloudinary.url) as service,
        system.client(service) as client,
    ):
        person = await changed(client, path, photo())
        assert person["image_url"].startswith("https://res.cloudinary.com/demo/image/upload/v")
        assert "/c_fill,g_auto,h_256,w_256/" in person["thumbnail_url"]
        ((public_id, asset),) = [one for one in cloudinary.assets.items() if one[0].startswith("rollcall/")]
        assert public_id in person["image_url"]
        assert telling(asset.content) == {}

        for mood in (refusing(500, "no"), changing(bytes=1)):
            cloudinary.mood = mood
            response = await client.patch(f"{path}/image", **form(photo()), headers=WAIT)
            assert (response.status_code, response.json()["type"]) == (
                503,
                "urn:rollcall:problem:images-unavailable",
            )
            assert int(response.headers["retry-after"]) > 0
        cloudinary.mood = None
        assert (await commands.patch(path, json={"occupation": "Baker"}, headers=WAIT)).headers[
            "etag"
        ] == '"3"'

        ticket = await ticket_for(client, path)
        assert ticket["url"] == f"{cloudinary.prefix}/v1_1/demo/image/upload"
        async with httpx.AsyncClient() as browser:
            sent = await browser.post(ticket["url"], data=ticket["fields"], **form(photo()))
        assert sent.status_code == 200, sent.text
        confirm = {"json": {"ticket": ticket["ticket"]}, "headers": WAIT}
        done = await client.post(ticket["confirm"], **confirm)
        assert done.json()["image_url"] != person["image_url"]
        assert (done.status_code, done.headers["etag"]) == (200, '"4"')

        # What the form could not forbid is found out, and does not stay.
        ticket = await ticket_for(client, path)
        public_id = ticket["fields"]["public_id"]
        async with httpx.AsyncClient() as browser:
            await browser.post(ticket["url"], data=ticket["fields"], **form(photo()))
        cloudinary.assets[public_id].content = photo()
        refused = await client.post(ticket["confirm"], json={"ticket": ticket["ticket"]}, headers=WAIT)
        assert (refused.status_code, public_id in cloudinary.assets) == (422, False)
        assert "metadata of a camera" in refused.json()["errors"][0]["reason"]
        cloudinary.assets.clear()
