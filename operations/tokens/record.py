"""Puts on record, in the log, that a token was made for somebody: without that, none is given out."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from command_api.accounts.account_log import AccountLog
from events.accounts.event import AccountFact, Origin, token_stream
from events.errors import RollcallError
from events.times import rfc3339, to_milliseconds
from operations.addresses import database_settings
from operations.errors import SetupError
from operations.terminal import user_name
from service_kit.ids import new_id
from service_kit.mongo import connection as mongo


def record_token(
    environ: Mapping[str, str], token_id: str, subject: str, scopes: Sequence[str], ttl_seconds: int
) -> None:
    """Append to the log that a token is made.

    Args:
        environ: `ROLLCALL_MONGO_URI` says where the log is.
        token_id: The token's claim `jti`.
        subject: Whom it is for.
        scopes: What it allows.
        ttl_seconds: Its life from now.

    Raises:
        SetupError: The log is not known, or MongoDB is away.
    """
    settings = database_settings(environ)
    now = to_milliseconds(datetime.now(UTC))
    data = {
        "subject": subject,
        "scopes": " ".join(scopes),
        "expires_at": rfc3339(now + timedelta(seconds=ttl_seconds)),
    }
    origin = Origin(f"operator:{user_name()}", user_agent="rollcall token")
    fact = AccountFact(token_stream(token_id), "account.token_issued", data, new_id(), now, origin)

    async def append() -> None:
        client = mongo.connect(settings, "rollcall-token")
        try:
            await AccountLog(client, settings.mongo_db, lambda: datetime.now(UTC), new_id).append(fact)
        finally:
            await mongo.close(client)

    try:
        asyncio.run(append())
    except RollcallError as exc:
        raise SetupError(f"No token is made, since it cannot be put on record: {exc.detail}.") from exc
