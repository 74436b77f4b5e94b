"""Decides which passwords are good enough. Pure; keeps none and shows none.

NIST SP 800-63B, section 5.1.1.2: length counts, and not being one that is tried first; no rules on the kinds
of characters, no expiry.
"""

import secrets
import unicodedata
from threading import Lock
from typing import Final

from zxcvbn import zxcvbn

from events.errors import InvalidFields

SHORTEST: Final = 12
LONGEST: Final = 128
_LEAST_SCORE: Final = 3
"""Of zxcvbn: some 10^8 guesses or more, so no common password, and none that is made of such ones."""
_JUDGED: Final = 72
"""Characters that zxcvbn is given: it takes no more by itself, and time grows faster than length."""
_OURS: Final = ("rollcall",)
_ONE_TIME_BYTES: Final = 18

# zxcvbn keeps the words of the call at hand in a global table.
_judging = Lock()


def normal(password: str) -> str:
    """Return a password as it is hashed: NFKC, so that a keyboard's way of composing does not count."""
    return unicodedata.normalize("NFKC", password)


def check_password(password: str, name: str, field: str) -> None:
    """Return if an account may have a password. Takes some milliseconds.

    Args:
        password: In its normal form.
        name: The account's, which must not make the password.
        field: What the request calls it.

    Raises:
        InvalidFields: It is too short, too long, or easy to guess; says which, never the password.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise _refusal(field, f"must have {SHORTEST} to {LONGEST} characters")
    with _judging:
        judged = zxcvbn(password[:_JUDGED], user_inputs=[*_OURS, name, *name.split("@")])
    if judged["score"] < _LEAST_SCORE:
        raise _refusal(field, "is one of the first that would be guessed: take several unrelated words")


def one_time_password() -> str:
    """Return a fresh password for somebody's next login: 144 random bits."""
    return secrets.token_urlsafe(_ONE_TIME_BYTES)


def _refusal(field: str, reason: str) -> InvalidFields:
    return InvalidFields("the password is not taken", [{"field": field, "reason": reason}])
