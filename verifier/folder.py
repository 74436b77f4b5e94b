"""A folder of checkpoints: its files' names, and whether what is in it is one unbroken chain."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from verifier.canonical import Unreadable
from verifier.checkpoints import NONE_BEFORE, Checkpoint, digest, is_signed
from verifier.findings import Finding
from verifier.heads import KnownHeads

_NAME: Final = re.compile(r"checkpoint-(\d{6,15})\.(json|heads\.gz)")
_LONGEST: Final = 16_384


@dataclass(frozen=True, slots=True)
class Chain:
    """What a folder holds.

    Attributes:
        checkpoints: Those that are signed and in their place, in order.
        findings: What is wrong with the others, or with how they follow one another.
    """

    checkpoints: tuple[Checkpoint, ...]
    findings: tuple[Finding, ...]

    @property
    def described(self) -> str:
        """What it is, as part of a sentence; the digest vouches for all of it."""
        if self.last is None:
            return "no good checkpoint"
        newest = f"the newest of {self.last.created_at} with digest {digest(self.last)}"
        count = len(self.checkpoints)
        return f"{count:,} checkpoint{'s' * (count != 1)}, {newest}"

    @property
    def last(self) -> Checkpoint | None:
        """The newest one."""
        return self.checkpoints[-1] if self.checkpoints else None


def checkpoint_path(folder: Path, number: int) -> Path:
    """Return where a checkpoint is."""
    return folder / f"checkpoint-{number:06}.json"


def heads_path(folder: Path, number: int) -> Path:
    """Return where the heads of a checkpoint are."""
    return folder / f"checkpoint-{number:06}.heads.gz"


def read_chain(folder: Path, keys: Mapping[str, Ed25519PublicKey], heads: KnownHeads) -> Chain:
    """Read every checkpoint in a folder, and the heads of those that are good.

    That newest ones were taken away with their heads cannot be seen in what is left: keep the digest of the
    newest one, which every run names, in another place.

    Args:
        folder: Where they are.
        keys: Who may have signed them.
        heads: Where their heads are added; empty.

    Raises:
        OSError: The folder cannot be read.
    """
    reading = _Reading(folder, keys, heads)
    numbers = {int(match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))}
    for number in sorted(numbers):
        reading.take(number)
    reading.finish()
    return Chain(tuple(reading.good), tuple(reading.findings))


class _Reading:
    """The chain as far as it was read."""

    def __init__(self, folder: Path, keys: Mapping[str, Ed25519PublicKey], heads: KnownHeads) -> None:
        self.good: list[Checkpoint] = []
        self.findings: list[Finding] = []
        self._folder, self._keys, self._heads = folder, keys, heads
        self._expected = 1
        self._before: Checkpoint | None = None

    def take(self, number: int) -> None:
        """Read the next one that is there."""
        if number > self._expected:
            gone = f"to {number - 1} are" if number - 1 > self._expected else "is"
            self._find(self._expected, f"{gone} missing, though checkpoint {number} is there")
            self._before = None
        try:
            checkpoint = self._read(number)
        except Unreadable as exc:
            self._find(number, str(exc))
            checkpoint = None
        if checkpoint:
            self._follow(checkpoint)
        self._before, self._expected = checkpoint, number + 1

    def _read(self, number: int) -> Checkpoint:
        path = checkpoint_path(self._folder, number)
        try:
            with path.open("rb") as file:
                checkpoint = Checkpoint.decode(file.read(_LONGEST))
        except FileNotFoundError:
            raise Unreadable("it is missing, though its heads are there") from None
        except OSError as exc:
            raise Unreadable(f"it cannot be read ({exc.strerror})") from None
        if not is_signed(checkpoint, self._keys):
            known = checkpoint.key_id in self._keys
            raise Unreadable(
                "its signature is wrong" if known else "it is signed with a key that is not given"
            )
        if checkpoint.number != number:
            raise Unreadable(f"in its place is checkpoint {checkpoint.number}")
        return checkpoint

    def _follow(self, checkpoint: Checkpoint) -> None:
        before = digest(self._before) if self._before else NONE_BEFORE
        # After one that is missing or bad, which was found already, the link cannot be checked.
        if (self._before or checkpoint.number == 1) and checkpoint.previous != before:
            self._find(checkpoint.number, f"it does not follow checkpoint {checkpoint.number - 1}")
        try:
            self._heads.load(checkpoint, heads_path(self._folder, checkpoint.number))
        except Unreadable as exc:
            self._find(checkpoint.number, str(exc))
        self.good.append(checkpoint)

    def finish(self) -> None:
        """Hold the last one's root against all heads, if all are there."""
        if self.good and not self.findings:
            try:
                self._heads.check(self.good[-1])
            except Unreadable as exc:
                self._find(self.good[-1].number, str(exc))

    def _find(self, number: int, text: str) -> None:
        self.findings.append(Finding("checkpoint", text, checkpoint=number))
