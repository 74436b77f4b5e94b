"""`POST /events/stream/tickets`, for those who can send no token with their request for the events."""

from typing import Annotated

from fastapi import FastAPI
from pydantic import BaseModel, Field

from events.times import rfc3339
from query_api.feed.tickets import SCOPE, StreamTickets
from service_kit.auth.tokens import Caller, TokenVerifier
from service_kit.http.formats import Time
from service_kit.http.openapi import json_answer, problems
from service_kit.http.typed import EACH_ONCE, wants


class StreamTicket(BaseModel):
    """What lets one request follow the events without a token."""

    ticket: str = Field(description="For the parameter `ticket` of `GET /events/stream`")
    expires_at: Time = Field(description="30 s after it was given")


def add_ticket_route(app: FastAPI, verifier: TokenVerifier, tickets: StreamTickets) -> None:
    """Add the route that gives tickets."""
    reader = wants(verifier, SCOPE)

    @app.post(
        "/events/stream/tickets",
        tags=["events"],
        summary="Get a ticket with which a browser follows the events",
        status_code=201,
        dependencies=[reader, EACH_ONCE],
        responses={
            201: json_answer("Good for one request", StreamTicket, "stream_ticket"),
            **problems(401, 403, 422, 503),
        },
    )
    async def create_stream_ticket(caller: Annotated[Caller, reader]) -> StreamTicket:
        """Scope `events:read`. A browser's `EventSource` sends no token: it sends this, once, within 30 s,
        and gets what the token's scopes allow: the ticket has those of events, and up to 40 of fields.

        The stream ends with the token for which the ticket was given. To go on, ask for another ticket and
        come `from` the last position.
        """
        ticket, expires_at = tickets.sign(caller)
        return StreamTicket(ticket=ticket, expires_at=rfc3339(expires_at))
