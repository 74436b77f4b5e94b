import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from devstack.servers.mongo import ReplicaSet
from devstack.servers.mongo_users import LocalUsers
from devstack.servers.ports import free_ports
from devstack.servers.rabbit import RabbitNode, greets
from operations.errors import SetupError
from tests.system import run_script


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ReplicaSet, RabbitNode]]:
    directory = tmp_path_factory.mktemp("local servers")
    first, second, third, amqp, dist, epmd = free_ports(6)
    mongo = ReplicaSet(directory / "mongo", [first, second, third])
    rabbit = RabbitNode(directory / "rabbit", amqp_port=amqp, dist_port=dist, epmd_port=epmd)
    try:
        mongo.spawn()
        rabbit.spawn()
        mongo.wait_ready()
        rabbit.wait_ready()
        yield mongo, rabbit
    finally:
        rabbit.stop()
        mongo.stop()
    assert not any(child.running for child in [*mongo.members, *rabbit.children])


def test_a_set_fails_over_and_takes_a_member_back(
    servers: tuple[ReplicaSet, RabbitNode],
) -> None:
    mongo, _ = servers
    assert mongo.primary() == 0
    with MongoClient[dict[str, Any]](mongo.uri, w="majority") as client:
        client.test.kept.insert_one({"_id": 1})
        mongo.kill(0)
        assert client.test.kept.find_one() == {"_id": 1}
        assert mongo.primary() != 0
        mongo.start_member(0)
        mongo.wait_ready()
        assert client.test.kept.find_one() == {"_id": 1}


def test_a_killed_broker_comes_back_with_its_credentials(
    servers: tuple[ReplicaSet, RabbitNode],
) -> None:
    _, rabbit = servers
    url = rabbit.url
    rabbit.kill()
    assert not greets(rabbit.amqp_port)
    rabbit.start()
    assert rabbit.url == url
    assert "rollcall" in rabbit.ctl("list_users", "--silent")


def test_the_brokers_secrets_are_their_owners_alone(
    servers: tuple[ReplicaSet, RabbitNode],
) -> None:
    directory = servers[1].directory
    for name in ("password", "rabbitmq.conf", "home/.erlang.cookie"):
        assert not stat.S_IMODE((directory / name).stat().st_mode) & 0o077, name


def test_the_broker_has_what_the_project_configures(
    servers: tuple[ReplicaSet, RabbitNode],
) -> None:
    _, rabbit = servers
    assert rabbit.ctl("eval", "application:get_env(rabbit, heartbeat).").strip() == "{ok,20}"
    assert "pause_minority" in rabbit.ctl("eval", "application:get_env(rabbit, cluster_partition_handling).")


def test_rabbitmqctl_that_fails_says_why(servers: tuple[ReplicaSet, RabbitNode]) -> None:
    with pytest.raises(SetupError, match="rabbitmqctl no_such_thing"):
        servers[1].ctl("no_such_thing")


def test_data_moves_with_the_set_to_other_ports(tmp_path: Path) -> None:
    for _ in range(2):
        mongo = ReplicaSet(tmp_path, free_ports(1))
        try:
            mongo.start()
            with MongoClient[dict[str, Any]](mongo.uri) as client:
                client.test.kept.insert_one({})
                count = client.test.kept.count_documents({})
        finally:
            mongo.stop()
    assert count == 2


def test_a_set_of_before_lets_only_users_in_once_it_has_a_key(tmp_path: Path) -> None:
    ports = free_ports(1)
    before = ReplicaSet(tmp_path / "mongo", ports)
    users = LocalUsers(tmp_path / "secrets", "rollcall")
    after = ReplicaSet(tmp_path / "mongo", ports, key_file=users.key_file)
    try:
        before.start()
        with MongoClient[dict[str, Any]](before.uri, w="majority") as client:
            client.rollcall.people.insert_one({"_id": 1})
        before.stop()
        after.start()
        with MongoClient[dict[str, Any]](after.uri) as stranger, pytest.raises(OperationFailure):
            stranger.rollcall.people.find_one()
        done = run_script("initialise.py", ROLLCALL_MONGO_URI=after.uri, **users.initialiser())
        assert "created user rollcall-query" in done.stdout, done.stderr
        with MongoClient[dict[str, Any]](users.uri_of("rollcall-query", after.uri)) as client:
            assert client.rollcall.people.find_one() == {"_id": 1}
            with pytest.raises(OperationFailure):
                client.rollcall.people.insert_one({"_id": 2})
    finally:
        before.stop()
        after.stop()
