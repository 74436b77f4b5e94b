"""Follows Rollcall's events from another system: the stream from a position on, or a queue of its own."""

from subscriber.checkpoint import FileCheckpoint
from subscriber.handling import Event, Handler
from subscriber.queue import subscribe
from subscriber.stream import follow

__all__ = ["Event", "FileCheckpoint", "Handler", "follow", "subscribe"]
