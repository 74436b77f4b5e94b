"""Owns the routes under /auth and the published keys: read a request, ask, answer so that nobody keeps it."""

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import Response
from pydantic import BaseModel

from command_api.accounts import documentation as doc
from command_api.accounts.directory import Directory
from command_api.accounts.gate import Gate
from command_api.accounts.requests import LoginInput, RefreshInput, SignupInput
from command_api.accounts.sessions import Sessions
from command_api.preferences import read_preferences
from events.account_errors import InvalidInvitation, NoAccounts, SignupClosed
from events.accounts import Origin
from service_kit.signing import PUBLISHED_SECONDS, KeyRing
from service_kit.web import PlainRoute

Input = TypeVar("Input", bound=BaseModel)
JSON: Final = "application/json"
_NO_STORE: Final = {"Cache-Control": "no-store"}


class Reading(Protocol):
    """Reads a request's body as a form, or raises what is wrong with it."""

    def __call__(self, request: Request, form: type[Input], *media_types: str) -> Awaitable[Input]:
        """Return the body."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the routes need, given by the composition root.

    Attributes:
        directory: The accounts.
        gate: Counts attempts.
        sessions: Logs in and out.
        signup: Who may make an account: `closed`, `invite`, `open`.
        signup_role: The role of those who do.
    """

    directory: Directory
    gate: Gate
    sessions: Sessions
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
    app.router.route_class = PlainRoute

    def kept() -> Accounts:
        if accounts is None:
            raise NoAccounts(
                "no accounts are kept here: ask the issuer of your tokens, or set ROLLCALL_SIGNING_KEYS and "
                "ROLLCALL_MONGO_URI"
            )
        return accounts

    @app.post("/auth/signup", tags=["accounts"], status_code=201, **doc.SIGNUP)
    async def signup(request: Request) -> Response:
        wanted = await read(request, SignupInput, JSON)
        account = await _sign_up(kept(), wanted, _origin(request, wanted.name))
        return _json({"name": account.name, "roles": list(account.roles)}, 201)

    @app.post("/auth/login", tags=["accounts"], **doc.LOGIN)
    async def login(request: Request) -> Response:
        given = await read(request, LoginInput, JSON)
        fresh = given.new_password
        tokens = await kept().sessions.login(
            given.name,
            given.password.get_secret_value(),
            None if fresh is None else fresh.get_secret_value(),
            _origin(request),
        )
        return _json(tokens, 200)

    @app.post("/auth/refresh", tags=["accounts"], **doc.REFRESH)
    async def refresh(request: Request) -> Response:
        given = await read(request, RefreshInput, JSON)
        return _json(await kept().sessions.refresh(given.refresh_token, _origin(request)), 200)

    @app.post("/auth/logout", tags=["accounts"], status_code=204, **doc.LOGOUT)
    async def logout(request: Request) -> Response:
        given = await read(request, RefreshInput, JSON)
        await kept().sessions.logout(given.refresh_token, _origin(request))
        return Response(status_code=204, headers=_NO_STORE)

    @app.get("/.well-known/jwks.json", tags=["accounts"], **doc.JWKS)
    async def jwks(_request: Request) -> Response:
        if ring is None:
            raise NoAccounts("another issuer signs the tokens that are taken here, and publishes its keys")
        # Whoever keeps it so long still learns of a new key before that signs.
        headers = {"Cache-Control": f"public, max-age={PUBLISHED_SECONDS}"}
        return Response(orjson.dumps(ring.jwks()), 200, headers, JSON)


async def _sign_up(accounts: Accounts, wanted: SignupInput, origin: Origin) -> Any:
    """Make the account that somebody wants; return it."""
    if accounts.signup == "closed":
        raise SignupClosed("accounts are made by an administrator")
    if accounts.signup == "invite" and wanted.invitation is None:
        raise InvalidInvitation("an account is made with an invitation: send it as invitation")
    await accounts.gate.count_signup(origin)
    password = wanted.password.get_secret_value()
    await accounts.directory.check(password, wanted.name, "password")
    if wanted.invitation is not None:
        return await accounts.directory.create_invited(wanted.invitation, wanted.name, password, origin)
    return await accounts.directory.create(wanted.name, password, (accounts.signup_role,), origin)


def _origin(request: Request, actor: str = "anonymous") -> Origin:
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


def _json(content: object, status: int) -> Response:
    return Response(orjson.dumps(content), status, _NO_STORE, JSON)
