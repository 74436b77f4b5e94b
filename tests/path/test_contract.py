"""Both APIs do what their OpenAPI documents say, whatever is sent to them."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pytest

from service_kit.auth.roles import SCOPES
from service_kit.auth.signing import KeyRing
from service_kit.auth.tokens import issue_token
from tests.path.conftest import Kept
from tests.system import ROOT, TOPOLOGIES, Service, eventually

CONFIG = Path(__file__).with_name("schemathesis.toml")
# An answer that never ends is not to be waited for; tests of the feed send its parameters.
ENDLESS = "/events/stream"
# A person's own routes and the list, without images and files.
PEOPLE = r"^/people($|/by-|/\{person_id\}($|/revert|/history|/commands))"
# For schemathesis these name what it would have to create before a person.
FOREIGN_IDS = ("X-Correlation-Id", "X-Causation-Id")


def token(keys: Path) -> str:
    signer = KeyRing(keys, "EdDSA").signer
    return issue_token(
        key=signer.private,
        kid=signer.kid,
        algorithm="EdDSA",
        issuer="rollcall",
        audience="rollcall",
        subject="fuzzer",
        scopes=SCOPES,
        ttl_seconds=3600,
    )


async def taken(service: Service, bearer: str) -> bool:
    """Return whether a service knows the key by now that signed a token: a test before may have made it."""
    async with httpx.AsyncClient(
        base_url=service.url, headers={"Authorization": f"Bearer {bearer}"}
    ) as client:
        return (await client.patch("/people/0", json={})).status_code != 401 and (
            await client.get("/people/0")
        ).status_code != 401


async def fuzz(document: str, bearer: str, directory: Path, *options: str) -> tuple[bool, str]:
    """Return whether nothing is found wrong, and the report."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run", document),
        *("--header", f"Authorization: Bearer {bearer}", *options),
        *("--request-timeout", "15", "--continue-on-failure", "--no-color", "--warnings", "off"),
        cwd=directory,  # it keeps what it has found
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(900):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode == 0, said.decode()


def joined(services: Iterable[Service]) -> dict[str, Any]:
    """Return the documents of services as one, in which each operation names its server."""
    paths: dict[str, dict[str, Any]] = {}
    components: dict[str, dict[str, Any]] = {}
    for service in services:
        document = httpx.get(f"{service.url}/openapi.json").json()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                parameters = [
                    one for one in operation.get("parameters", ()) if one["name"] not in FOREIGN_IDS
                ]
                more = {"servers": [{"url": service.url}], "parameters": parameters}
                paths.setdefault(path, {})[method] = operation | more
        for kind, named in document["components"].items():
            components.setdefault(kind, {}).update(named)
    return {**document, "paths": paths, "components": components}


@pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True)
async def test_whatever_is_sent_every_answer_is_one_that_the_document_knows(services, kept: Kept, tmp_path):
    options = ("--phases", "examples,coverage,fuzzing", "--exclude-path", ENDLESS)
    bearer = token(kept.keys)
    for service in kept.services.values():
        await eventually(lambda service=service: taken(service, bearer))
    documents = [f"{one.url}/openapi.json" for one in kept.services.values()]
    for good, report in await asyncio.gather(*(fuzz(one, bearer, tmp_path, *options) for one in documents)):
        assert good, report


@pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True)
async def test_answers_about_people_lead_from_one_to_the_next(services, system, tmp_path):
    """Each change is waited for, so that every later read shows it: a person who was deleted is gone."""
    apis = [services[name] for name in ("command_api", "query_api")]
    document = tmp_path / "both.json"
    document.write_text(json.dumps(joined(apis)))
    options = ("--url", apis[0].url, "--phases", "stateful", "--include-path-regex", PEOPLE)
    good, report = await fuzz(
        str(document), system.token(), tmp_path, *options, "--header", "Prefer: wait=10"
    )
    followed = re.search(r"(\d+) covered", report)
    assert good and followed and int(followed[1]) > 10, report
