"""Follows Rollcall's events from another system: the stream from a position on, or a queue of its own."""

from subscriber.handling import Event, Handler
from subscriber.queue import subscribe
from subscriber.saved_position import SavedPosition
from subscriber.stream import follow

__all__ = ["Event", "Handler", "SavedPosition", "follow", "subscribe"]
