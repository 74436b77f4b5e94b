"""What is wrong with a file that declares a person, or roles."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in the file.

    Attributes:
        where: The path of what is wrong: `properties.salary.type`; `the file` for all of it.
        what: Is wrong with it: what follows `where` in a sentence.
        instead: What to write instead.
    """

    where: str
    what: str
    instead: str

    def __str__(self) -> str:
        return f"{self.where} {self.what}: {self.instead}"


class WrongFile(ValueError):
    """A file does not declare what it should.

    Args:
        faults: All that is wrong in it.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


class WrongPattern(ValueError):
    """A pattern that not both engines take.

    Args:
        what: Is wrong: what follows the pattern's place in a sentence.
        instead: What to write instead.
    """

    def __init__(self, what: str, instead: str) -> None:
        super().__init__(f"{what}: {instead}")
        self.what = what
        self.instead = instead
