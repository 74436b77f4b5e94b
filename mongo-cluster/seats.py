"""Puts on record how many seats there are, so that workers can ask each member (docs/adr/0040)."""

from typing import Final

from deployment import Access, Client, Deployment
from pymongo.errors import OperationFailure
from replica_sets import ensure_configured

from service_kit.mongo.lags import LAGS, SEATS

_NOT_OURS: Final = frozenset({13, 59, 115, 8000})
"""Unauthorised, no such command, not supported: it is a router's, or somebody else keeps the set."""


def record_seats(client: Client, database: str, deployment: Deployment | None, access: Access) -> list[str]:
    """Write the number of seats; return a line for each change.

    A replica set that runs already gets its seats here. If it may not be changed there are none, nor behind
    routers whose members are not described: query APIs then read from primaries after each waited answer.
    """
    changes: list[str] = []
    if deployment is not None:
        count = deployment.seats
    else:
        try:
            config = client.admin.command("replSetGetConfig")["config"]
            members = [one["host"] for one in config["members"] if not (one["arbiterOnly"] or one["hidden"])]
            count = len(members)
            changes = ensure_configured(client, members, count, access)
        except OperationFailure as exc:
            if exc.code not in _NOT_OURS:
                raise
            return []
    written = client[database][LAGS].update_one({"_id": SEATS}, {"$set": {"count": count}}, upsert=True)
    if written.upserted_id is not None or written.modified_count:
        changes.append(f"recorded {count} seats")
    return changes
