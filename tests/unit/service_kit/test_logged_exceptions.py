"""No value gets into the log by way of an exception: of a foreign one it has the class and the place."""

import json
import subprocess
import sys

import httpx
import pytest
import structlog
from fastapi import Request
from pymongo.errors import BulkWriteError, DuplicateKeyError

from events.errors import BrokerUnavailable, StoreUnavailable
from service_kit.broker.connection import broker_errors
from service_kit.http.web import PlainRoute, create_app
from service_kit.logs import class_and_place, described
from service_kit.mongo.connection import store_errors
from service_kit.person_values.texts import email

VALUE = "1020304-zoe"
PROGRAM = f"""
import asyncio, gc, logging, sys
import structlog
from events.errors import StoreUnavailable
from service_kit.logs import configure_logs

configure_logs("tests", "INFO")

def fail():
    try:
        raise KeyError("{VALUE}")
    except KeyError as exc:
        raise StoreUnavailable("MongoDB is away") from exc

try:
    fail()
except StoreUnavailable as exc:
    structlog.get_logger().error("ours", exc_info=exc)
    logging.getLogger("library").exception("theirs")
try:
    raise ExceptionGroup("{VALUE}", [ValueError("{VALUE}"), TypeError("{VALUE}")])
except ExceptionGroup:
    structlog.get_logger().error("several", exc_info=True)

async def forget():
    async def task():
        raise RuntimeError("{VALUE}")
    asyncio.create_task(task())
    await asyncio.sleep(0)
    gc.collect()
asyncio.run(forget())
raise LookupError("{VALUE}")
"""


def test_an_exception_is_logged_by_its_class_and_place_wherever_it_comes_from():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert VALUE not in done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    told = {line["event"]: line["exception"].splitlines() for line in lines}
    ours, theirs, several, forgotten, end = told.values()
    assert list(told)[:3] == ["ours", "theirs", "several"]
    assert ours == theirs
    assert ours[0] == "events.errors.StoreUnavailable: MongoDB is away"
    assert "KeyError" in ours
    assert any("in fail" in line for line in ours)
    assert {"ExceptionGroup", "ValueError", "TypeError"} <= set(several)
    assert forgotten[0] == "RuntimeError"
    assert (list(told)[-1], end[0]) == ("ended by an error", "LookupError")


def test_exceptions_that_refer_to_each_other_are_told_once():
    one, other = ValueError("x"), KeyError("y")
    one.__cause__, other.__cause__ = other, one
    assert described(one).splitlines() == ["ValueError", "KeyError"]


async def test_a_request_that_fails_is_logged_by_its_route():
    app = create_app("tests", {})
    app.router.route_class = PlainRoute

    @app.get("/people/by-document/{document_type}/{document_id}")
    async def find(_request: Request):
        raise ValueError(VALUE)

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        with structlog.testing.capture_logs() as logs:
            answer = await client.get(f"/people/by-document/CC/{VALUE}")
    assert (answer.status_code, VALUE in answer.text) == (500, False)
    (line,) = [line for line in logs if line["event"] == "request failed"]
    assert (line["method"], line["route"]) == ("GET", "/people/by-document/{document_type}/{document_id}")
    assert VALUE not in str({**line, "exc_info": None})


@pytest.mark.parametrize("failure", [OSError(VALUE), RuntimeError(VALUE)])
async def test_a_failure_of_the_broker_s_client_is_told_by_its_class(failure):
    with pytest.raises(BrokerUnavailable) as told, broker_errors("publishing"):
        raise failure
    assert told.value.detail == f"RabbitMQ: publishing: {type(failure).__name__}"


@pytest.mark.parametrize(
    "failure",
    [
        BulkWriteError({"writeErrors": [{"code": 121, "errmsg": VALUE, "op": {"_id": VALUE}}]}),
        DuplicateKeyError(f"E11000 duplicate key error: {VALUE}", 11000, {"keyValue": {"_id": VALUE}}),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_document_that_mongodb_refused_is_not_told(failure):
    with pytest.raises(type(failure)) as told, store_errors():
        raise failure
    assert VALUE not in described(told.value) and VALUE not in class_and_place(told.value)
    assert described(told.value).startswith(f"pymongo.errors.{type(failure).__name__}\n")
    assert " in test_a_document_that_mongodb_refused_is_not_told" in class_and_place(told.value)


def test_ours_say_what_they_say():
    assert described(StoreUnavailable("MongoDB is away")) == "events.errors.StoreUnavailable: MongoDB is away"


def test_a_reason_quotes_nothing_of_an_e_mail_address():
    for wrong in ('zoe"@example.com', "zoe@exa mple.com", "zoe@exam_ple.com"):
        with pytest.raises(ValueError, match="is no e-mail address") as refusal:
            email(wrong)
        assert "'" not in str(refusal.value)
