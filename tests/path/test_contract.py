"""Both APIs do what their OpenAPI documents say, whatever is sent to them."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from service_kit.auth.roles import SCOPES
from service_kit.auth.signing import KeyRing
from service_kit.auth.tokens import issue_token
from tests.path.conftest import Kept
from tests.system import ROOT, TOPOLOGIES

CONFIG = Path(__file__).with_name("schemathesis.toml")
# An answer that never ends is not to be waited for; tests of the feed send its parameters.
ENDLESS = "/events/stream"


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


async def fuzz(url: str, bearer: str, directory: Path) -> str:
    """Return what is found wrong; empty if nothing is."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"),
        *(f"{url}/openapi.json", "--header", f"Authorization: Bearer {bearer}"),
        *("--phases", "examples,coverage,fuzzing", "--exclude-path", ENDLESS),
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
    return "" if process.returncode == 0 else said.decode()


@pytest.mark.parametrize("system", TOPOLOGIES[:1], indirect=True)
async def test_whatever_is_sent_every_answer_is_one_that_the_document_knows(services, kept: Kept, tmp_path):
    bearer = token(kept.keys)
    for found in await asyncio.gather(*(fuzz(one.url, bearer, tmp_path) for one in kept.services.values())):
        assert not found, found
