"""Stream tickets: what lets a browser's `EventSource`, which sends no token, follow the events once."""

import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Any, Final

import jwt
from pymongo.errors import DuplicateKeyError

from events.errors import Unauthenticated
from events.person.schema.declarations import PersonSchema
from service_kit.auth.roles import AUDIT_SCOPE
from service_kit.auth.tokens import Caller
from service_kit.ids import new_id
from service_kit.mongo.connection import Client, store_errors, writing
from service_kit.settings import MIN_SECRET_BYTES, Settings

TICKET_SECONDS: Final = 30
SCOPE: Final = "events:read"
MOST_SCOPES: Final = 40
"""Scopes of fields that a ticket has at most, for it stands in an address."""
MAX_TICKET: Final = 6_000
"""Characters: more than one with as many of the longest scopes has."""
_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "rollcall:event-stream"
_CLAIMS: Final = ["exp", "jti", "kid", "scope", "sub", "until"]


class StreamTickets:
    """Signs tickets, and takes each once: spent ones are kept until they would have expired.

    Args:
        material: At least `MIN_SECRET_BYTES`, known to every query API and nobody else.
        client: Of MongoDB.
        database: Database name.
        schema: What a person is, and which fields want a scope.
    """

    def __init__(self, material: bytes, client: Client, database: str, schema: PersonSchema) -> None:
        # Tells nothing of what it is made from, a token's key say.
        self._key = hmac.digest(material, b"rollcall stream tickets", "sha256")
        self._of_fields = schema.read_scopes
        self._spent = writing(client, database)["spent_tickets"]

    def sign(self, caller: Caller) -> tuple[str, datetime]:
        """Return a ticket for a caller, and until when it is good: with what says which values it brings."""
        scopes = sorted(caller.scopes & {SCOPE, AUDIT_SCOPE})
        scopes += sorted(caller.scopes & self._of_fields)[:MOST_SCOPES]
        expires_at = int(time.time()) + TICKET_SECONDS
        claims = {
            "aud": _AUDIENCE,
            "sub": caller.subject,
            "exp": expires_at,
            "jti": new_id(),
            "until": caller.expires_at,
            "kid": caller.key_id,
            "scope": " ".join(scopes),
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM), datetime.fromtimestamp(expires_at, UTC)

    def read(self, ticket: str) -> Caller:
        """Return who was given a ticket, with its token's scopes of events and fields, until that ends.

        Raises:
            Unauthenticated: It is none of ours, or is too old.
        """
        claims = self._claims(ticket)
        scopes = frozenset(claims["scope"].split())
        return Caller(str(claims["sub"]), None, scopes, float(claims["until"]), str(claims["kid"]))

    async def spend(self, ticket: str) -> None:
        """Keep that a ticket is used.

        Raises:
            Unauthenticated: It was used before, or is not good.
            StoreUnavailable: MongoDB is away.
        """
        claims = self._claims(ticket)
        document = {"_id": claims["jti"], "expires_at": datetime.fromtimestamp(claims["exp"], UTC)}
        try:
            with store_errors():
                await self._spent.insert_one(document)
        except DuplicateKeyError:
            raise Unauthenticated("the ticket was used: ask for another one") from None

    def _claims(self, ticket: str) -> dict[str, Any]:
        options: Any = {"require": _CLAIMS}
        try:
            return jwt.decode(ticket, self._key, algorithms=[_ALGORITHM], audience=_AUDIENCE, options=options)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("the ticket has expired: ask for another one") from None
        except (jwt.PyJWTError, ValueError):
            raise Unauthenticated("this is no ticket of this API") from None


def tickets_secret(settings: Settings) -> bytes:
    """Return the secret that signs tickets: of its own, else the tokens', else one of this process alone.

    Raises:
        SystemExit: The file of its own cannot be read, or holds too little.
    """
    secret = settings.secret_in(settings.tickets_key_file, "ticket key")
    return secrets.token_bytes(MIN_SECRET_BYTES) if secret is None else secret
