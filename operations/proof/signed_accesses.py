"""Notes up to where a checkpoint has signed access records: workers cut off nothing beyond that."""

from collections.abc import Iterable
from datetime import UTC, datetime

from pymongo.errors import BulkWriteError

from events.access.batch import ACCESS_HEADS, is_access_stream
from operations.addresses import DatabaseAddress
from operations.log_reader import connect, refusals
from service_kit.mongo.connection import kept_out, writing
from verifier import Checkpoint, Head


def note_signed_accesses(address: DatabaseAddress, heads: Iterable[Head], checkpoint: Checkpoint) -> None:
    """Note the heads of access records that a checkpoint has; those noted before keep their time.

    Args:
        address: The log.
        heads: All heads of the checkpoint.
        checkpoint: It is written.

    Raises:
        StoreUnavailable: MongoDB is away: the next checkpoint notes them.
        SetupError: It refuses.
    """
    signed_at = datetime.now(UTC)
    notes = [
        {
            "_id": f"{head.person_id}:{head.version}",
            "stream": head.person_id,
            "version": head.version,
            "hash": head.hash,
            "checkpoint": checkpoint.number,
            "signed_at": signed_at,
        }
        for head in heads
        if is_access_stream(head.person_id)
    ]
    if not notes:
        return
    client = connect(address)
    try:
        with refusals():
            try:
                writing(client, address.database)[ACCESS_HEADS].insert_many(notes, ordered=False)
            except BulkWriteError as exc:
                kept_out(exc)
    finally:
        client.close()
