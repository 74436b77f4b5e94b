"""The wire protocol, as far as the router reads it: whole messages, the command's name, an answer."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, Final

import bson

_HEADER: Final = struct.Struct("<iiii")  # length, request id, response to, operation
INT: Final = struct.Struct("<i")
_OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
_CHECKSUM = 1
_BODY_AT: Final = 21
"""Where the command of an OP_MSG begins: after header, flags and the section's kind. See
https://github.com/mongodb/specifications/blob/master/source/message/OP_MSG.md."""
_MAX_MESSAGE: Final = 48_000_000


class NotOurs(ValueError):
    """What came is no message that a driver of MongoDB sends."""


def operation_of(message: bytes) -> int:
    """Return the operation of a message: `OP_MSG`, or `OP_QUERY` of an old handshake.

    Raises:
        NotOurs: It is another one, or does not begin with its command.
    """
    operation = int(_HEADER.unpack_from(message)[3])
    if operation != OP_QUERY and (operation != OP_MSG or message[_BODY_AT - 1]):
        raise NotOurs(f"operation {operation}")
    return operation


def command_name(message: bytes) -> bytes:
    """Return the name of the command in an OP_MSG: the first field of its body."""
    return message[_BODY_AT + 5 : message.index(b"\0", _BODY_AT + 5)]


def renamed(message: bytes, old: bytes, new: bytes) -> bytes:
    """Return an OP_MSG with its command's name replaced, and without a checksum."""
    length, request, response, operation = _HEADER.unpack_from(message)
    (flags,) = INT.unpack_from(message, _HEADER.size)
    (size,) = INT.unpack_from(message, _BODY_AT)
    more = len(new) - len(old)
    end = length - (4 if flags & _CHECKSUM else 0)
    return b"".join(
        (
            _HEADER.pack(end + more, request, response, operation),
            INT.pack(flags & ~_CHECKSUM),
            message[_HEADER.size + 4 : _BODY_AT],
            INT.pack(size + more),
            message[_BODY_AT + 4 : _BODY_AT + 5],
            new,
            message[_BODY_AT + 5 + len(old) : end],
        )
    )


def answer_to(message: bytes, document: Mapping[str, Any]) -> bytes:
    """Return the message that answers an OP_MSG, or an OP_QUERY of the handshake, with a document."""
    _, request, _, operation = _HEADER.unpack_from(message)
    body = bson.encode(document)
    if operation == OP_QUERY:
        head, kind = struct.pack("<iqii", 8, 0, 0, 1), _OP_REPLY
    else:
        head, kind = b"\0\0\0\0\0", OP_MSG
    return _HEADER.pack(_HEADER.size + len(head) + len(body), 0, request, kind) + head + body


def command_of(message: bytes) -> dict[str, Any]:
    """Return the command of an OP_MSG or an OP_QUERY."""
    _, _, _, operation = _HEADER.unpack_from(message)
    at = _BODY_AT if operation == OP_MSG else message.index(b"\0", _HEADER.size + 4) + 9
    (size,) = INT.unpack_from(message, at)
    return bson.decode(message[at : at + size])


class Frames:
    """Cuts a stream of bytes into messages of the wire protocol."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages that are complete with this data.

        Raises:
            NotOurs: What came is no message.
        """
        self._bytes += data
        messages = []
        while len(self._bytes) >= _HEADER.size:
            (length,) = INT.unpack_from(self._bytes)
            if not _HEADER.size < length <= _MAX_MESSAGE:
                raise NotOurs(f"a message of {length} bytes")
            if len(self._bytes) < length:
                break
            messages.append(bytes(self._bytes[:length]))
            del self._bytes[:length]
        return messages
