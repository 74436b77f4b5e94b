"""Keeps access records: in memory for less than a second, then in MongoDB, in batches that form a chain."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Literal

import structlog
from prometheus_client import Counter, Gauge

from events.access.batch import access_stream, batch_of
from events.errors import StoreUnavailable
from events.log.event import GENESIS
from events.times import rfc3339
from service_kit.access.records import AccessRecord, encode
from service_kit.mongo.access_store import BatchStore, month_of
from service_kit.pieces import next_piece

Mode = Literal["off", "on", "strict"]
COLLECT_SECONDS: Final = 0.8
"""How long a record waits in memory, while MongoDB answers: with the write itself, less than a second."""
BATCH: Final = 500
"""Records of a batch."""
MOST: Final = 50_000
"""Records that wait in memory at most."""
MOST_PEOPLE: Final = 500_000
"""Ids of people that wait with them at most."""
MOST_ALIKE: Final = 1_000
"""Kinds of requests without a good token that are told apart at once: by route and address."""
STRICT_SECONDS: Final = 3.0
"""How long an answer waits for its record to be durable, before it is refused."""
_PAUSE_SECONDS: Final = 0.5
_CLOSE_SECONDS: Final = 5.0

KEPT: Final = Counter("rollcall_access_records_total", "Access records that are durable")
LOST: Final = Counter(
    "rollcall_access_records_lost_total", "Accesses that are on no record: too many waited to be written"
)
WAITING: Final = Gauge("rollcall_access_records_waiting", "Access records in memory, not written yet")

log = structlog.get_logger()


class AccessLog:
    """The access records of a process.

    Args:
        store: Keeps batches.
        service: What the process is, `query-api` say.
        process_id: Names its stream; nobody else's.
        mode: `on`: answers do not wait, and go out though a record is lost; `strict`: none does.
        clock: Tells seconds since 1970.
    """

    def __init__(
        self,
        store: BatchStore,
        service: str,
        process_id: str,
        mode: Mode,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._service = service
        self._stream = access_stream(process_id)
        self.is_strict = mode == "strict"
        self.clock = clock
        self._records: list[AccessRecord] = []
        self._people = 0
        self._alike: dict[tuple[str, str | None], AccessRecord] = {}
        self._number = 0
        self._durable = 0
        self._version, self._prev = 0, GENESIS
        self._encoded: tuple[dict[str, Any], int] | None = None
        self._hurry = asyncio.Event()
        self._kept = asyncio.Condition()
        self._lost = 0
        self._last_lost = ""
        self._trouble = ""
        self._writing = asyncio.Lock()

    def add(self, record: AccessRecord) -> None:
        """Take a record, to be written soon.

        Raises:
            StoreUnavailable: Strict, and too many wait already.
        """
        if record.subject is None and record.status == 401 and self._is_repeated(record):
            return
        if len(self._records) >= MOST or self._people + len(record.people) > MOST_PEOPLE:
            self._lose(1)
            if self.is_strict:
                raise StoreUnavailable("too many access records wait to be written")
            return
        self._number += 1
        record.number = self._number
        self._records.append(record)
        self._people += len(record.people)
        if self.is_strict or len(self._records) >= BATCH:
            self._hurry.set()

    def _is_repeated(self, record: AccessRecord) -> bool:
        """Return whether a record of the same kind waits, which now stands for this request, too.

        Whoever has no token could otherwise fill the memory, and the disks, with records.
        """
        kind = record.route, record.address
        if kind not in self._alike and len(self._alike) >= MOST_ALIKE:
            kind = record.route, None
            record.address = None
        same = self._alike.get(kind)
        if same is None:
            self._alike[kind] = record
            return False
        same.times += 1
        return True

    async def durable(self) -> None:
        """Return once all that was added is durable.

        Raises:
            StoreUnavailable: It is not, within `STRICT_SECONDS`.
        """
        last = self._number
        try:
            async with asyncio.timeout(STRICT_SECONDS), self._kept:
                await self._kept.wait_for(lambda: self._durable >= last)
        except TimeoutError:
            raise StoreUnavailable("the access could not be put on record") from None

    async def check(self) -> None:
        """Return if every access is on record.

        Raises:
            StoreUnavailable: Records were lost, or cannot be written now; says so.
        """
        if self._lost:
            raise StoreUnavailable(
                f"{self._lost} accesses are on no record, the last one of {self._last_lost}"
            )
        if self._trouble:
            raise StoreUnavailable(self._trouble)

    async def run(self) -> None:
        """Write what is there, again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            # From the beginning of the write before: what came during it has waited since then.
            try:
                async with asyncio.timeout_at(began + COLLECT_SECONDS):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()
            began = loop.time()
            try:
                await self._write(self._number)
            except StoreUnavailable as exc:
                if not self._trouble:
                    log.warning("access records wait", reason=exc.detail)
                self._trouble = exc.detail
                await asyncio.sleep(_PAUSE_SECONDS)
                self._hurry.set()

    async def close(self) -> None:
        """Write what is there; what cannot be written within some seconds is lost."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._write(self._number)
        except (StoreUnavailable, TimeoutError):
            self._lose(self._waiting)
            log.error("access records lost", records=self._waiting)

    @property
    def _waiting(self) -> int:
        return len(self._records) + (self._encoded[1] if self._encoded else 0)

    async def _write(self, last: int) -> None:
        """Write batch after batch, until a record is durable.

        Records that are added meanwhile are left for the next time, but for those that fill the last batch.
        Each batch is a write that a majority confirms: a writer that went on to the end would, under load,
        never come to it, and write a handful of records each time.

        Args:
            last: The record's number.

        Raises:
            StoreUnavailable: A batch cannot be kept now; it is the next one again.
        """
        async with self._writing:
            while self._durable < last:
                if self._encoded is None:
                    self._encoded = await self._next_batch()
                WAITING.set(self._waiting)
                batch, count = self._encoded
                await self._store.keep(batch)
                self._encoded = None
                self._durable += count
                self._version, self._prev = batch["version"], batch["hash"]
                KEPT.inc(count)
                async with self._kept:
                    self._kept.notify_all()
            if self._trouble:
                log.info("access records are written")
            self._trouble = ""
            WAITING.set(self._waiting)

    async def _next_batch(self) -> tuple[dict[str, Any], int]:
        """Return the next records as a batch, and how many there are; they stay until that is made.

        Raises:
            StoreUnavailable: There is no key for it yet.
        """
        records = self._records[:BATCH]
        now = datetime.fromtimestamp(records[-1].at, UTC)
        key_id, key = await self._store.key_for(self._stream, month_of(now))
        await next_piece()
        # From here on to the return, no other task comes between: a count may still grow until then.
        encoded = encode(records)
        version = self._version + 1
        sealed = None
        if encoded.values is not None:
            sealed = key.seal(f"{self._stream}:{version}", encoded.values)
        batch = batch_of(
            stream=self._stream,
            version=version,
            prev=self._prev,
            service=self._service,
            span=(_time(min(one.at for one in records)), _time(max(one.at for one in records))),
            count=len(records),
            held={"records": encoded.records, "people": encoded.people or None, "sealed": sealed},
            key=None if sealed is None else key_id,
            subjects=encoded.subjects,
        )
        del self._records[: len(records)]
        self._people -= sum(len(one.people) for one in records)
        taken = set(map(id, records))
        self._alike = {kind: one for kind, one in self._alike.items() if id(one) not in taken}
        return batch, len(records)

    def _lose(self, count: int) -> None:
        self._lost += count
        self._last_lost = rfc3339(_time(self.clock()))
        LOST.inc(count)


def _time(seconds: float) -> datetime:
    """Return a time in whole milliseconds, which are never after it."""
    milliseconds = int(seconds * 1000)
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)
