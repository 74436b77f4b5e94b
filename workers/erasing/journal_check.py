"""Keeps a worker from beginning while the journal names a key that is there: a backup has brought it back."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from events.errors import KeyTrouble, Unavailable
from service_kit.erasure_journal import journal_batches
from service_kit.mongo.keys import PersonKeys
from workers.erasing.sweep import ErasureSweep

LOOK_SECONDS: Final = 5.0

log = structlog.get_logger()


class JournalCheck:
    """Compares the journal with the keys until nothing that is there is named.

    A key whose `person.erased` is in the log is no backup's: a worker was killed before it destroyed it, and
    this one does.

    Args:
        folder: The journal's; None: there is none.
        keys: The people's keys.
        sweep: Finishes erasures that are half done.

    Attributes:
        reason: Why no worker may work, while it is so.
    """

    def __init__(self, folder: Path | None, keys: PersonKeys, sweep: ErasureSweep) -> None:
        self._folder = folder
        self._keys = keys
        self._sweep = sweep
        self.reason = "the journal of erasures was not compared with the keys yet"
        self._clear = folder is None

    async def check(self) -> None:
        """Return if a worker may work.

        Raises:
            KeyTrouble: The journal names a key that is there, or was not looked at yet.
        """
        if not self._clear:
            raise KeyTrouble(self.reason)

    async def until_clear(self) -> None:
        """Return once the journal names no key that is there; look again and again."""
        while not self._clear:
            try:
                there = await self._named()
            except Unavailable as exc:
                self.reason = f"the journal of erasures cannot be compared with the keys: {exc.detail}"
            except OSError as exc:
                self.reason = f"the journal of erasures cannot be read: {exc.strerror}"
            except ValueError:
                self.reason = "the journal of erasures is damaged: `rollcall verify --journal` says where"
            else:
                self._clear = not there
                self.reason = (
                    f"{there} keys are there that the journal of erasures names: run `rollcall keys replay` "
                    "with its folder"
                )
            if not self._clear:
                log.error("not working", reason=self.reason)
                await asyncio.sleep(LOOK_SECONDS)

    async def _named(self) -> int:
        """Return how many keys are there that the journal names, once what is half done is finished."""
        count = 0
        batches = journal_batches(self._folder) if self._folder is not None else iter(())
        while (lines := await asyncio.to_thread(next, batches, None)) is not None:
            ids = {line.person_id for line in lines}
            if there := await self._keys.with_key(ids):
                await self._sweep.finish(there)
                count += len(await self._keys.with_key(there))
        return count
