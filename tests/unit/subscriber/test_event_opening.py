"""A subscriber asks the query API to open its events, waits while it must, and hands no wrong one on."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest
import structlog

from events.log.event import encode_event
from subscriber.handling import Handling
from subscriber.opening import (
    MOST_BYTES,
    MOST_EVENTS,
    TOKEN_SETTING,
    URL_SETTING,
    EventOpener,
    GivenUp,
)
from tests.chained import event

PERSON = "0199b1f0-7a10-7c55-8f2b-1d2e3f4a5b6c"
VALUE = "zoe.canary@example.com"
TOKEN = "token-canary"
SEALED = event(PERSON, 1, "0" * 64)


def announced(number: int, **changes) -> dict:
    return {**encode_event(SEALED), "id": f"e{number}", **changes}


def opened(one: dict) -> dict:
    return {**{name: one[name] for name in one.keys() - {"sealed"}}, "data": {"email": VALUE}}


class QueryApi:
    """Answers as it is told, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, list[str]]] = []
        self.statuses: list[int] = []
        self.opens: Callable[[dict], dict] = opened
        self.body: bytes | None = None
        api = self

        class Answering(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                ids = [one["id"] for one in content["events"]]
                api.asked.append((self.path, self.headers["Authorization"], ids))
                status = api.statuses.pop(0) if api.statuses else 200
                if any(one.get("taken") is False for one in content["events"]):
                    status = 422
                body = api.body or orjson.dumps({"items": list(map(api.opens, content["events"]))})
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self.url = f"http://127.0.0.1:{self.server.server_port}/query"


@pytest.fixture
def api() -> Iterator[QueryApi]:
    api = QueryApi()
    thread = threading.Thread(target=api.server.serve_forever, args=(0.01,))
    thread.start()
    yield api
    api.server.shutdown()
    thread.join()
    api.server.server_close()


@pytest.fixture
def token_file(tmp_path):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    return tmp_path / "token"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("subscriber.opening.backoff", lambda _attempt: 0)
    monkeypatch.setattr("subscriber.handling.backoff", lambda _attempt: 0)


async def test_a_handler_gets_opened_events_in_order(api, token_file):
    taken = []

    async def handle(one):
        taken.append((one["id"], one["data"]))

    handling = Handling(handle, opener=EventOpener(api.url, token_file))
    clear = announced(2, sealed=None, data={"grade": 1})
    del clear["sealed"]
    bodies = [orjson.dumps(one) for one in (announced(1), clear, announced(3))]
    events = await handling.read([bodies[0], b"rubbish", *bodies[1:]])
    assert [await handling.take(one) for one in events] == [None, "no event: JSONDecodeError", None, None]
    assert taken == [("e1", {"email": VALUE}), ("e2", {"grade": 1}), ("e3", {"email": VALUE})]
    assert api.asked == [("/query/events/open", f"Bearer {TOKEN}", ["e1", "e3"])]
    await handling.read(bodies)
    assert len(api.asked) == 1, "repeats are not opened again"


async def test_without_an_opener_events_have_what_is_in_the_clear():
    (one,) = await Handling(None).read([orjson.dumps(announced(1))])
    assert one["data"] == {"grade": 1} and one["sealed"]


async def test_it_waits_while_the_api_is_away_or_does_not_take_the_token(api, token_file):
    api.statuses = statuses = [503, 401, 403, 404, 500]
    expected = [f"the query API answers {status}" for status in statuses]
    with structlog.testing.capture_logs() as logs:
        (one,) = await EventOpener(api.url, token_file).opened([announced(1)])
    assert one["data"] == {"email": VALUE}
    assert [line["reason"] for line in logs] == expected
    assert VALUE not in str(logs) and TOKEN not in str(logs)


async def test_the_token_is_read_anew_for_each_request(api, token_file):
    opener = EventOpener(api.url, token_file)
    await opener.opened([announced(1)])
    token_file.write_text("another")
    await opener.opened([announced(2)])
    assert [token for _, token, _ in api.asked] == [f"Bearer {TOKEN}", "Bearer another"]


async def test_it_waits_for_an_api_that_does_not_listen_yet(token_file, monkeypatch):
    class Enough(Exception):
        pass

    def pause(attempt: int) -> float:
        if attempt == 2:
            raise Enough
        return 0

    monkeypatch.setattr("subscriber.opening.backoff", pause)
    with structlog.testing.capture_logs() as logs, pytest.raises(Enough):
        await EventOpener("http://127.0.0.1:1", token_file).opened([announced(1)])
    assert [line["reason"] for line in logs] == ["ConnectionRefusedError"] * 2


async def test_an_erased_event_is_handed_on_as_such_and_a_damaged_one_is_named(api, token_file):
    api.opens = lambda one: {
        "e1": {**opened(one), "data": {}, "erased": True},
        "e2": {"id": "e2", "subject": PERSON, "data": {}, "damaged": True},
        "e3": opened(one),
    }[one["id"]]
    with structlog.testing.capture_logs() as logs:
        erased, damaged, sound = await EventOpener(api.url, token_file).opened(
            [announced(number) for number in (1, 2, 3)]
        )
    assert (erased["erased"], erased["data"]) == (True, {})
    assert damaged == GivenUp(f"damaged: event e2 of {PERSON}")
    assert sound["data"] == {"email": VALUE}
    assert [(line["event"], line["event_id"]) for line in logs] == [("an event is damaged", "e2")]


async def test_one_that_is_not_taken_does_not_keep_the_others(api, token_file):
    events = [announced(1), announced(2, taken=False), announced(3)]
    first, refused, last = await EventOpener(api.url, token_file).opened(events)
    assert refused == GivenUp("cannot be opened: the query API answers 422")
    assert (first["id"], last["id"]) == ("e1", "e3")


@pytest.mark.parametrize("body", [b"{}", b"no JSON", b"[]", b'{"items":[]}', b'{"items":[{"id":"e7"}]}'])
async def test_another_s_answer_is_none(api, token_file, body):
    api.body, answers = body, []

    class Once(Exception):
        pass

    def told(attempt: int) -> float:
        answers.append(attempt)
        raise Once

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Once):
        patch.setattr("subscriber.opening.backoff", told)
        await EventOpener(api.url, token_file).opened([announced(1)])
    assert answers == [1]


async def test_requests_are_bounded(api, token_file):
    opener = EventOpener(api.url, token_file)
    await opener.opened([announced(number) for number in range(MOST_EVENTS + 1)])
    assert [len(ids) for _, _, ids in api.asked] == [MOST_EVENTS, 1]
    api.asked.clear()
    large = "ab" * (MOST_BYTES // 4)
    await opener.opened([announced(number, sealed=large) for number in range(3)])
    assert [ids for _, _, ids in api.asked] == [["e0"], ["e1"], ["e2"]]


def test_the_environment_names_the_api_and_the_token(token_file):
    assert EventOpener.of_environment({}) is None
    assert EventOpener.of_environment({URL_SETTING: "http://x", TOKEN_SETTING: str(token_file)})
    for url in ("", "ftp://x", "http://"):
        with pytest.raises(ValueError, match="must begin with http"):
            EventOpener.of_environment({URL_SETTING: url, TOKEN_SETTING: str(token_file)})
