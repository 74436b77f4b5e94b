"""Makes replica sets of members that run: initiates new ones, adds and removes members of old ones."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from deployment import Access, Client, Deployment, ReplicaSet
from pymongo.errors import OperationFailure, PyMongoError

from service_kit.mongo.lags import SEAT, seats_of

_NOT_YET_INITIALISED: Final = 94
_ALREADY_INITIALISED: Final = 23
_CHANGING: Final = frozenset({103, 109, 308})
"""Configuration incompatible (an older version), change in progress, or not committed yet."""
_SETTINGS: Final = {"chainingAllowed": False}
"""A member that stalls would else hold up the one that follows it, and so the majority, for half a minute."""


def ensure_sets(deployment: Deployment, access: Access) -> list[str]:
    """Bring every set to what is described; return a line for each change.

    Raises:
        NotReady: Members or a primary are missing when time is over; names them.
    """
    _wait_for_members(deployment, access)
    # All at once: each set needs some ten seconds for its first election.
    seats = deployment.seats
    changes = [change for wanted in deployment.sets for change in _ensure_initiated(wanted, seats, access)]
    for wanted in deployment.sets:
        with access.set_of(wanted) as client:
            _wait_for_primary(client, wanted, access)
            changes += _ensure_members(client, wanted, seats, access)
            changes += ensure_configured(
                client, wanted.members, 0 if wanted.role == "config" else seats, access
            )
    return changes


def ensure_configured(client: Client, members: Sequence[str], count: int, access: Access) -> list[str]:
    """Give the members of a set their seats, as tags, and let each follow the primary; return what changed.

    Args:
        client: Of the set.
        members: Their addresses, in the order in which they are seated.
        count: How many seats there are; none where nobody reads.
        access: How the deployment is reached.
    """
    while True:
        config = client.admin.command("replSetGetConfig")["config"]
        seated = [
            {**member, "tags": _tags(member, members, count)} if member["host"] in members else member
            for member in config["members"]
        ]
        changes = []
        if config["members"] != seated:
            changes.append(f"seated the members of replica set {config['_id']}")
        settings = {**config["settings"], **_SETTINGS}
        if config["settings"] != settings:
            changes.append(f"let the members of replica set {config['_id']} follow its primary alone")
        if not changes or _reconfigure(client, {**config, "members": seated, "settings": settings}, access):
            return changes
        time.sleep(0.1)


def _tags(member: Mapping[str, Any], members: Sequence[str], count: int) -> dict[str, str]:
    others = {name: tag for name, tag in member.get("tags", {}).items() if not name.startswith(SEAT)}
    return {**others, **seats_of(members.index(member["host"]), len(members), count)}


def _wait_for_members(deployment: Deployment, access: Access) -> None:
    """Return when every member answers.

    Raises:
        NotReady: Names those that do not.
    """
    missing = [address for one in deployment.sets for address in one.members]

    def all_answer() -> bool:
        missing[:] = [address for address in missing if not _answers(address, access)]
        return not missing

    access.wait(lambda: f"no answer from {', '.join(missing)}", all_answer)


def _answers(address: str, access: Access) -> bool:
    try:
        with access.member(address) as client:
            client.admin.command("ping")
    except OperationFailure:
        raise  # it answers: the key is another
    except PyMongoError:
        return False
    return True


def _ensure_initiated(wanted: ReplicaSet, seats: int, access: Access) -> list[str]:
    with access.member(wanted.members[0]) as client:
        if not (_is_new(client) and _is_new_everywhere(wanted, access)):
            return []
        _initiate(client, wanted, seats)
    return [f"initiated replica set {wanted.name} of {len(wanted.members)} members"]


def _wait_for_primary(client: Client, wanted: ReplicaSet, access: Access) -> None:
    def has_primary() -> bool:
        client.admin.command("ping")
        return client.primary is not None

    access.wait(lambda: f"replica set {wanted.name} has no primary", has_primary)


def _is_new(client: Client) -> bool:
    try:
        client.admin.command("replSetGetConfig")
    except OperationFailure as exc:
        if exc.code == _NOT_YET_INITIALISED:
            return True
        raise
    return False


def _is_new_everywhere(wanted: ReplicaSet, access: Access) -> bool:
    """Return whether no member belongs to a set: the first one may be the replacement of a lost one."""
    for address in wanted.members[1:]:
        with access.member(address) as client:
            if not _is_new(client):
                return False
    return True


def _initiate(client: Client, wanted: ReplicaSet, seats: int) -> None:
    members = [_member(number, wanted, address, seats) for number, address in enumerate(wanted.members)]
    role = {"configsvr": True} if wanted.role == "config" else {}
    try:
        client.admin.command(
            {"replSetInitiate": {"_id": wanted.name, **role, "members": members, "settings": _SETTINGS}}
        )
    except OperationFailure as exc:
        if exc.code != _ALREADY_INITIALISED:
            raise


def _member(number: int, wanted: ReplicaSet, address: str, seats: int) -> dict[str, Any]:
    # Unequal priorities: an even number of members elects sooner, and the first is preferred.
    member: dict[str, Any] = {
        "_id": number,
        "host": address,
        "priority": 2 if address == wanted.members[0] else 1,
    }
    return member if wanted.role == "config" else {**member, "tags": _tags(member, wanted.members, seats)}


def _ensure_members(client: Client, wanted: ReplicaSet, seats: int, access: Access) -> list[str]:
    """Add what is described and not there, remove what is there and not described, one at a time.

    A set changes by one voting member at a time; see
    https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/.
    """
    changes: list[str] = []
    while True:
        config = client.admin.command("replSetGetConfig")["config"]
        there = {member["host"]: member for member in config["members"]}
        added = next((address for address in wanted.members if address not in there), None)
        gone = next((host for host in there if host not in wanted.members), None)
        if added is not None:
            number = max(member["_id"] for member in there.values()) + 1
            members = [*config["members"], _member(number, wanted, added, seats)]
            change = f"added {added} to replica set {wanted.name}"
        elif gone is not None:
            members = [member for member in config["members"] if member["host"] != gone]
            change = f"removed {gone} from replica set {wanted.name}"
        else:
            return changes
        if _reconfigure(client, {**config, "members": members}, access):
            changes.append(change)
        access.wait(
            lambda: f"replica set {wanted.name} did not take its new members in",
            lambda: _settled(client, wanted),
        )


def _reconfigure(client: Client, config: dict[str, Any], access: Access) -> bool:
    """Set a configuration; return whether it is in force, False if the set changed its own meanwhile."""
    try:
        client.admin.command({"replSetReconfig": {**config, "version": config["version"] + 1}})
    except OperationFailure as exc:
        # It does, to give a new member its vote.
        if exc.code in _CHANGING and time.monotonic() < access.deadline:
            return False
        raise
    return True


def _settled(client: Client, wanted: ReplicaSet) -> bool:
    """Return whether those of the wanted members that are in the set stand by."""
    status = client.admin.command("replSetGetStatus")
    return all(
        member["stateStr"] in {"PRIMARY", "SECONDARY"}
        for member in status["members"]
        if member["name"] in wanted.members
    )
