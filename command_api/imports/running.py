"""Runs one import from its first row to its end: rows become commands, a few portions at a time."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

import structlog

from command_api.dispatch.publisher import Outgoing
from command_api.imports.body import Cut
from command_api.imports.budget import ImportBudget, OverBudget
from command_api.imports.drafting import Drafter, Refused
from command_api.imports.lines import Unreadable
from command_api.imports.portions import Drafts, ImportTools, Window, patiently
from command_api.imports.record import ImportRecord, Progress
from command_api.imports.rows import Row
from command_api.imports.source import Source
from command_api.imports.store import ImportTakenOver
from command_api.imports.workbook.source import WorkbookSource
from events.errors import StoreUnavailable, Unavailable
from events.imports.states import OVER_BUDGET, UNREADABLE_FILE, State

PORTION: Final = 50
"""Rows that are checked and published at once: some milliseconds in which nobody else is answered."""
SHOWN: Final = 5
"""Rows of a dry run that are shown as they are understood."""
KEEP_SECONDS: Final = 1.0
"""How often it is noted how far the import is."""
_SUPERSEDED: Final = "another request goes on with this import"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Ending:
    """How reading an import ended, or its part of this request.

    Attributes:
        state: Where the import is now.
        progress: How far it is.
        reason: Why no further.
        code: `UNREADABLE_FILE`, if that is the file itself.
        first_rows: Of a dry run, what the first rows became.
        errors: Of a dry run, the first rows that are not valid.
    """

    state: State
    progress: Progress
    reason: str | None = None
    code: str | None = None
    first_rows: Sequence[Outgoing | Refused] = ()
    errors: Sequence[Refused] = ()


class OtherFile(Exception):
    """The rows are not those that were read under this id before."""


class Stopped(Exception):
    """A row is not valid, and the import is to stop there."""


class Import:
    """An import that this request reads.

    Args:
        tools: What it works with.
        record: The import as it was left.
        source: The file.
        drafter: Makes commands.
        budget: What it may cost.
        stop: Whether it ends at the first row that is not valid.
    """

    def __init__(
        self,
        tools: ImportTools,
        record: ImportRecord,
        source: Source | WorkbookSource,
        drafter: Drafter,
        budget: ImportBudget,
        *,
        stop: bool,
    ) -> None:
        self._tools = tools
        self._record = record
        self._source = source
        self._drafter = drafter
        self._budget = budget
        self._stop = stop
        self._digest = sha256()
        self._latest = Progress()
        self._first: list[Outgoing | Refused] = []
        self._over = asyncio.Event()
        self._is_dry = record.order.dry_run
        self._window = Window(tools, record.order.import_id, record.progress, publishes=not self._is_dry)

    async def run(self) -> Ending:
        """Read the file to its end, or as far as it goes; fails in no way but by its ending."""
        keeping = asyncio.create_task(self._keep_on())
        reading = asyncio.create_task(self._read())
        leaving = asyncio.create_task(self._tools.ending.wait())
        tasks: list[asyncio.Task[Any]] = [keeping, reading, leaving]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            reading.cancel()  # does nothing if it is done
            leaving.cancel()
            # A note under way is waited for: let go, it might come after the last one.
            self._over.set()
            kept, read, _ = await asyncio.gather(*tasks, return_exceptions=True)
            await self._window.close()
            return await self._note(self._ending(kept if isinstance(kept, Exception) else read))
        finally:
            for task in tasks:
                task.cancel()
            await self._window.close()

    def _ending(self, result: object) -> Ending:
        match result:
            case None if self._record.whole:
                return Ending(self._record.state, self._record.progress)
            case None:
                done = self._is_dry or not self._window.confirmed.accepted
                return Ending("finished" if done else "applying", self._window.confirmed)
            case Stopped():
                return Ending(
                    "stopped", self._window.confirmed, f"row {self._window.confirmed.read + 1} is not valid"
                )
            case OtherFile():
                return Ending("failed", self._record.progress, "the file is not the one that was begun with")
            case Unreadable(reason=reason):
                return Ending("interrupted", self._window.confirmed, reason, UNREADABLE_FILE)
            case OverBudget(reason=reason):
                return Ending("interrupted", self._window.confirmed, reason, OVER_BUDGET)
            case Cut(reason=reason) | Unavailable(detail=reason):
                return Ending("interrupted", self._window.confirmed, reason)
            case ImportTakenOver():
                return Ending("interrupted", self._window.confirmed, _SUPERSEDED)
            case asyncio.CancelledError():
                return Ending("interrupted", self._window.confirmed, "the command API is being stopped")
            case fault:
                cause = fault if isinstance(fault, BaseException) else None
                log.error("import failed", import_id=self._record.order.import_id, exc_info=cause)
                return Ending("interrupted", self._window.confirmed, "this is our fault, and it was logged")

    async def _note(self, ending: Ending) -> Ending:
        """Keep how it ended, and return that; or that it is not known to be kept. Of a dry run nothing is."""
        ending = replace(ending, first_rows=self._first, errors=self._window.told)
        log.info(
            "import read",
            import_id=self._record.order.import_id,
            state=ending.state,
            read=ending.progress.read,
            reason=ending.reason,
        )
        if self._record.whole or self._is_dry:
            return ending
        state: State = "interrupted" if ending.state == "failed" else ending.state

        async def keep() -> None:
            await self._tools.store.keep(
                self._record,
                ending.progress,
                self._tools.clock(),
                state=state,
                whole=ending.reason is None,
                reason=ending.reason,
            )

        try:
            await patiently(self._tools, keep)
        except StoreUnavailable as exc:
            return replace(ending, state="interrupted", reason=ending.reason or exc.detail)
        except ImportTakenOver:
            return replace(ending, state="interrupted", reason=_SUPERSEDED)
        return ending

    async def _keep_on(self) -> None:
        """Note how far it is, now and then, until it is over."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), KEEP_SECONDS)
                return
            if self._record.whole or self._is_dry:
                continue
            try:
                await self._tools.store.keep(self._record, self._window.confirmed, self._tools.clock())
            except StoreUnavailable as exc:
                log.warning("import not noted", import_id=self._record.order.import_id, reason=exc.detail)

    async def _read(self) -> None:
        known = self._record.progress
        async for rows in self._source.rows():
            self._show(rows)
            at = 0
            while at < len(rows):
                again = known.read - self._latest.read
                portion = rows[at : at + (min(PORTION, again) if again > 0 else PORTION)]
                at += len(portion)
                self._budget.take_rows(len(portion))
                if again > 0:
                    self._compare(portion, known)
                elif self._record.whole:
                    raise OtherFile
                else:
                    await self._turn(portion)
                await asyncio.sleep(0)
        if self._latest.read < known.read:
            raise OtherFile
        await self._window.drain()

    def _show(self, rows: Sequence[Row]) -> None:
        """Keep what becomes of the first rows of a dry run, also if they were read before."""
        if self._is_dry and len(self._first) < SHOWN:
            for row in rows[: SHOWN - len(self._first)]:
                copy = replace(row, fields=None if row.fields is None else dict(row.fields))
                self._first.append(self._drafter.draft(len(self._first) + 1, copy))

    def _compare(self, portion: Sequence[Row], known: Progress) -> None:
        """Take rows that were read before; once these are all, they must be the same."""
        with self._budget:
            self._latest = self._with(portion, [])
        if self._latest.read == known.read:
            if self._latest.digest != known.digest:
                raise OtherFile
            self._latest = known

    def _with(self, portion: Sequence[Row], drafts: Drafts) -> Progress:
        """Return how far it is with some more rows."""
        read = self._latest.read + len(portion)
        if portion:
            self._digest.update(b"\n".join([row.raw for row in portion]))
            self._digest.update(b"\n")
        refused = sum(isinstance(one, Refused) for one in drafts)
        return Progress(
            read,
            self._latest.accepted + len(drafts) - refused,
            self._latest.refused + refused,
            self._digest.hexdigest(),
        )

    async def _turn(self, portion: Sequence[Row]) -> None:
        """Make commands of rows, and hand them on."""
        with self._budget:
            drafts = self._drafts_of(portion)
        last = drafts[-1]
        stops = self._stop and isinstance(last, Refused)
        if stops:
            drafts.pop()
        with self._budget:
            self._latest = self._with(portion[: len(drafts)], drafts)
        await self._window.add(drafts, self._latest)
        if stops and isinstance(last, Refused):
            await self._window.drain()
            await self._window.refuse([last], self._latest.refused + 1)
            raise Stopped

    def _drafts_of(self, portion: Sequence[Row]) -> list[Outgoing | Refused]:
        """Return what rows become, up to the first that is not valid if the import is to stop there."""
        drafts: list[Outgoing | Refused] = []
        for number, row in enumerate(portion, self._latest.read + 1):
            drafts.append(self._drafter.draft(number, row))
            if self._stop and isinstance(drafts[-1], Refused):
                break
        return drafts
