"""The broker's definitions: the same topology as the services declare, and rights for just that."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from service_kit.broker.topology import EXCHANGES, partition_of, queues
from service_kit.broker.users import (
    COMMAND_USER,
    OPERATOR,
    QUERY_USER,
    RIGHTS,
    SUBSCRIBER_USER,
    WORKER_USER,
    password_hash,
    subscriber_rights,
    user_definitions,
)
from service_kit.ids import new_id

ROOT = Path(__file__).resolve().parents[3]
DEFINITIONS = json.loads((ROOT / "rabbitmq" / "definitions.json").read_text())
QUEUES = {queue.name: queue for queue in queues(8)}


def without(entry: dict, *names: str) -> dict:
    return {name: value for name, value in entry.items() if name not in names}


def test_the_definitions_have_the_exchanges_that_services_declare():
    usual = {"vhost": "/", "durable": True, "auto_delete": False, "internal": False, "arguments": {}}
    assert DEFINITIONS["exchanges"] == [{"name": e.name, "type": e.type, **usual} for e in EXCHANGES]


def test_the_definitions_have_the_queues_that_services_declare():
    usual = {"vhost": "/", "durable": True, "auto_delete": False}
    assert DEFINITIONS["queues"] == [
        {"name": name, **usual, "arguments": queue.arguments} for name, queue in QUEUES.items()
    ]


def test_the_definitions_bind_as_services_do():
    usual = {"vhost": "/", "destination_type": "queue", "arguments": {}}
    assert DEFINITIONS["bindings"] == [
        {"source": queue.exchange, "destination": name, "routing_key": queue.routing_key, **usual}
        for name, queue in reversed(QUEUES.items())
        if queue.exchange is not None
    ]


def test_the_definitions_have_nothing_else_and_no_secret():
    assert set(DEFINITIONS) == {"vhosts", "exchanges", "queues", "bindings"}
    assert DEFINITIONS["vhosts"] == [{"name": "/"}]


@pytest.mark.parametrize(
    ("person_id", "partition"),
    [
        ("01890a5d-ac96-774b-bcce-b302099a8057", 5),
        ("01890a5d-ac96-774b-bcce-b302099a8058", 4),
        ("00000000-0000-0000-0000-000000000000", 1),
    ],
)
def test_a_person_s_partition_never_changes(person_id, partition):
    # Another function would move people whose commands wait in the queues.
    assert partition_of(person_id, 8) == partition


@pytest.mark.parametrize("partitions", [1, 2, 7, 8, 64])
def test_people_spread_over_the_partitions(partitions):
    counts = Counter(partition_of(new_id(), partitions) for _ in range(500 * partitions))
    assert set(counts) == set(range(partitions))
    assert all(350 < count < 650 or partitions == 1 for count in counts.values())


def test_a_password_is_hashed_as_rabbitmq_documents():
    # The example of https://www.rabbitmq.com/docs/passwords#computing-password-hash.
    assert (
        password_hash("test12", bytes.fromhex("908DC60A"))
        == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
    )
    with pytest.raises(ValueError, match="four bytes"):
        password_hash("test12", b"")


def test_users_have_no_tag_and_no_readable_password():
    passwords = dict.fromkeys(RIGHTS, "hunter2")
    definitions = user_definitions(passwords)
    assert [(user["name"], user["tags"]) for user in definitions["users"]] == [(name, []) for name in RIGHTS]
    assert "hunter2" not in json.dumps(definitions)
    hashes = {
        user["password_hash"] for user in [*definitions["users"], *user_definitions(passwords)["users"]]
    }
    assert len(hashes) == 2 * len(RIGHTS)


def may(user: str, right: str, name: str) -> bool:
    return re.search(getattr(RIGHTS[user], right), name) is not None


RIGHT = ("configure", "write", "read")
OURS = (*(e.name for e in EXCHANGES), *QUEUES, "commands.255", "events.images.dead")
REPLIES = "amq.gen-JzTY20BRgKO"


@pytest.mark.parametrize("right", RIGHT)
def test_a_worker_may_do_all_that_concerns_us_and_nobody_anything_else(right):
    for name in OURS:
        assert may(WORKER_USER, right, name), name
        assert may(OPERATOR, right, name), name
    for user in RIGHTS:
        for name in (
            "other",
            "commander",
            "amq.topic",
            "amq.gen-",
            "my-workers",
            "xcommands.1",
            "events-2",
            " ",
        ):
            assert not may(user, right, name), (user, name)
    reaching_all = {user for user in RIGHTS if may(user, right, "amq.default")}
    assert reaching_all == ({WORKER_USER, OPERATOR} if right == "write" else set())


def rights_of(user: str) -> dict[str, set[str]]:
    names = (*OURS, REPLIES, "amq.default", "events.notify", "events.notify.dead", "events.images")
    return {right: {name for name in names if may(user, right, name)} for right in RIGHT}


def test_the_apis_may_do_what_they_are_for():
    assert rights_of(QUERY_USER) == {"configure": set(), "write": set(), "read": {"events.log"}}
    dead = {"commands.dead", "events.images.dead", "events.notify.dead"}
    assert rights_of(COMMAND_USER) == {
        "configure": {REPLIES, *dead},
        "write": {"commands", "events.again"},
        "read": {REPLIES, *dead},
    }


def test_a_subscriber_may_have_the_events_and_its_own_queues():
    own = {"events.notify", "events.notify.dead"}
    assert rights_of(SUBSCRIBER_USER) == {
        "configure": own,
        "write": own,
        "read": {*own, "events", "events.again", "events.log"},
    }
    rights = subscriber_rights("crm")
    for right in ("configure", "write", "read"):
        assert re.search(getattr(rights, right), "events.crm.dead")
        assert not re.search(getattr(rights, right), "events.notify")
