"""Sends the demo people through the command API; knows no database and no broker."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any
from urllib.parse import urlsplit

from devstack.demo.values import made_person
from events.person.schema.declarations import PersonSchema
from operations.errors import SetupError
from operations.terminal import print_progress

_AT_ONCE = 8
_PATIENCE_S = 30.0
_RETRIED = {429, 502, 503, 504}


def send_people(
    url: str, token: str, schema: PersonSchema, count: int, check: Callable[[], None] = lambda: None
) -> tuple[int, int]:
    """Post `count` people; sent again later, the same ones are created no second time.

    Args:
        url: The command API.
        token: A token with the scope people:write, and those that fields want.
        schema: What a person is.
        count: How many, from number 0 on.
        check: Called between answers; may raise to break off.

    Returns:
        How many were accepted, and how many not.

    Raises:
        SetupError: The API cannot be reached.
    """
    accepted = refused = 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        batches = [range(start, count, _AT_ONCE) for start in range(min(_AT_ONCE, count))]
        answers = [pool.submit(_send_some, url, token, schema, numbers) for numbers in batches]
        try:
            for done in as_completed(answers):
                good, bad = done.result()
                accepted, refused = accepted + good, refused + bad
                check()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return accepted, refused


def send_demo(
    url: str, token: str, schema: PersonSchema, count: int, check: Callable[[], None] = lambda: None
) -> None:
    """`send_people` with a line before and after for people to read."""
    print_progress(f"Sending {count} people through {url} …")
    began = time.monotonic()
    accepted, refused = send_people(url, token, schema, count, check)
    took = time.monotonic() - began
    ending = f", {refused} refused." if refused else "."
    print_progress(f"{accepted} of {count} people accepted in {took:.1f} s{ending}")


def _send_some(url: str, token: str, schema: PersonSchema, numbers: range) -> tuple[int, int]:
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_PATIENCE_S)
    good = 0
    try:
        for number in numbers:
            good += _send_one(connection, token, made_person(schema, number), number)
    except (OSError, http.client.HTTPException) as exc:
        raise SetupError(f"The command API at {url} does not answer ({exc}).") from exc
    finally:
        connection.close()
    return good, len(numbers) - good


def _send_one(
    connection: http.client.HTTPConnection, token: str, person: dict[str, Any], number: int
) -> bool:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": f"demo-person-{number}",
    }
    body = json.dumps(person)
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        connection.request("POST", "/people", body, headers)
        response = connection.getresponse()
        answer = response.read()
        if response.status not in _RETRIED or time.monotonic() > deadline:
            break
        time.sleep(0.2)
    if response.status not in {200, 201, 202}:
        text = answer.decode(errors="replace")[:300]
        print_progress(f"Person {number}: {response.status} {text}")
        return False
    return True
