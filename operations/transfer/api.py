"""Where the APIs answer, and one request to them: what goes wrong there becomes a sentence here."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from events.accounts.event import LOCAL
from operations.addresses import ServicePorts
from operations.errors import SetupError
from operations.tokens.access import new_token

SILENCE_S = 120.0
"""How long an API may say nothing."""
AWAY = frozenset({429, 502, 503, 504})
_NO_ROUTE = frozenset({404, 405})


class Interrupted(Exception):
    """The API is away or broke off: the same request may succeed later."""


class Unreachable(Interrupted):
    """Nobody listens at the address."""


class NotThere(SetupError):
    """Whoever answers there does not have what both APIs together have."""


@dataclass(frozen=True)
class Api:
    """The two APIs, and who asks.

    Attributes:
        command_url: The command API.
        query_url: The query API.
        token: A bearer token.
    """

    command_url: str
    query_url: str
    token: str

    @contextmanager
    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: Iterator[bytes] | None = None
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request, and give the response; the body of one of 4xx or 5xx becomes an error.

        Args:
            method: Of HTTP; decides which API is asked.
            target: Path and query.
            headers: More of them.
            body: Its parts.

        Raises:
            Interrupted: The API is away, or the connection was lost.
            NotThere: It is another API, or none of ours.
            SetupError: It refuses.
        """
        place = urlsplit(self.query_url if method == "GET" else self.command_url)
        kind = http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        connection = kind(place.hostname or "", place.port, timeout=SILENCE_S)
        ours = {"Authorization": f"Bearer {self.token}", "Accept": "application/json", **headers}
        try:
            _send(connection, method, place.path.rstrip("/") + target, ours, body)
            response = connection.getresponse()
            if response.status >= http.client.BAD_REQUEST:
                raise _refusal(response.status, response.read(), f"{place.geturl()} has no {method} {target}")
            yield response
        except (OSError, http.client.HTTPException) as exc:
            words = str(exc) or type(exc).__name__
            kind_of = (
                Unreachable if isinstance(exc, ConnectionRefusedError | socket.gaierror) else Interrupted
            )
            raise kind_of(f"{place.scheme}://{place.netloc} does not answer ({words})") from exc
        finally:
            connection.close()

    def require(self, target: str) -> None:
        """Return if the query API answers at its address, be it that there is nothing.

        Args:
            target: Path and query of a read.

        Raises:
            NotThere: Another one answers.
        """
        try:
            with self.answer("GET", target, {}):
                pass
        except NotThere:
            raise
        except (SetupError, Interrupted):
            pass  # that is told where it matters


def _send(
    connection: http.client.HTTPConnection,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: Iterator[bytes] | None,
) -> None:
    if body is None:
        connection.request(method, target, None, headers)
        return
    headers = {**headers, "Transfer-Encoding": "chunked"}
    try:
        connection.request(method, target, body, headers, encode_chunked=True)
    except (BrokenPipeError, ConnectionResetError):
        # It may have said why before it hung up: that is worth more than that it did.
        if connection.sock is None:
            raise


def _refusal(status: int, body: bytes, lack: str) -> Exception:
    """Return the error that an answer means.

    Args:
        status: Of the answer.
        body: A problem, if the answer is one of our APIs.
        lack: What is said if there is no such address.
    """
    try:
        problem = json.loads(body)
        detail = str(problem["detail"])
        errors = [f"{one['field']} {one['reason']}" for one in problem.get("errors", [])]
    except (ValueError, KeyError, TypeError):
        problem, detail, errors = {}, f"the answer was {status}", []
    # Of what a route of ours does not have, it says more than the title.
    if status in _NO_ROUTE and detail in (problem.get("title"), f"the answer was {status}"):
        return NotThere(
            f"{lack}: --url names the address where both APIs answer, that of the proxy, and not that of one "
            "API alone. Without --url, those of `up` on this machine are asked."
        )
    text = f"{detail}: {'; '.join(errors)}" if errors else detail
    if status in AWAY:
        return Interrupted(text)
    return SetupError(f"{text[:1].upper()}{text[1:]}.")


def add_api(parser: argparse.ArgumentParser) -> None:
    """Options that say where the APIs are and who asks."""
    parser.add_argument(
        "--url", help="where both APIs answer, the proxy say (default: those of `up` on this machine)"
    )
    parser.add_argument("--sub", default=LOCAL, help=f"who acts, as the log will say (default: {LOCAL})")


def find_api(options: argparse.Namespace, *scopes: str) -> Api:
    """Return the APIs that the options name; the token is `ROLLCALL_TOKEN`, or one made here.

    Raises:
        SetupError: There is no token, and none can be made.
    """
    ports = ServicePorts.find(os.environ)
    token = os.environ.get("ROLLCALL_TOKEN") or new_token(os.environ, subject=options.sub, scopes=scopes)
    return Api(options.url or ports.command_url, options.url or ports.query_url, token)


def target_of(path: str, **query: Any) -> str:
    """Return a path with its query; what is None is left out, what is a list is named several times."""
    given = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path
