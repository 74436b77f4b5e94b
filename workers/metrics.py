"""The worker's Prometheus metrics, and the log line of each outcome."""

from types import MappingProxyType
from typing import Final, assert_never

import structlog
from prometheus_client import Counter, Gauge, Histogram

from events.person.commands import COMMAND_TYPES
from workers.outcomes import AppliedCommand, CommandOutcome, ParkedCommand, RejectedCommand, UnchangedCommand

log = structlog.get_logger()


_APPLIED = Counter("rollcall_commands_applied_total", "Commands that made an event", ["type"])
APPLIED: Final = MappingProxyType({type_: _APPLIED.labels(type_) for type_ in COMMAND_TYPES})
_UNCHANGED = Counter("rollcall_commands_unchanged_total", "Commands that would change nothing", ["type"])
UNCHANGED: Final = MappingProxyType({type_: _UNCHANGED.labels(type_) for type_ in COMMAND_TYPES})
REJECTED: Final = Counter("rollcall_commands_rejected_total", "Commands that the rules rejected", ["code"])
DEAD_LETTERED: Final = Counter("rollcall_messages_dead_lettered_total", "Messages that are no command")
PARKED: Final = Counter(
    "rollcall_parked_total", "Commands that failed and let their person's wait", ["reason"]
)
RETRIED: Final = Counter(
    "rollcall_parked_retried_total", "Waiting commands that a retry has applied or rejected"
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
    "rollcall_suspect_messages", "Messages that were delivered often, set aside to be tried on record"
)
ACTIVE_PARTITIONS: Final = Gauge("rollcall_active_partitions", "Command queues that this worker is active on")
FEED_RECONCILED_AT: Final = Gauge(
    "rollcall_feed_proven_timestamp_seconds", "When the feed was last reconciled with the log at a take-over"
)
FEED_ANNOUNCED_AGAIN: Final = Counter(
    "rollcall_feed_announced_again_total", "Events that the feed had lost and that were announced again"
)
FEED_MISSING_IN_LOG: Final = Gauge(
    "rollcall_feed_events_missing_in_log", "Events that the feed has and the log lacks, accepted by nobody"
)
LAG_ON_RECORD: Final = Gauge("rollcall_lag_on_record", "Whether query APIs are to read from primaries")


def count_outcome(outcome: CommandOutcome) -> None:
    """Count and log what became of a command."""
    command = outcome.command
    words = {"command_id": command.command_id, "person_id": command.person_id, "type": command.type}
    match outcome:
        case AppliedCommand(event=event):
            APPLIED[command.type].inc()
            log.info("applied", version=event.version, **words)
        case UnchangedCommand(state=state):
            UNCHANGED[command.type].inc()
            log.info("unchanged", version=state.version, **words)
        case RejectedCommand(rejection=rejection):
            REJECTED.labels(rejection.code).inc()
            log.info("rejected", reason=rejection.code, **words)
        case ParkedCommand(reason=reason, failed=True):
            PARKED.labels(reason.kind).inc()
            log.error("parked", reason=reason.kind, detail=reason.detail, **words)
        case ParkedCommand(reason=reason):
            log.info("waits", reason=reason.kind, **words)
        case _:
            assert_never(outcome)
