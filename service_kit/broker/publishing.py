"""Publishes with confirms: frames from templates, many messages in one write, a confirm for each.

The client library encodes every property anew and starts a task for each publish; measured, that was a
third of a worker's time (docs/adr/0011). Connection, channel and confirms stay the library's.
"""

import asyncio
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from service_kit.broker.connection import broker_errors

PERSISTENT: Final = 2
"""Delivery mode of a message that survives a restart of the broker."""

_ID: Final = "00000000-0000-0000-0000-000000000000"
# A header frame: type, channel and size; class and weight; then the body's size in 8 bytes.
# https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf, 2.3.5 and 4.2.6.1
_SIZE_AT: Final = 11
_BODY_FRAME: Final = b"\x03"
_FRAME_END: Final = b"\xce"


def encode_frames(
    channel: Channel,
    method: Basic.Publish,
    properties: Basic.Properties,
    body: bytes,
) -> bytes:
    """Return the frames of one publish, as the client library makes them."""
    size = channel.max_content_size
    bodies = [ContentBody(body[at : at + size]) for at in range(0, len(body), size)]
    header = ContentHeader(properties=properties, body_size=len(body))
    return ChannelFrame.marshall(channel.number, [method, header, *bodies]).payload


class Template:
    """Makes the frames of publishes that differ in message id and body only.

    Args:
        channel: Where they will be published.
        exchange: Where to.
        routing_key: Of all of them.
        mandatory: Whether an unroutable one is an error.
        **properties: Those of all messages.
    """

    def __init__(
        self,
        channel: Channel,
        exchange: str,
        routing_key: str,
        *,
        mandatory: bool = False,
        **properties: Any,
    ) -> None:
        self._channel = channel
        self._number = channel.number.to_bytes(2, "big")
        self._method = Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=mandatory)
        self._properties = properties
        header = ContentHeader(properties=Basic.Properties(message_id=_ID, **properties), body_size=0)
        frames = [frame.marshal(part, channel.number) for part in (self._method, header)]
        to_id, _, self._rest = frames[1][_SIZE_AT + 8 :].partition(_ID.encode())
        self._to_size, self._to_id = frames[0] + frames[1][:_SIZE_AT], to_id

    def frames(self, message_id: str, body: bytes) -> bytes:
        """Return the frames of one publish.

        Args:
            message_id: A UUID.
            body: The message.
        """
        size = len(body)
        if size > self._channel.max_content_size:
            properties = Basic.Properties(message_id=message_id, **self._properties)
            return encode_frames(self._channel, self._method, properties, body)
        return b"".join(
            (
                self._to_size,
                size.to_bytes(8, "big"),
                self._to_id,
                message_id.encode(),
                self._rest,
                _BODY_FRAME,
                self._number,
                size.to_bytes(4, "big"),
                body,
                _FRAME_END,
            )
        )


async def publish(
    channel: Channel, messages: Sequence[bytes], seconds: float, returnable: tuple[str, ...] = ()
) -> None:
    """Write the frames of several messages in one go, and wait for the broker's confirm of each.

    The channel numbers publishes from 1 and looks a confirm up by that number
    (https://www.rabbitmq.com/docs/confirms), so all of them get the same tally.

    Args:
        channel: In confirm mode.
        messages: The frames of each.
        seconds: Deadline for all.
        returnable: Ids of the messages, if they are mandatory: the broker names the one that it returns.

    Raises:
        BrokerUnavailable: Not all are confirmed in time, or one was refused or returned.
    """
    if messages:
        tally = _ConfirmCount(len(messages))
        await _publish(channel, messages, seconds, returnable, [tally] * len(messages), tally)


async def publish_each(
    channel: Channel, messages: Sequence[bytes], seconds: float, returnable: tuple[str, ...]
) -> list[int]:
    """Do as `publish` does, and return the positions of those that the broker refused or returned.

    Args:
        channel: In confirm mode.
        messages: The frames of each; at least one.
        seconds: Deadline for all.
        returnable: Ids of the messages.

    Raises:
        BrokerUnavailable: Not all are answered in time, or the channel was lost: nothing is known of any.
    """
    tally = _ConfirmCount(len(messages))
    ballots = [_PendingConfirms(tally, position) for position in range(len(messages))]
    await _publish(channel, messages, seconds, returnable, ballots, tally)
    return sorted(tally.refused)


async def _publish(
    channel: Channel,
    messages: Sequence[bytes],
    seconds: float,
    returnable: tuple[str, ...],
    confirmations: Sequence[Any],
    tally: "_ConfirmCount",
) -> None:
    with broker_errors("publishing"):
        async with asyncio.timeout(seconds):
            async with channel.lock:
                first = channel.delivery_tag + 1
                for confirmation in confirmations:
                    channel.delivery_tag += 1
                    channel.confirmations[channel.delivery_tag] = confirmation
                channel.message_id_delivery_tag.update(zip(returnable, count(first), strict=False))
                await channel.write_queue.put(ChannelFrame(b"".join(messages), should_close=False))
            try:
                await tally.complete
            finally:
                for message_id in returnable:
                    channel.message_id_delivery_tag.pop(message_id, None)


class _ConfirmCount:
    """Counts the confirms of several publishes; stands for the future that the channel expects of each."""

    def __init__(self, count: int) -> None:
        self.complete = asyncio.get_running_loop().create_future()
        self.refused: list[int] = []
        self._missing = count

    def done(self) -> bool:
        return self.complete.done()

    def cancelled(self) -> bool:
        return self.complete.cancelled()

    def set_result(self, _frame: object) -> None:
        self._missing -= 1
        if self._missing == 0 and not self.complete.done():
            self.complete.set_result(None)

    def set_exception(self, exc: Exception) -> None:
        if not self.complete.done():
            self.complete.set_exception(exc)


class _PendingConfirms:
    """Stands for the future that the channel expects of one publish, and tells the tally how it ends."""

    __slots__ = ("_done", "_position", "_tally")

    def __init__(self, tally: _ConfirmCount, position: int) -> None:
        self._tally = tally
        self._position = position
        self._done = False

    def done(self) -> bool:
        return self._done

    def cancelled(self) -> bool:
        return self._tally.cancelled()

    def set_result(self, frame: object) -> None:
        self._done = True
        self._tally.set_result(frame)

    def set_exception(self, exc: Exception) -> None:
        self._done = True
        if isinstance(exc, DeliveryError):
            self._tally.refused.append(self._position)
            self._tally.set_result(exc)
        else:
            self._tally.set_exception(exc)
