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
from tests.system import ROOT, TOPOLOGIES, Service

CONFIG = Path(__file__).with_name("schemathesis.toml")
# An answer that never ends is not to be waited for; tests of the feed send its parameters.
ENDLESS = "/events/stream"
# Who has no picture and is in no file: what a person's links lead to.
PEOPLE = r"^/people($|/by-document|/\{person_id\}($|/revert|/history|/commands))"
# schemathesis takes them for ids of what it has to make before it can create a person.
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


async def fuzz(document: str, bearer: str, directory: Path, *options: str) -> str:
    """Return what was done; fail with what is found wrong."""
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
        async with asyncio.timeout(300):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    report = said.decode()
    assert process.returncode == 0, report
    return report


def joined(services: Iterable[Service]) -> dict[str, Any]:
    """Return the documents of services as one, in which each operation names its server."""
    paths: dict[str, dict[str, Any]] = {}
    components: dict[str, dict[str, Any]] = {}
    for service in services:
        document = httpx.get(f"{service.url}/openapi.json").json()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                parameters = [one for one in operation.get("parameters", ()) if one["name"] not in FOREIGN_IDS]
                more = {"servers": [{"url": service.url}], "parameters": parameters}
                paths.setdefault(path, {})[method] = operation | more
        for kind, named in document["components"].items():
            components.setdefault(kind, {}).update(named)
    return {**document, "paths": paths, "components": components}


@pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True)
async def test_whatever_is_sent_every_answer_is_one_that_the_document_knows(services, kept: Kept, tmp_path):
    options = ("--phases", "examples,coverage,fuzzing", "--exclude-path", ENDLESS)
    bearer = token(kept.keys)
    documents = [f"{one.url}/openapi.json" for one in kept.services.values()]
    await asyncio.gather(*(fuzz(one, bearer, tmp_path, *options) for one in documents))


@pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True)
async def test_what_is_told_of_a_person_leads_to_more_of_that_person(services, system, tmp_path):
    apis = [services[name] for name in ("command_api", "query_api")]
    document = tmp_path / "both.json"
    document.write_text(json.dumps(joined(apis)))
    options = ("--url", apis[0].url, "--phases", "stateful", "--include-path-regex", PEOPLE)
    report = await fuzz(str(document), system.token(), tmp_path, *options, "--header", "Prefer: wait=15")
    links = re.search(r"(\d+) covered", report)
    assert links and int(links[1]) > 10, report
