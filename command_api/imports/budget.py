"""What one import may cost: bytes, rows, and seconds of the processor."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType


class OverBudget(Exception):
    """An import has used up what one may cost; what was read before stands.

    Args:
        reason: One sentence for the client, which names the budget.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ImportLimits:
    """What each import may cost.

    Attributes:
        bytes: Of the file when it is unpacked, of a workbook the text of its rows as well.
        rows: Of the file.
        seconds: Of the processor, in one request.
    """

    bytes: int
    rows: int
    seconds: float


class ImportBudget:
    """What is left of an import's limits; as a context it counts the seconds that its block takes.

    A block must not wait for anything: others would work on this import's account.

    Args:
        limits: What it may cost.
        clock: Tells the seconds that this thread has had of the processor.
    """

    def __init__(self, limits: ImportLimits, clock: Callable[[], float] = time.thread_time) -> None:
        self._limits = limits
        self._clock = clock
        self._bytes = self._rows = 0
        self._seconds = self._began = 0.0

    def take_bytes(self, number: int) -> None:
        """Count bytes.

        Raises:
            OverBudget: They are more than are left.
        """
        self._bytes += number
        if self._bytes > self._limits.bytes:
            raise OverBudget(
                f"the file has over {self._limits.bytes:,} bytes, the budget of an import: send the rest as "
                "another file"
            )

    def take_rows(self, number: int) -> None:
        """Count rows.

        Raises:
            OverBudget: They are more than are left.
        """
        self._rows += number
        if self._rows > self._limits.rows:
            raise OverBudget(
                f"the file has over {self._limits.rows:,} rows, the budget of an import: send the rest as "
                "another file"
            )

    def __enter__(self) -> None:
        """Begin to count seconds."""
        self._began = self._clock()

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Count them.

        Raises:
            OverBudget: They are more than are left, and nothing else is wrong.
        """
        self._seconds += self._clock() - self._began
        if exc is None and self._seconds > self._limits.seconds:
            raise OverBudget(
                f"reading it took over {self._limits.seconds:g} s of the processor, the budget of a request: "
                "the same file with the same import_id goes on from here"
            )
