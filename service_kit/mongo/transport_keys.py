"""The transport keys in MongoDB: one a day, wrapped, made a day ahead; in memory, all that are there.

Beside them is the secret that ids of repeated requests are made with: the command API reads no other rows.

What seals goes on with the newest key at hand while MongoDB is away. A file keeps the wrapped rows, so that
it does so after a restart, too.
"""

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson
import structlog
from pymongo.errors import DuplicateKeyError

from events.errors import KeyTrouble, MalformedMessage, StoreUnavailable
from service_kit.files import write_whole
from service_kit.mongo.collections import keys_database
from service_kit.mongo.connection import Client, DocumentCollection, store_errors, writing
from service_kit.seals.kek import Keks
from service_kit.seals.messages import KEY_ID, UNSEALED, read_sealed
from service_kit.seals.repeatable_ids import ROW, RepeatableIds, wrapped_secret
from service_kit.seals.transport import TransportKey
from service_kit.seals.wrapping import TRANSPORT

READ_SECONDS: Final = 600.0
"""How often the rows are read anew: tomorrow's is there for a day before it is wanted."""
FIRST_SECONDS: Final = 0.25
"""How often, until there is a first one, and the secret of ids."""
_AHEAD: Final = timedelta(days=1)

Opened = bytes | MalformedMessage
"""What is in a message, or why it cannot be opened."""

log = structlog.get_logger()


