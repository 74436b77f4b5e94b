"""The bodies of the routes under /auth."""

from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from command_api.accounts.passwords import LONGEST, SHORTEST
from events.accounts.event import account_name, new_account_name

_NAME: Final = "Name of the account; an e-mail address will do. Case does not count"

# An account's name may be a password typed in the wrong place: what is refused is never repeated.
_Text = Annotated[str, Field(min_length=1, max_length=254, description=_NAME)]
Name = Annotated[_Text, AfterValidator(account_name)]
NewName = Annotated[_Text, AfterValidator(new_account_name)]
Given = Annotated[SecretStr, Field(min_length=1, max_length=1024)]
Wanted = Annotated[
    SecretStr,
    Field(max_length=1024, description=f"{SHORTEST} to {LONGEST} characters, not one that is easy to guess"),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SignupInput(_Body):
    """An account that somebody wants."""

    name: NewName
    password: Wanted
    invitation: str | None = Field(
        default=None, max_length=200, description="Needed where only the invited may sign up"
    )


class LoginInput(_Body):
    """A name and its password."""

    name: Name
    password: Given
    new_password: Wanted | None = Field(
        default=None, description="The password from now on; needed if the present one was for one login"
    )
    device: str | None = Field(
        default=None, max_length=100, description="`device` of an earlier login from the same device"
    )


class RefreshInput(_Body):
    """A refresh token."""

    refresh_token: str = Field(min_length=1, max_length=200)
