"""What a scope may be called."""

import re
from typing import Final

LONGEST_SCOPE: Final = 64
"""Characters of a scope."""
_SCOPE: Final = re.compile(r"[a-z][a-z0-9_.-]*:[a-z][a-z0-9_.-]*")


def is_scope(text: str) -> bool:
    """Return whether a text has the form of a scope: `payroll:read`, say."""
    return len(text) <= LONGEST_SCOPE and _SCOPE.fullmatch(text) is not None
