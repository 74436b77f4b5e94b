"""Errors of accounts, a part of the tree in `events.errors`.

RollcallError
├── AccessError
│   ├── InvalidCredentials      a name and a password that do not belong together
│   ├── PasswordChangeRequired  the right one, but it was good for once
│   ├── SignupClosed            nobody may make an account by themselves
│   ├── InvalidInvitation       an invitation that is not known, used or over
│   └── TooManyAttempts         failed too often, of late
├── AccountExists           the name is taken
├── AccountNotFound         there is no account of this name
└── NoAccounts              this service keeps no accounts
"""

from events.errors import AccessError, RollcallError


class InvalidCredentials(AccessError):
    """The name and the password do not belong together; which of them is wrong is not told."""

    code = "invalid-credentials"


class PasswordChangeRequired(AccessError):
    """The password is the right one, but was given for one login, which must set another."""

    code = "password-change-required"


class SignupClosed(AccessError):
    """Nobody may make an account by themselves."""

    code = "signup-closed"


class InvalidInvitation(AccessError):
    """The invitation is not known, was used, or is over."""

    code = "invalid-invitation"


class TooManyAttempts(AccessError):
    """An account or an address failed too often, of late.

    Args:
        detail: One sentence.
        retry_after: Seconds after which the next attempt is looked at.
    """

    code = "too-many-attempts"

    def __init__(self, detail: str, retry_after: int = 1) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class AccountExists(RollcallError):
    """The name belongs to an account."""

    code = "account-exists"


class AccountNotFound(RollcallError):
    """There is no account of this name."""

    code = "account-not-found"


class NoAccounts(RollcallError):
    """This service keeps no accounts: another issuer makes the tokens that it takes."""

    code = "no-accounts"
