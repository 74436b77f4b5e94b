"""A fast HTTP client for load: raw requests on kept connections, answers read to the end."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON body of a response."""

    status: int
    body: dict[str, Any]


def request(method: str, path: str, token: str, body: Any = None, **headers: str) -> bytes:
    """Return the bytes of a request; header names with `_` for `-`."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: rollcall",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class Firehose:
    """One kept connection; opened anew when it was lost."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def send(self, raw: bytes) -> Answer:
        """Send a request, once more if the kept connection turns out to be closed; return the answer.

        Raises OSError or EOFError when the server is away.
        """
        if self._streams is not None:
            try:
                return await self._exchange(*self._streams, raw)
            except (OSError, EOFError):
                self.close()
        self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        return await self._exchange(*self._streams, raw)

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, raw: bytes
    ) -> Answer:
        async with asyncio.timeout(30):
            writer.write(raw)
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            body = json.loads(await reader.readexactly(length))
        return Answer(int(head.split(" ", 2)[1]), body)

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None
