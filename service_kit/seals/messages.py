"""The form of a sealed message: a CloudEvent whose data is another one, sealed under a transport key. Pure.

In the clear is what routes and names it; of a person, the id. See
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md#31-handling-of-data.
"""

import base64
import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from events.errors import Damaged, MalformedMessage
from events.person.commands import CONTENT_TYPE, encode_command
from events.person.envelope import Envelope
from events.times import rfc3339
from service_kit.seals.transport import TransportKey

FOREIGN: Final = "rollcall.foreign"
"""Type of what came unsealed, and was sealed to be kept: nobody takes it for a command."""
OUTCOME: Final = "person.outcome"
"""Type of a reply."""
WORKER: Final = "/rollcall/worker"
"""Source of what workers seal."""
KEY_ID: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNSEALED: Final = "it is not sealed"


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """A message as it travels.

    Attributes:
        id: Its id.
        person_id: Whom it is about; empty where that is not known.
        type: Of what is in it.
        key_id: The transport key's.
        sealed: What that opens.
        late: Whether it was a dead letter, which its sender could not know.
    """

    id: str
    person_id: str
    type: str
    key_id: str
    sealed: bytes
    late: bool

    def opened(self, key: TransportKey) -> bytes:
        """Return what is in it.

        Raises:
            MalformedMessage: It was not sealed with this key, or not by who may send.
        """
        if self.type == FOREIGN:
            raise MalformedMessage(UNSEALED)
        content = self.kept(key)
        return orjson.dumps({**orjson.loads(content), "late": True}) if self.late else content

    def kept(self, key: TransportKey) -> bytes:
        """Return what is in it, also of what came unsealed: for those who look at it.

        Raises:
            MalformedMessage: It was not sealed with this key.
        """
        try:
            return key.open(self.person_id, self.id, self.sealed)
        except Damaged as exc:
            raise MalformedMessage(exc.detail) from None


def read_sealed(body: bytes) -> SealedMessage | None:
    """Return the sealed message in a body; None if there is none.

    Args:
        body: As it was received.
    """
    try:
        message = orjson.loads(body)
        key_id, id_, subject = message["transportkey"], message["id"], message.get("subject", "")
        sealed = base64.b64decode(message["data_base64"], validate=True)
        type_, late = message["type"], message.get("late") is True
        if KEY_ID.fullmatch(key_id) and _ID.fullmatch(id_) and (not subject or _ID.fullmatch(subject)):
            return SealedMessage(id_, subject, str(type_), key_id, sealed, late)
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return None


def sealed_message(
    key: TransportKey,
    *,
    id_: str,
    type_: str,
    source: str,
    content: bytes,
    person_id: str = "",
    time: str | None = None,
) -> bytes:
    """Return the body of a sealed message.

    Args:
        key: What it is sealed with.
        id_: Its id, a UUID.
        type_: Of what is in it.
        source: Who seals it.
        content: What is in it.
        person_id: Whom it is about, if that is known.
        time: When it was accepted, RFC 3339.
    """
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": id_,
        "source": source,
        "type": type_,
        "datacontenttype": CONTENT_TYPE,
        "transportkey": key.id,
        "data_base64": base64.b64encode(key.seal(person_id, id_, content)).decode(),
    }
    if person_id:
        attributes["subject"] = person_id
    if time is not None:
        attributes["time"] = time
    return orjson.dumps(attributes)


def sealed_command(key: TransportKey, command: Envelope) -> bytes:
    """Return the body of a command or control, sealed."""
    return sealed_message(
        key,
        id_=command.command_id,
        type_=command.type,
        source=command.source,
        content=orjson.dumps(encode_command(command)),
        person_id=command.person_id,
        time=rfc3339(command.accepted_at),
    )


def is_id(text: str | None) -> bool:
    """Return whether a text is an id: nothing else of a stranger's message is kept in the clear."""
    return text is not None and _ID.fullmatch(text) is not None
