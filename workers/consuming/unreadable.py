"""What becomes of messages that no worker can read: a record, a dead letter, an answer."""

from collections.abc import Sequence

from events.person.outcomes import Unreadable
from service_kit.read_model import unreadable_document
from workers.announcing.announcer import Announcer, Reply
from workers.outcomes import UnreadableMessage
from workers.projecting.projector import keep_until_stored
from workers.store import Store


class UnreadableHandler:
    """Gives messages up; may be repeated.

    Args:
        store: Keeps on record what one of our services published.
        announcer: Sends dead letters and replies.
    """

    def __init__(self, store: Store, announcer: Announcer) -> None:
        self._store = store
        self._announcer = announcer

    async def give_up(self, messages: Sequence[UnreadableMessage]) -> None:
        """Dead-letter messages, once it is on record for those who ask what became of the command.

        Raises:
            BrokerUnavailable: Not all are confirmed.
        """
        ours = [(one.envelope, one) for one in messages if one.envelope is not None]
        if ours:
            documents = [unreadable_document(envelope, one.reason, one.time) for envelope, one in ours]
            await keep_until_stored("recording", lambda: self._store.record_eventless(documents))
        await self._announcer.bury(messages)
        replies = [
            Reply(one.reply_to, one.correlation_id, Unreadable(detail=one.reason))
            for one in messages
            if one.reply_to is not None
        ]
        if replies:
            await self._announcer.send_replies(replies)
