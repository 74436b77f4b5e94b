"""What becomes of messages that no worker can read: a record, a dead letter, an answer."""

from collections.abc import Sequence
from dataclasses import replace

from events.person.outcomes import Unreadable
from service_kit.ids import new_id
from service_kit.mongo.transport_keys import TransportKeys
from service_kit.read_model import unreadable_document
from service_kit.seals.messages import FOREIGN, WORKER, read_sealed, sealed_message
from workers.announcing.announcer import Announcer, Reply
from workers.outcomes import UnreadableMessage
from workers.projecting.projector import keep_until_stored
from workers.store import Store


class UnreadableHandler:
    """Gives messages up; may be repeated.

    Args:
        store: Keeps on record what one of our services published.
        announcer: Sends dead letters and replies.
        keys: What is to be kept is sealed with.
    """

    def __init__(self, store: Store, announcer: Announcer, keys: TransportKeys) -> None:
        self._store = store
        self._announcer = announcer
        self._keys = keys

    async def give_up(self, messages: Sequence[UnreadableMessage]) -> None:
        """Dead-letter messages, once it is on record for those who ask what became of the command.

        Raises:
            BrokerUnavailable: Not all are confirmed.
        """
        ours = [(one.envelope, one) for one in messages if one.envelope is not None]
        if ours:
            documents = [unreadable_document(envelope, one.reason, one.time) for envelope, one in ours]
            await keep_until_stored("recording", lambda: self._store.record_eventless(documents))
        await self._announcer.bury([self._sealed(one) for one in messages])
        replies = [
            Reply(
                one.reply_to,
                one.correlation_id,
                one.envelope.person_id if one.envelope else "",
                Unreadable(detail=one.reason),
            )
            for one in messages
            if one.reply_to is not None
        ]
        if replies:
            await self._announcer.send_replies(replies, self._keys.current())

    def _sealed(self, message: UnreadableMessage) -> UnreadableMessage:
        """Return a message as it may be kept: whatever came unsealed may have somebody's values in it."""
        if read_sealed(message.body) is not None:
            return message
        body = sealed_message(
            self._keys.current(),
            id_=message.message_id or new_id(),
            type_=FOREIGN,
            source=WORKER,
            content=message.body,
        )
        return replace(message, body=body)
