"""Owns the verdict on a failure: one person's matter or everybody's; and how it is told. Pure."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from events.errors import MalformedMessage, Unavailable
from service_kit.mongo import refuses_all

_OURS: Final = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a command waits.

    Attributes:
        kind: The name of the failure's class, or that of `BEHIND`.
        detail: One sentence; says where it failed, never a value.
    """

    kind: str
    detail: str


BEHIND: Final = Reason("waits-behind", "waits behind an earlier command of the same person")
LOG_BEHIND: Final = Reason("log-behind-feed", "the feed knows of later events of the person than the log has")
ENDED: Final = Reason("ended-its-worker", "each worker that tried it, alone, ended meanwhile")


def concerns_one(exc: Exception) -> bool:
    """Return whether a failure may be due to one person: no repetition cures it, and others may do well.

    False for a part that is away, for MongoDB's refusal of the service itself, and for lack of memory.
    """
    return not isinstance(exc, Unavailable | MemoryError) and not refuses_all(exc)


def reason_of(exc: Exception) -> Reason:
    """Return how a failure is told. Its own words may quote a person's data, so they are left out."""
    if isinstance(exc, MalformedMessage):
        return Reason(type(exc).__name__, exc.detail)
    code = getattr(exc, "code", None)
    what = type(exc).__name__ if code is None else f"{type(exc).__name__} (code {code})"
    frames = [f for f in traceback.extract_tb(exc.__traceback__) if Path(f.filename).is_relative_to(_OURS)]
    frames = [f for f in frames if ".venv" not in Path(f.filename).parts]
    if not frames:
        return Reason(type(exc).__name__, what)
    path, last = Path(frames[-1].filename).relative_to(_OURS), frames[-1]
    return Reason(type(exc).__name__, f"{what} at {path}:{last.lineno}, in {last.name}")
