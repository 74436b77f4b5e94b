"""What the scenario `neighbours` takes for a fault: slow neighbours, dishonest answers, places too many."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from bench.neighbours.abuses import ABUSES, abuse
from bench.neighbours.asking import AbuseJob, Answered
from bench.neighbours.neighbour import CREATE, KINDS, PAGE, READ, Noticed
from bench.neighbours.scenario import _row
from service_kit.settings import Settings

QUIET = {CREATE: 10.0, READ: 5.0, PAGE: 8.0}
SHARE = Settings.model_fields["exports_at_once"].default.each


def noticed(times: float = 1.0, **statuses: int) -> Noticed:
    """Return what a neighbour notices beside an abuse that makes all so many times slower."""
    return Noticed(
        {kind: [ms * times / 1000] * 100 for kind, ms in QUIET.items()},
        {kind: Counter({statuses.get(kind, 202 if kind == CREATE else 200): 100}) for kind in KINDS},
    )


def test_a_neighbour_who_notices_little_is_well():
    assert _row("counts", QUIET, noticed(4.9), Answered(Counter({200: 9, 503: 9, 429: 1}))).ok


@pytest.mark.parametrize(
    ("name", "seen", "answered"),
    [
        ("counts", noticed(5.1), Answered()),
        ("log-ins", noticed(read=503), Answered()),
        ("log-ins", noticed(create=429), Answered()),
        ("counts", noticed(), Answered(dishonest=["GET /people: 500"])),
        ("exports not read", noticed(), Answered(most_open=SHARE + 1, refused=9)),
        ("exports not read", noticed(), Answered(most_open=SHARE)),
    ],
    ids=["slow", "refused", "throttled", "dishonest", "too many", "none refused"],
)
def test_whatever_hurts_a_neighbour_is_a_fault(name, seen, answered):
    assert not _row(name, QUIET, seen, answered).ok


def test_a_read_that_takes_long_is_a_fault_even_where_all_is_slow():
    slow = dict.fromkeys(KINDS, 80.0)
    assert not _row("counts", slow, noticed(21), Answered()).ok
    assert _row("log-ins", slow, noticed(21), Answered()).ok


@asynccontextmanager
async def answering(head: bytes):
    """A server that answers all with a head, and keeps what is good open."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head + b"\r\n\r\n")
        if head.startswith(b"HTTP/1.1 200"):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize(
    ("head", "dishonest"),
    [
        (b"HTTP/1.1 503 Busy\r\nRetry-After: 2", None),
        (b"HTTP/1.1 503 Busy", "503 without Retry-After"),
        (b"HTTP/1.1 500 Oh", "500"),
        (b"HTTP/1.1 200 OK", None),
    ],
)
async def test_an_abuser_takes_down_what_it_is_answered(head, dishonest):
    status, clients = int(head[9:12]), ABUSES["exports not read"].clients
    async with answering(head) as port:
        for seconds in (0.3, 3.0, 30.0):  # a busy machine may not get round to all clients in the first
            job = AbuseJob("exports not read", port, port, "token", "old", "oldest", 9, seconds)
            answered = await abuse(job)
            if max(answered.most_open, answered.refused) >= clients:
                break
    assert set(answered.statuses) == {status}
    assert {one.rpartition(": ")[2] for one in answered.dishonest} == ({dishonest} if dishonest else set())
    assert (answered.most_open == clients) == (status == 200)
    assert (answered.refused >= clients) == (status != 200)
