"""Follows Rollcall's events from another system: the stream from a position on, or a queue of its own."""

from subscriber.handling import Handler
from subscriber.opening import Event, EventOpener
from subscriber.queue import subscribe
from subscriber.saved_position import SavedPosition
from subscriber.stream import follow

__all__ = ["Event", "EventOpener", "Handler", "SavedPosition", "follow", "subscribe"]
