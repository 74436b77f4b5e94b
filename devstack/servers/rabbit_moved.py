"""Tells a RabbitMQ node where its data is now: its quorum queues and streams remember where it was."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from service_kit.files import write_whole

# An Erlang string, which is printed in several pieces when it is long, or as a list of its characters.
_STRING = rb'(?:"(?:[^"\\]|\\.)*"\s*)+|\[[\d,\s]*\]'
_REMEMBERED = re.compile(rb"(\b(?:wal_)?data_dir\s*=>\s*)(" + _STRING + rb")", re.DOTALL)


def put_right_where_moved(data: Path) -> None:
    """Put the folder that a node's data lies in into the files that name another.

    Each member of a quorum queue, and the streams' coordinator, keeps a file `config` with the absolute path
    of its log. RabbitMQ 3.10 goes by that file: after a move its queues would be empty or down, and after
    a copy it would write to the original.

    Args:
        data: The node's folder, in `mnesia`; the node does not run.

    Raises:
        OSError: They cannot be read or written.
    """
    for config in sorted(data.glob(f"*/{data.name}/*/config")):
        log = config.parent.parent
        before = config.read_bytes()
        after = _REMEMBERED.sub(partial(_naming, log), before)
        if after != before:
            write_whole(config, after)


def _naming(folder: Path, setting: re.Match[bytes]) -> bytes:
    """Return a setting with the folder as its value; as it is, if that is so already."""
    if _text(setting[2]) == str(folder):
        return setting[0]
    characters = ",".join(str(ord(character)) for character in str(folder))
    return setting[1] + b"[%s]" % characters.encode()


def _text(literal: bytes) -> str:
    if literal.startswith(b"["):
        return "".join(chr(int(number)) for number in re.findall(rb"\d+", literal))
    pieces = re.findall(rb'"((?:[^"\\]|\\.)*)"', literal, re.DOTALL)
    return re.sub(rb"\\(.)", rb"\1", b"".join(pieces), flags=re.DOTALL).decode("latin-1")
