"""The version of Rollcall, stated here alone: packaging, the command line and the documentation read it."""

from typing import Final

VERSION: Final = "0.1.0"
