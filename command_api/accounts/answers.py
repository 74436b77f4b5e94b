"""The bodies that the routes of accounts answer with."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class NewAccount(BaseModel):
    """An account that was made."""

    name: str
    roles: list[str]


class Tokens(BaseModel):
    """What a login gives: RFC 6749, section 5.1."""

    access_token: str = Field(description="JWT (RFC 9068); good for `expires_in` seconds")
    token_type: Literal["Bearer"]
    expires_in: int = Field(description="Seconds")
    refresh_token: str = Field(description="Good for one `/auth/refresh`")
    scope: str = Field(description="Scopes, separated by spaces")


class LoginTokens(Tokens):
    """What a login gives, with what the device is known by from now on."""

    device: str = Field(
        description="Send it with the device's next login, which what fails elsewhere does not delay then"
    )


class _Key(BaseModel):
    kid: str = Field(description="Thumbprint (RFC 7638)")
    use: Literal["sig"]


class Ed25519Key(_Key):
    """A public key of Ed25519: RFC 8037."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    alg: Literal["EdDSA"]


class RsaKey(_Key):
    """A public key of RSA: RFC 7518, section 6.3.1."""

    kty: Literal["RSA"]
    n: str
    e: str
    alg: Literal["RS256"]


class PublicKeys(BaseModel):
    """The keys that verify access tokens: RFC 7517, section 5."""

    keys: list[Annotated[Ed25519Key | RsaKey, Field(discriminator="kty")]]
