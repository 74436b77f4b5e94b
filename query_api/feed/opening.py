"""Opens the events of the feed where they are read, so that all code beyond sees their values."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
import structlog

from events.errors import Damaged, Unavailable
from events.log.event import ATTRIBUTES
from query_api.reading.opening import Keys
from service_kit.broker.stream import FeedEntry
from service_kit.pieces import PIECE, next_piece
from service_kit.retries import backoff
from service_kit.seals.opening import ERASED, Key

_SEALED: Final = "sealed"

log = structlog.get_logger()


async def open_entries(entries: Sequence[FeedEntry], keys: Keys) -> list[FeedEntry]:
    """Return entries of the stream with their sealed values in them.

    An event of an erased person says `erased` in place of its values, and one that does not open `damaged`.

    Args:
        entries: As the stream has them; what is none of ours stays as it is.
        keys: Has the keys.

    Raises:
        StoreUnavailable: A key is not to be had.
    """
    read = [(entry, _sealed_content(entry)) for entry in entries]
    people = {entry.person_id for entry, content in read if content is not None}
    found = await keys.load(people) if people else {}
    done = []
    for number, (entry, content) in enumerate(read, 1):
        if not number % PIECE:
            await next_piece()
        if content is not None:
            entry = replace(entry, body=orjson.dumps(opened_event(content, found.get(entry.person_id))))
        done.append(entry)
    return done


async def open_when_possible(entries: Sequence[FeedEntry], keys: Keys) -> list[FeedEntry]:
    """Return what `open_entries` does, once the keys are to be had: the feed waits for them."""
    attempt = 0
    while True:
        try:
            return await open_entries(entries, keys)
        except Unavailable as exc:
            attempt += 1
            log.warning("the feed waits for keys", reason=exc.detail)
            await asyncio.sleep(backoff(attempt))


def _sealed_content(entry: FeedEntry) -> dict[str, Any] | None:
    """Return what an announcement says, if something of it is sealed."""
    if not entry.event_id or b'"sealed":' not in entry.body:
        return None
    content = orjson.loads(entry.body)
    return content if isinstance(content.get(_SEALED), str) else None


def opened_event(content: dict[str, Any], key: Key) -> dict[str, Any]:
    """Return an announcement with its sealed values in it, instead of what is sealed.

    Args:
        content: A CloudEvent as it is announced.
        key: Its person's.
    """
    closed = {name: value for name, value in content.items() if name != _SEALED}
    if key is ERASED:
        return {**closed, "erased": True}
    try:
        values = key.open(content["hash"], bytes.fromhex(content[_SEALED]))
        names = content["sealedfields"]
        if list(values) != names:
            raise Damaged("other values were sealed than it names")
    except (Damaged, ValueError, TypeError, KeyError):
        log.error("an event of the feed is damaged", event_id=content["id"], person_id=content["subject"])
        return {**closed, "damaged": True}
    attributes = {
        attribute.replace("_", ""): values[name] for name, attribute in ATTRIBUTES.items() if name in values
    }
    data = {name: value for name, value in values.items() if name not in ATTRIBUTES}
    return {**closed, **attributes, "data": {**content["data"], **data}}
