"""The broker's exchanges, queues and bindings, as data; every service declares the same ones.

Names are part of the contract with subscribers and operators.
"""

from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

PARTITIONS: Final = 8
"""How many command queues there are, unless a setting says otherwise."""
COMMANDS: Final = "commands"
DEAD: Final = "commands.dead"
EVENTS: Final = "events"
EVENTS_AGAIN: Final = "events.again"
"""Takes events that a subscriber gave up back to its queue, whose name is the routing key. The default
exchange would do so, too, but whoever may publish there reaches every queue."""
EVENT_LOG: Final = "events.log"
IMAGES: Final = "images"
"""The subscriber that removes images which nobody has any more."""
IMAGE_TOPICS: Final = ("person.image_changed", "person.deleted", "person.erased")
MOVING: Final = "commands.moving"
"""A queue that is there while queues are replaced; nobody declares any meanwhile (see `replacing`)."""
WORKERS: Final = "workers"
"""Carries no message: each worker consumes it, so its consumer count tells how many there are. The count
of a command queue would not: of a single active consumer's rivals, a declare tells nothing."""

PROBE: Final = "probe"
"""Type of a message without a body that a worker only acknowledges: whoever publishes it into a command queue
learns that the queue takes messages, and who consumes it learns that the queue is its own."""
DELIVERY_LIMIT: Final = 1_000_000
"""Deliveries of a message before the broker gives it up: out of reach. Every worker that ends returns what it
had prefetched, and every look at a dead letter is a delivery, so a count tells nothing of the message. But
what is returned without a limit goes to the end of the queue; from RabbitMQ 4.0 on, none would mean 20."""
DELIVERY_COUNTS: Final = ("x-delivery-count", "x-acquired-count")
"""Headers in which the broker tells how often a message was delivered before. The second is that of 4.3 and
later, where the first counts failures alone."""
QUEUE_BYTES: Final = 128 * 1024 * 1024
"""A full queue refuses publishes: workers that stand still cannot fill the broker's disk."""
DEAD_MS: Final = 30 * 24 * 3600 * 1000
"""How long a dead letter is kept: thirty days. What became of its command stays on record."""
SUBSCRIBER_BYTES: Final = 1024 * 1024 * 1024
LOG_BYTES: Final = 20_000_000_000
LOG_AGE: Final = "30D"


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange to declare, durable."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue to declare, durable, and where it is bound; to nothing if the exchange is None."""

    name: str
    exchange: str | None
    routing_key: str
    arguments: dict[str, Any] = field(default_factory=dict)


EXCHANGES: Final = (
    Exchange(COMMANDS, "direct"),
    Exchange(DEAD, "fanout"),
    Exchange(EVENTS, "topic"),
    Exchange(EVENTS_AGAIN, "direct"),
)


def partition_queue(number: int) -> str:
    """Return the name of the queue of a partition, counted from 0."""
    return f"{COMMANDS}.{number}"


def partition_of(person_id: str, partitions: int) -> int:
    """Return the partition of a person: the same one whoever asks, and for ever.

    It must not depend on the broker: the ring of RabbitMQ's consistent-hash exchange is built anew, in
    another order, when a node starts (docs/adr/0013).

    Args:
        person_id: A UUID in its usual form.
        partitions: How many there are.
    """
    return crc32(person_id.encode()) % partitions


def queues(partitions: int) -> list[Queue]:
    """Return every queue of a system with so many partitions.

    Argument names: https://www.rabbitmq.com/docs/quorum-queues and /docs/streams. A partition's number is
    its routing key.
    """
    bounded = {"x-queue-type": "quorum", "x-overflow": "reject-publish"}
    partition = {
        **bounded,
        "x-single-active-consumer": True,
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-dead-letter-exchange": DEAD,
        "x-dead-letter-strategy": "at-least-once",
        "x-max-length-bytes": QUEUE_BYTES,
    }
    dead = {
        **bounded,
        "x-delivery-limit": DELIVERY_LIMIT,
        "x-max-length-bytes": QUEUE_BYTES,
        "x-message-ttl": DEAD_MS,
    }
    log = {"x-queue-type": "stream", "x-max-length-bytes": LOG_BYTES, "x-max-age": LOG_AGE}
    return [
        *(Queue(partition_queue(n), COMMANDS, str(n), partition) for n in range(partitions)),
        Queue(DEAD, DEAD, "", dead),
        Queue(EVENT_LOG, EVENTS, "#", log),
        Queue(WORKERS, None, "", bounded),
    ]


def subscriber_queue(name: str) -> str:
    """Return the name of a subscriber's queue; the broker's rights want it to begin so."""
    return f"{EVENTS}.{name}"


def dead_queue(queue: str) -> str:
    """Return the name of the queue of what was given up in a subscriber's queue."""
    return f"{queue}.dead"


DEAD_QUEUES: Final = (DEAD, dead_queue(subscriber_queue(IMAGES)))
"""The dead letters that are known without being named; other subscribers' are their own."""


def subscriber_queues(name: str) -> list[Queue]:
    """Return a subscriber's queue, which it binds to its topics, and that of what it gives up."""
    queue = {
        "x-queue-type": "quorum",
        # To keep the order: of several processes of one subscriber, only one is served at a time.
        "x-single-active-consumer": True,
        "x-max-length-bytes": SUBSCRIBER_BYTES,
        # Never `reject-publish`: one subscriber that stands still would stop every announcement.
        "x-overflow": "drop-head",
        "x-delivery-limit": DELIVERY_LIMIT,
    }
    dead = {
        "x-queue-type": "quorum",
        "x-max-length-bytes": QUEUE_BYTES,
        "x-delivery-limit": DELIVERY_LIMIT,
    }
    own = subscriber_queue(name)
    return [Queue(own, None, "", queue), Queue(dead_queue(own), None, "", dead)]


def dead_queue_of(name: str) -> Queue:
    """Return a queue of dead letters, by its name: `commands.dead` or `events.NAME.dead`."""
    if name == DEAD:
        return next(queue for queue in queues(1) if queue.name == DEAD)
    _, dead = subscriber_queues(name.removeprefix(f"{EVENTS}.").removesuffix(".dead"))
    return dead
