"""Owns the worker's Prometheus metrics."""

from types import MappingProxyType
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from events.commands import COMMAND_TYPES

_APPLIED = Counter("rollcall_commands_applied_total", "Commands that made an event", ["type"])
APPLIED: Final = MappingProxyType({type_: _APPLIED.labels(type_) for type_ in COMMAND_TYPES})
REJECTED: Final = Counter("rollcall_commands_rejected_total", "Commands that the rules refused", ["code"])
DEAD_LETTERED: Final = Counter("rollcall_messages_dead_lettered_total", "Messages that are no command")
PARKED: Final = Counter(
    "rollcall_parked_total", "Commands that failed and let their person's wait", ["reason"]
)
RETRIED: Final = Counter(
    "rollcall_parked_retried_total", "Waiting commands that a retry has applied or refused"
)
DROPPED: Final = Counter("rollcall_parked_dropped_total", "Waiting commands that an operator gave up")
BATCH_SIZE: Final = Histogram(
    "rollcall_batch_messages", "Messages in a batch", buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500)
)
APPLY_SECONDS: Final = Histogram(
    "rollcall_apply_seconds",
    "Time from acceptance to acknowledgement",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
QUEUE_DEPTH: Final = Gauge("rollcall_queue_messages", "Messages ready in a queue", ["queue"])
SUSPECTS: Final = Gauge(
    "rollcall_suspect_messages", "Messages that were delivered often, held back to be tried on record"
)
ACTIVE_PARTITIONS: Final = Gauge("rollcall_active_partitions", "Command queues that this worker is active on")
FEED_PROVEN_AT: Final = Gauge(
    "rollcall_feed_proven_timestamp_seconds", "When the feed was last held against the log at a take-over"
)
FEED_ANNOUNCED_AGAIN: Final = Counter(
    "rollcall_feed_announced_again_total", "Events that the feed had lost and that were announced again"
)
FEED_MISSING_IN_LOG: Final = Gauge(
    "rollcall_feed_events_missing_in_log", "Events that the feed has and the log lacks, accepted by nobody"
)
