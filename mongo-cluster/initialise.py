"""Brings a MongoDB deployment to what is described; run twice, it changes nothing.

Usage: python mongo-cluster/initialise.py, with these environment variables:

    ROLLCALL_MONGO_URI            a deployment that runs: its collections are made, and sharded if it is
                                  a sharded cluster; or, in its place,
    ROLLCALL_MONGO_CLUSTER        a file that describes replica sets and routers (README.md): the sets
                                  are initiated and the shards added first
    ROLLCALL_MONGO_KEY_FILE       the members' key file, if they authenticate
    ROLLCALL_MONGO_ADMIN_PASSWORD, and likewise _WORKER_, _COMMAND_, _QUERY_
                                  of the users to make: admin, rollcall-worker and so on
    ROLLCALL_MONGO_DB             the database (rollcall)
    ROLLCALL_MONGO_WAIT           seconds to wait for members and routers (120)
    ROLLCALL_PERSON_SCHEMA        the file with the person schema: what is indexed (the shipped one)

Indexes of people that the schema does not want are named; with `--drop-unused` they are dropped.
"""

import os
import sys

from carrying import Fork, are_left, carry_over, settle
from deployment import Access, Client, Deployment, NotReady
from order import Order
from pymongo.errors import PyMongoError
from replica_sets import ensure_sets
from schema import ensure_collections, ensure_shards
from seats import record_seats
from users import ensure_users

from events.errors import StoreUnavailable
from events.log.stored import ACCOUNT_EVENTS
from service_kit.mongo.schema_record import SchemaRecord
from service_kit.schema_in_force import choose_schema


def initialise(order: Order) -> list[str]:
    """Do what is asked for; return a line for each change, none if all was there.

    Raises:
        Fork: Events of accounts cannot be carried over.
        NotReady: Members, a primary or a router are missing when time is over; names them.
        PyMongoError: The deployment refuses.
        ValueError: The description describes nothing.
    """
    access = Access.of(order.key_file, order.seconds)
    if order.description is None:
        return _inside(order.uri or "", None, order, access)
    deployment = Deployment.read(order.description)
    changes = ensure_sets(deployment, access)
    return changes + _inside(deployment.uri, deployment, order, access)


def _inside(uri: str, deployment: Deployment | None, order: Order, access: Access) -> list[str]:
    """Do what is done through the routers, or in the one replica set."""
    with access.open(uri) as client:
        where = ", ".join(deployment.routers) if deployment and deployment.routers else "the deployment"
        access.wait(lambda: f"no answer from {where}", lambda: _answers(client))
        changes = ensure_shards(client, deployment.shards, access) if deployment else []
        on_record = SchemaRecord(client, order.database).all()
        schema = choose_schema(order.schema, on_record, is_named=False)
        changes += ensure_collections(client, order.database, schema, access, drop_unused=order.drop_unused)
        changes += record_seats(client, order.database, deployment, access)
        changes += _carry_over(client, uri, order, access)
        return changes + ensure_users(client, uri, order.database, order.passwords, access)


def _carry_over(client: Client, uri: str, order: Order, access: Access) -> list[str]:
    """Move what earlier versions put elsewhere; meanwhile no service may add to it, in either place."""
    if not are_left(client, order.database):
        return []
    changes = ensure_users(client, uri, order.database, order.passwords, access, closed={ACCOUNT_EVENTS})
    if changes:
        settle(client)
    return changes + carry_over(client, order.database)


def _answers(client: Client) -> bool:
    client.admin.command("ping")
    return True


def main() -> None:
    """Initialise what the environment asks for, and say what changed."""
    try:
        changes = initialise(Order.read(os.environ, sys.argv[1:]))
    except (Fork, NotReady, StoreUnavailable, PyMongoError, OSError, ValueError, KeyError) as exc:
        sys.exit(f"could not initialise MongoDB: {exc}")
    print("\n".join(changes) or "nothing changed")


if __name__ == "__main__":
    main()