class TransportKeys:
    """The keys, as a service uses them.

    Args:
        client: A client of either driver; None for who has no database.
        database: Name of the database of people.
        keks: What the keys are wrapped by.
        clock: Tells the time, UTC.
        cache: File for the wrapped rows; None to keep none.
        makes: Whether rows that are not there are made here: workers do.
    """

    def __init__(
        self,
        client: Client | None,
        database: str,
        keks: Keks,
        clock: Callable[[], datetime],
        cache: Path | None = None,
        *,
        makes: bool = False,
    ) -> None:
        self._rows = None if client is None else writing(client, keys_database(database))[TRANSPORT]
        self._keks, self._clock, self._cache, self._makes = keks, clock, cache, makes
        self._database = database
        self._wrapped: dict[str, tuple[str, bytes]] = {}
        self._known: dict[str, TransportKey] = {}
        self._current: tuple[int, TransportKey] | None = None
        self._ids: RepeatableIds | None = None
        if cache is not None:
            self._take_cached(cache)

    async def run(self) -> None:
        """Keep the keys at hand that are there, and make those that are not, until cancelled."""
        while True:
            try:
                await self.read()
            except StoreUnavailable as exc:
                log.warning("transport keys not read", reason=exc.detail, known=len(self._known))
            await asyncio.sleep(READ_SECONDS if self._known and self._ids else FIRST_SECONDS)

    async def read(self) -> None:
        """Read all rows; before that, make today's and tomorrow's if they are not there.

        Raises:
            StoreUnavailable: MongoDB is away.
            KeyTrouble: A key does not open.
        """
        if self._rows is None:
            return
        if self._makes:
            await self._make(self._rows)
        with store_errors():
            found = await self._rows.find({"key": {"$exists": True}}).to_list(None)
        gone = self._wrapped.keys() - {row["_id"] for row in found}
        changed = self._take({row["_id"]: (row["kek"], bytes(row["key"])) for row in found})
        for row_id in gone:
            del self._wrapped[row_id]
            self._known.pop(row_id, None)
        if gone or changed:
            self._current = None
            await self._keep_cached()

    async def _make(self, rows: DocumentCollection) -> None:
        now = self._clock()
        if ROW not in self._wrapped:
            await _insert(rows, ROW, *wrapped_secret(os.urandom(32), self._keks))
        for day in (now, now + _AHEAD):
            id_ = day.date().isoformat()
            if id_ not in self._wrapped:
                await _insert(rows, id_, *TransportKey.new(id_).wrapped(self._keks))

    def take(self, keys: Iterable[TransportKey]) -> None:
        """Know these keys, too."""
        self._known.update((key.id, key) for key in keys)
        self._current = None

    def _take(self, rows: Mapping[str, tuple[str, bytes]]) -> bool:
        """Open rows that are new, or wrapped anew; return whether there were any."""
        changed = {id_: row for id_, row in rows.items() if self._wrapped.get(id_) != row}
        self.take(
            TransportKey.unwrapped(id_, kek, wrapped, self._keks)
            for id_, (kek, wrapped) in changed.items()
            if KEY_ID.fullmatch(id_)
        )
        if ROW in changed:
            self._ids = RepeatableIds.unwrapped(*changed[ROW], self._keks)
        self._wrapped |= changed
        return bool(changed)

    def _take_cached(self, cache: Path) -> None:
        try:
            kept = orjson.loads(cache.read_bytes())
            # Of another database, a key of the same day is another one.
            rows = kept["rows"].items() if kept["database"] == self._database else ()
            self._take({id_: (kek, bytes.fromhex(wrapped)) for id_, (kek, wrapped) in rows})
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, AttributeError, KeyError, KeyTrouble):
            # What it cannot tell is read from the database.
            log.warning("transport keys not kept", reason=f"{cache.name} cannot be read")

    async def _keep_cached(self) -> None:
        if self._cache is None:
            return
        rows = {id_: (kek, wrapped.hex()) for id_, (kek, wrapped) in self._wrapped.items()}
        content = {"database": self._database, "rows": rows}
        try:
            await asyncio.to_thread(write_whole, self._cache, orjson.dumps(content))
        except OSError as exc:
            log.warning("transport keys not kept", reason=f"{self._cache.name}: {exc.strerror}")

    def current(self) -> TransportKey:
        """Return what to seal with: the key of today, or the newest from before.

        Raises:
            KeyTrouble: There is none.
        """
        now = self._clock()
        day = now.toordinal()
        if self._current is None or self._current[0] != day:
            if not self._known:
                raise KeyTrouble("there is no transport key yet: a worker makes it when it starts")
            today = now.date().isoformat()
            id_ = max((one for one in self._known if one <= today), default=min(self._known))
            self._current = day, self._known[id_]
        return self._current[1]

    def repeatable_ids(self) -> RepeatableIds:
        """Return what makes the ids of requests that may be repeated.

        Raises:
            KeyTrouble: There is no secret for them.
        """
        if self._ids is None:
            raise KeyTrouble("there is no secret of ids yet: a worker makes it when it starts")
        return self._ids

    async def check(self) -> None:
        """Return if there is a key to seal with.

        Raises:
            KeyTrouble: There is none.
        """
        self.current()

    async def check_ids(self) -> None:
        """Return if there is what makes ids.

        Raises:
            KeyTrouble: There is not.
        """
        self.repeatable_ids()

    async def open_all(self, bodies: Sequence[bytes]) -> list[Opened]:
        """Return what is in each of some messages, or why it cannot be opened.

        A key that is not known is looked for.

        Raises:
            StoreUnavailable: One is not known, and MongoDB is away.
            KeyTrouble: One is there, and does not open.
        """
        return await self._open_all(bodies, foreign=False)

    async def open_kept(self, bodies: Sequence[bytes]) -> list[Opened]:
        """Do as `open_all`, for who looks: also with what came unsealed, and was sealed to be kept."""
        return await self._open_all(bodies, foreign=True)

    async def _open_all(self, bodies: Sequence[bytes], *, foreign: bool) -> list[Opened]:
        messages = [read_sealed(body) for body in bodies]
        if unknown := {one.key_id for one in messages if one is not None} - self._known.keys():
            await self._look_for(unknown)
        opened: list[Opened] = []
        for one in messages:
            try:
                if one is None:
                    raise MalformedMessage(UNSEALED)
                if (key := self._known.get(one.key_id)) is None:
                    raise MalformedMessage(
                        f"there is no transport key {one.key_id}: it is destroyed, or unknown"
                    )
                opened.append(one.kept(key) if foreign else one.opened(key))
            except MalformedMessage as exc:
                opened.append(exc)
        return opened

    async def _look_for(self, key_ids: Collection[str]) -> None:
        if self._rows is None:
            return
        with store_errors():
            wanted: dict[str, Any] = {"_id": {"$in": sorted(key_ids)}, "key": {"$exists": True}}
            found = await self._rows.find(wanted).to_list(None)
        if self._take({row["_id"]: (row["kek"], bytes(row["key"])) for row in found}):
            await self._keep_cached()


def content_of(opened: Opened) -> bytes:
    """Return what is in a message.

    Raises:
        MalformedMessage: It could not be opened.
    """
    if isinstance(opened, MalformedMessage):
        raise opened
    return opened


async def _insert(rows: DocumentCollection, id_: str, kek: str, wrapped: bytes) -> None:
    """Put a row there, unless another worker was faster, or it was there and was destroyed."""
    with suppress(DuplicateKeyError), store_errors():
        await rows.insert_one({"_id": id_, "kek": kek, "key": wrapped})
