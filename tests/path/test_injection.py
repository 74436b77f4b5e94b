"""No value from a client becomes an operator, a name or a path in what MongoDB is asked; none makes an error of ours."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from urllib.parse import quote

import httpx
import pytest
from pymongo import AsyncMongoClient, monitoring

import command_api.app
import query_api.app
from service_kit.mongo import connection as mongo
from service_kit.settings import Settings
from tests.path.conftest import Kept
from tests.path.test_contract import ENDLESS, token
from tests.system import TOPOLOGIES, eventually, new_person

MARK = "m4rk3r"
# Beside all else, operators that our own code never writes.
TEXTS = [
    f"${MARK}",
    f"{MARK}.{MARK}",
    f"$where: {MARK}",
    f"$$ROOT.{MARK}",
    json.dumps({"$regex": MARK}),
    json.dumps({"$ne": None, MARK: 1}),
    f"{MARK}\x00",
    f"/{MARK}/i",
    f".*{MARK}",
    "1e400",
    "9" * 400,
    "-9223372036854775809",
    "NaN",
    f"{MARK}'\"\\;//--",
    f"\u202e{MARK}\U0001f4a5",
    MARK * 1000,
    "[" * 4000,
]
NAMES = [f"${MARK}", f"{MARK}.$gt", "$where", "email[$ne]", "email.$ne", "_id", "__proto__", f"{MARK}\x00"]


def deep(depth: int) -> str:
    return '{"$or":[' * depth + f'"{MARK}"' + "]}" * depth


# As they stand in a JSON body: also what Python's own encoder would not write.
VALUES = [
    *map(json.dumps, TEXTS),
    json.dumps({"$type": 2}),
    json.dumps({"$where": MARK}),
    json.dumps([{"$ne": MARK}]),
    '"\\ud800"',
    "1e999",
    "9" * 400,
    "-0.0",
    "NaN",
    "true",
    deep(20),
    deep(2000),
]
OURS = {
    *("$and", "$elemMatch", "$eq", "$exists", "$gt", "$gte", "$in", "$lt", "$lte", "$nin", "$not", "$or"),
    *("$each", "$inc", "$pull", "$push", "$set"),
    *("$first", "$group", "$limit", "$match", "$min", "$sort", "$sum"),
    *("$clusterTime", "$db", "$readPreference"),
}
"""What our own code writes to MongoDB; an operator that is new belongs here once it is."""
# Only these stages take the values of clients, and take them as they are.
LITERAL = {"$match"}


class Asked(monitoring.CommandListener):
    """Notes what was asked."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, object]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.commands.append((event.command_name, event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


def names(value: object) -> Iterator[str]:
    """Yield every name of a field in something that was asked."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from names(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from names(inner)


def expressions(command: object) -> Iterator[object]:
    """Yield what MongoDB evaluates: a text with a dollar is a path there."""
    if isinstance(command, dict):
        for stage in command.get("pipeline", ()):
            yield from (inner for name, inner in stage.items() if name not in LITERAL)


def requests(document: dict, person_id: str) -> Iterator[tuple[str, str, dict]]:
    """Yield a request for each parameter and field of each route with each value, and some with unknown names."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parameters = operation.get("parameters", [])
            good = re.sub(r"\{\w+\}", person_id, path)
            for one in parameters:
                for text in TEXTS:
                    if one["in"] == "path":
                        yield (
                            method,
                            path.replace(f"{{{one['name']}}}", quote(text, safe="")).format_map(
                                Any(person_id)
                            ),
                            {},
                        )
                    elif one["in"] == "query":
                        yield method, good, {"params": {one["name"]: text}}
                    elif one["in"] == "header" and text.isprintable() and text.isascii():
                        yield method, good, {"headers": {one["name"]: text}}
            for name in NAMES:
                yield method, good, {"params": {name: MARK}}
            content = operation.get("requestBody", {}).get("content", {})
            for media_type, media in content.items():
                schema = media["schema"]
                if "$ref" in schema:
                    schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                fields = list(schema.get("properties", ()))
                bodies = [
                    *VALUES,
                    *(f"{{{json.dumps(field)}: {value}}}" for field in [*fields, *NAMES] for value in VALUES),
                ]
                for body in bodies:
                    yield method, good, {"content": body.encode(), "headers": {"Content-Type": media_type}}


class Any(dict):
    """One value for every name."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __missing__(self, _name: str) -> str:
        return self._value


async def ready(client: httpx.AsyncClient) -> bool:
    return (await client.get("/readyz")).status_code == 200


@pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True)
async def test_no_value_becomes_an_operator_or_an_error_of_ours(
    system, services, kept: Kept, commands, queries, monkeypatch
):
    created = await commands.post("/people", json=new_person(), headers={"Prefer": "wait=10"})
    person_id = created.json()["id"]
    asked = Asked()
    # Motor hands all to the same driver.
    monkeypatch.setattr(mongo, "AsyncMongoClient", partial(AsyncMongoClient, event_listeners=[asked]))
    settings = Settings(
        mongo_uri=system.mongo.uri,
        amqp_url=system.rabbit.url,
        jwt_algorithm="EdDSA",
        signing_keys=kept.keys,
        images_key_file=system.directory / "images.key",
        kek_file=system.kek_file,
        signup="open",
        rate_address="0",
        rate_subject="0",
    )
    apps = (command_api.app.build_app(settings, lambda: datetime.now(UTC)), query_api.app.build_app(settings))
    answers: Counter[int] = Counter()
    async with AsyncExitStack() as stack:
        for app in apps:
            await stack.enter_async_context(app.router.lifespan_context(app))
            client = await stack.enter_async_context(
                httpx.AsyncClient(
                    transport=httpx.ASGITransport(app, raise_app_exceptions=False),
                    base_url="http://api",
                    headers={"Authorization": f"Bearer {token(kept.keys)}"},
                )
            )
            await eventually(partial(ready, client))
            for method, path, more in requests(app.openapi(), person_id):
                if path == ENDLESS:
                    continue
                response = await client.request(method, path, **more)
                answers[response.status_code] += 1
                known = response.status_code < 500 or (
                    response.status_code == 503 and "retry-after" in response.headers
                )
                assert known, (method, path[:200], str(more)[:300], response.text)
    assert answers.total() > 5000
    # Most is refused for what it is, and nothing for its number.
    assert answers[422] > answers.total() / 2
    assert not answers[429]
    assert {name for name, _ in asked.commands} >= {"find", "aggregate"}
    for _, command in asked.commands:
        for name in names(command):
            assert MARK not in name, command
            assert not name.startswith("$") or name in OURS, (name, command)
        for expression in expressions(command):
            assert MARK not in repr(expression), command
