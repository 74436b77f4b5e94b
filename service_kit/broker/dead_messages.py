"""Reads a dead letter: whose it is, where it came from, why and since when it is dead. Pure."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from events.times import rfc3339
from service_kit.broker.topology import COMMANDS, DEAD, EVENTS_AGAIN
from service_kit.seals.messages import FOREIGN, read_sealed

SUBSCRIBER_DEAD: Final = re.compile(r"(events\.[\w-]+)\.dead")
"""The name of a subscriber's queue of dead letters; what comes before `.dead` is its own queue."""
_PARTITION: Final = re.compile(rf"{COMMANDS}\.(\d+)")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose a message is that can be read.

    Attributes:
        person_id: The person's id; None of an event that is nobody's.
        type: Of the command or event.
        id: Of the command or event.
    """

    person_id: str | None
    type: str
    id: str


@dataclass(frozen=True, slots=True)
class DeadMessage:
    """A message that no worker could read, that was delivered too often, or that a subscriber gave up.

    Attributes:
        id: Made of its content; repeats of a message share it.
        message_id: As the sender named it.
        dead_queue: Where it is.
        queue: The queue that it came from.
        reason: Why it is here.
        time: Since when, RFC 3339; None if nobody wrote it down.
        subject: Whose it is; None if it cannot be read.
        body: As it was received: of a command, sealed.
    """

    id: str
    message_id: str | None
    dead_queue: str
    queue: str
    reason: str
    time: str | None
    subject: Subject | None
    body: bytes

    @property
    def target(self) -> tuple[str, str] | None:
        """The exchange and the routing key by which it is handed in; None if it cannot be."""
        if self.dead_queue != DEAD:
            return EVENTS_AGAIN, self.queue
        number = _PARTITION.fullmatch(self.queue)
        return (COMMANDS, number[1]) if number else None

    @property
    def again(self) -> bytes:
        """The body as it is handed in: of a command it says, outside the seal, that it comes late."""
        if self.dead_queue != DEAD or self.subject is None:
            return self.body
        return json.dumps({**json.loads(self.body), "late": True}).encode()

    @property
    def person_id(self) -> str | None:
        """Whose it is, if it can be read and is somebody's."""
        return self.subject.person_id if self.subject else None


def message_view(message: DeadMessage, *, whole: bool, opened: bytes | None = None) -> dict[str, Any]:
    """Return a dead letter as operators see it.

    Args:
        message: The message.
        whole: With its body, as text if it is text, else in base64.
        opened: What is in the body, for who may see that; None to show the body itself.
    """
    body = message.body if opened is None else opened
    subject = message.subject
    view: dict[str, Any] = {
        "id": message.id,
        "message_id": message.message_id,
        "queue": message.queue,
        "dead_queue": message.dead_queue,
        "reason": message.reason,
        "time": message.time,
        "bytes": len(message.body),
        "type": subject.type if subject else None,
        "person_id": subject.person_id if subject else None,
    }
    if whole:
        try:
            view["body"] = body.decode()
        except UnicodeDecodeError:
            view["body_base64"] = base64.b64encode(body).decode()
    return view


def dead_message(
    body: bytes, message_id: str | None, headers: dict[str, Any], dead_queue: str
) -> DeadMessage:
    """Return what a message in a queue of dead letters tells.

    Args:
        body: As it was received.
        message_id: As the sender named it.
        headers: With its history.
        dead_queue: Where it is.
    """
    queue, reason, time = _history(headers)
    subscriber = SUBSCRIBER_DEAD.fullmatch(dead_queue)
    if subscriber:
        queue, subject = subscriber[1], _event(body)
    else:
        subject = _command(body)
    mark = hashlib.sha256(repr((message_id, queue)).encode() + body).hexdigest()
    return DeadMessage(mark[:16], message_id, dead_queue, queue, reason, time, subject, body)


def _command(body: bytes) -> Subject | None:
    sealed = read_sealed(body)
    if sealed is None or sealed.type == FOREIGN or not sealed.person_id:
        return None
    return Subject(sealed.person_id, sealed.type, sealed.id)


def _event(body: bytes) -> Subject | None:
    try:
        event = orjson.loads(body)
        return Subject(event.get("subject"), event["type"], event["id"])
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return None


def _history(headers: dict[str, Any]) -> tuple[str, str, str | None]:
    """Return a message's queue, reason and time: as a worker or subscriber wrote them, or as the broker did.

    https://www.rabbitmq.com/docs/dlx#effects: `x-death`, the newest entry first.
    """
    if "x-rollcall-reason" in headers:
        queue, time = headers.get("x-rollcall-queue", ""), headers.get("x-rollcall-time")
        return str(queue), str(headers["x-rollcall-reason"]), time
    for death in headers.get("x-death") or ():
        when = death.get("time")
        time = rfc3339(when) if isinstance(when, datetime) and when.tzinfo else None
        return str(death.get("queue", "")), f"given up by the broker: {death.get('reason')}", time
    return "", "unknown", None
