"""The routes under /auth and the published keys, whose answers nobody may keep."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Annotated, Any, Final, Protocol, TypeVar

from fastapi import Depends, FastAPI, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel

from command_api.accounts.answers import LoginTokens, NewAccount, PublicKeys, Tokens
from command_api.accounts.directory import Directory
from command_api.accounts.login_throttle import LoginThrottle
from command_api.accounts.logins import Logins
from command_api.accounts.requests import LoginInput, RefreshInput, SignupInput
from command_api.dispatch.preferences import read_preferences
from events.accounts.errors import InvalidInvitation, NoAccounts, SignupClosed
from events.accounts.event import ANONYMOUS, Origin
from service_kit.auth.signing import PUBLISHED_SECONDS, KeyRing
from service_kit.http.openapi import json_answer, json_body, problems, schemas_of

Input = TypeVar("Input", bound=BaseModel)
JSON: Final = "application/json"
FORMS: Final = schemas_of(SignupInput, LoginInput, RefreshInput)
"""The schemas of the bodies."""
_OPEN: Final[dict[str, Any]] = {"security": []}
_NO_STORE: Final = {"Cache-Control": {"schema": {"const": "no-store", "type": "string"}}}
"""The guard's word on every answer that has none of its own."""


def _taking(form: type[BaseModel]) -> dict[str, Any]:
    return {"tags": ["accounts"], "openapi_extra": {**_OPEN, "requestBody": json_body(form)}}


class Reading(Protocol):
    """Reads a request's body as a form, or raises what is wrong with it."""

    def __call__(self, request: Request, form: type[Input], *media_types: str) -> Awaitable[Input]:
        """Return the body."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the routes need, given by the composition root.

    Attributes:
        directory: The accounts.
        throttle: Counts attempts.
        logins: Logs in and out.
        signup: Who may make an account: `closed`, `invite`, `open`.
        signup_role: The role of those who do.
    """

    directory: Directory
    throttle: LoginThrottle
    logins: Logins
    signup: str
    signup_role: str


def add_account_routes(app: FastAPI, accounts: Accounts | None, ring: KeyRing | None, read: Reading) -> None:
    """Add the routes.

    Args:
        app: Where.
        accounts: What they need; None where no accounts are kept.
        ring: The keys that are published; None where another issuer signs.
        read: Reads a body.
    """
    app.router.route_class = APIRoute

    def kept() -> Accounts:
        if accounts is None:
            raise NoAccounts(
                "no accounts are kept here: ask the issuer of your tokens, or set ROLLCALL_SIGNING_KEYS and "
                "ROLLCALL_MONGO_URI"
            )
        return accounts

    def body(form: type[Input]) -> Any:
        async def given(request: Request) -> Input:
            return await read(request, form, JSON)

        return Depends(given)

    @app.post(
        "/auth/signup",
        summary="Make an account",
        status_code=201,
        responses={
            201: json_answer("Made; log in with it", NewAccount, "account", **_NO_STORE),
            **problems(400, 403, 409, 413, 415, 422, 429, 501, 503),
        },
        **_taking(SignupInput),
    )
    async def sign_up(request: Request, wanted: Annotated[SignupInput, body(SignupInput)]) -> NewAccount:
        """`ROLLCALL_SIGNUP` says who may: nobody, the invited, or everybody."""
        account = await _create_account(kept(), wanted, _origin(request, wanted.name))
        return NewAccount(name=account.name, roles=list(account.roles))

    @app.post(
        "/auth/login",
        summary="Get tokens for a name and its password",
        responses={
            200: json_answer("Tokens", LoginTokens, "login", **_NO_STORE),
            **problems(400, 401, 403, 413, 415, 422, 429, 501, 503),
        },
        **_taking(LoginInput),
    )
    async def log_in(request: Request, given: Annotated[LoginInput, body(LoginInput)]) -> LoginTokens:
        """401 (`invalid-credentials`) does not tell which of them is wrong.

        403 (`password-change-required`): the password is good for once; send `new_password` with it. 429: the
        account at this address, the account, or the address failed too often, of late. A login that sends the
        `device` of an earlier one waits only for failures of that device.
        """
        fresh = given.new_password
        return await kept().logins.login(
            given.name,
            given.password.get_secret_value(),
            None if fresh is None else fresh.get_secret_value(),
            _origin(request),
            given.device,
        )

    @app.post(
        "/auth/refresh",
        summary="Get tokens for a refresh token",
        responses={
            200: json_answer("Tokens", Tokens, "tokens", **_NO_STORE),
            **problems(400, 401, 413, 415, 422, 501, 503),
        },
        **_taking(RefreshInput),
    )
    async def refresh_tokens(request: Request, given: Annotated[RefreshInput, body(RefreshInput)]) -> Tokens:
        """The token is good for once; within 10 seconds it gets the newest one again, for a client that lost
        the answer or has several tabs. One that comes later ends all tokens of its login.
        """
        return await kept().logins.refresh(given.refresh_token, _origin(request))

    @app.post(
        "/auth/logout",
        summary="End all tokens of a login",
        status_code=204,
        responses={204: {"description": "They are over"}, **problems(400, 413, 415, 422, 501, 503)},
        **_taking(RefreshInput),
    )
    async def log_out(request: Request, given: Annotated[RefreshInput, body(RefreshInput)]) -> None:
        """Access tokens that were given out last until they expire. A bad token is no error."""
        await kept().logins.logout(given.refresh_token, _origin(request))

    @app.get(
        "/.well-known/jwks.json",
        tags=["accounts"],
        summary="The keys that verify access tokens",
        responses={200: json_answer("The keys", PublicKeys, "jwks"), **problems(501)},
        openapi_extra=_OPEN,
    )
    async def get_public_keys(response: Response) -> PublicKeys:
        """RFC 7517. A new key stands here for a minute or more before it signs."""
        if ring is None:
            raise NoAccounts("another issuer signs the tokens that are taken here, and publishes its keys")
        # Whoever keeps it so long still learns of a new key before that signs.
        response.headers["Cache-Control"] = f"public, max-age={PUBLISHED_SECONDS}"
        return PublicKeys.model_validate(ring.jwks())


async def _create_account(accounts: Accounts, wanted: SignupInput, origin: Origin) -> Any:
    """Make the account that somebody wants; return it."""
    if accounts.signup == "closed":
        raise SignupClosed("accounts are made by an administrator")
    if accounts.signup == "invite" and wanted.invitation is None:
        raise InvalidInvitation("an account is made with an invitation: send it as invitation")
    await accounts.throttle.count_signup(origin)
    password = wanted.password.get_secret_value()
    await accounts.directory.check(password, wanted.name, "password", origin)
    if wanted.invitation is not None:
        return await accounts.directory.create_invited(wanted.invitation, wanted.name, password, origin)
    return await accounts.directory.create(wanted.name, password, (accounts.signup_role,), origin)


def _origin(request: Request, actor: str = ANONYMOUS) -> Origin:
    """Return who asks, as far as the request tells."""
    preferences = read_preferences(request.headers)
    client = request.client
    return Origin(
        actor,
        correlation_id=preferences.correlation_id,
        traceparent=preferences.traceparent,
        source_address=client.host if client else None,
        user_agent=preferences.user_agent,
    )
