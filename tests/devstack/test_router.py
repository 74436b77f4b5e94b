"""The development router: what it routes, what it answers itself, and what it refuses."""

import socket
import struct
from collections.abc import Iterator
from typing import Any

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from devstack.router.connection import ROUTED
from devstack.router.wire import Frames, NotOurs, command_name, command_of, operation_of, renamed
from devstack.servers.cluster import ClusterPorts, ShardedCluster
from devstack.servers.ports import free_ports
from operations.errors import SetupError
from tests.system import run_script

HEADER = struct.Struct("<iiii")


def op_msg(command: dict[str, Any], *, flags: int = 0, tail: bytes = b"") -> bytes:
    body = struct.pack("<i", flags) + b"\0" + bson.encode(command) + tail
    return HEADER.pack(HEADER.size + len(body), 7, 0, 2013) + body


@given(st.sampled_from(sorted(ROUTED)), st.binary(max_size=50), st.booleans())
def test_a_renamed_command_is_the_same_under_another_name(name: bytes, sequence: bytes, check: bool) -> None:
    command = {name.decode(): "people", "$db": "rollcall", "text": "find\0insert"}
    message = op_msg(command, flags=int(check), tail=sequence + (b"crc!" if check else b""))
    new = renamed(message, name, ROUTED[name])
    assert HEADER.unpack_from(new) == (len(new), 7, 0, 2013)
    assert command_name(new) == ROUTED[name]
    assert list(command_of(new).values()) == list(command.values())
    assert new.endswith(sequence)
    assert new[HEADER.size : HEADER.size + 4] == b"\0\0\0\0"


@given(st.lists(st.integers(0, 300), max_size=5), st.integers(1, 40))
def test_messages_are_cut_from_a_stream_however_it_arrives(sizes: list[int], step: int) -> None:
    messages = [op_msg({"ping": "x" * size}) for size in sizes]
    stream, frames = b"".join(messages), Frames()
    found = []
    for at in range(0, len(stream), step):
        found += frames.feed(stream[at : at + step])
    assert found == messages


@pytest.mark.parametrize("length", [-1, 0, 15, 16, 48_000_001])
def test_what_has_the_length_of_no_message_is_refused(length: int) -> None:
    with pytest.raises(NotOurs):
        Frames().feed(HEADER.pack(length, 1, 0, 2013))


def test_a_message_that_begins_with_a_sequence_is_refused() -> None:
    message = bytearray(op_msg({"insert": "people"}))
    message[HEADER.size + 4] = 1
    with pytest.raises(NotOurs):
        operation_of(bytes(message))
    with pytest.raises(NotOurs):
        operation_of(HEADER.pack(16, 1, 0, 2012))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShardedCluster]:
    router, config, *shards = free_ports(4)
    made = ShardedCluster(
        tmp_path_factory.mktemp("routed"), ClusterPorts(router, [config], [[port] for port in shards])
    )
    try:
        made.start()
        done = run_script("initialise.py", ROLLCALL_MONGO_CLUSTER=str(made.description))
        assert done.returncode == 0, done.stderr
        yield made
    finally:
        made.stop()


@pytest.fixture
def client(cluster: ShardedCluster) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](cluster.uri, serverSelectionTimeoutMS=5000) as opened:
        yield opened


def test_cursors_pages_and_sums_see_every_shard(client: MongoClient[dict[str, Any]]) -> None:
    events = client.rollcall.events
    events.insert_many(
        [{"_id": n, "person_id": f"cursor-{n}", "version": 1, "command_id": n} for n in range(500)]
    )
    found = [event["_id"] for event in events.find(sort=[("_id", 1)], batch_size=20)]
    assert found == list(range(500))
    assert events.count_documents({}) == 500


@pytest.mark.parametrize(
    "command",
    [
        {"count": "people"},
        {"distinct": "people", "key": "email"},
        {"findAndModify": "people", "query": {}, "remove": True},
        {"createUser": "me", "pwd": "x", "roles": []},
        {"commitTransaction": 1},
        {"mapReduce": "people"},
    ],
)
def test_what_one_shard_would_answer_for_all_is_refused(client, command) -> None:
    with pytest.raises(OperationFailure, match="the development router has no"):
        client.rollcall.command(command)


def test_what_would_abort_a_member_is_refused(client) -> None:
    with pytest.raises(OperationFailure, match="transactions"):
        client.rollcall.command({"insert": "people", "documents": [{"_id": "x"}], "txnNumber": bson.Int64(1)})
    # The same word in a person's data is only a word.
    client.rollcall.people.insert_one({"_id": "x", "txnNumber": "a name"})
    client.rollcall.people.delete_one({"_id": "x"})


def test_a_write_that_names_no_person_is_refused_as_mongos_does(client) -> None:
    with pytest.raises(OperationFailure) as refusal:
        client.rollcall.claims.update_one({"person_id": "x"}, {"$set": {"version": 2}})
    assert refusal.value.code == 72


def test_an_administrative_command_without_its_arguments_is_answered(client) -> None:
    with pytest.raises(OperationFailure, match="shardCollection lacks"):
        client.admin.command({"shardCollection": "rollcall.people"})


def test_rubbish_closes_its_own_connection_only(cluster: ShardedCluster, client) -> None:
    for rubbish in (b"GET / HTTP/1.1\r\n\r\n" * 3, op_msg({"find": "x"})[:-1] + b"\xff", bytes(64)):
        with socket.create_connection(("127.0.0.1", cluster.router_port), timeout=5) as connection:
            connection.sendall(rubbish)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    assert client.rollcall.people.find_one({"_id": "nobody"}) is None


def test_a_dropped_database_is_gone_from_every_shard(cluster: ShardedCluster, client) -> None:
    done = run_script(
        "initialise.py", ROLLCALL_MONGO_CLUSTER=str(cluster.description), ROLLCALL_MONGO_DB="short"
    )
    assert done.returncode == 0, done.stderr
    client.short.people.insert_many([{"_id": str(n)} for n in range(50)])
    client.drop_database("short")
    for shard in cluster.shards:
        with MongoClient("127.0.0.1", shard.ports[0], directConnection=True) as direct:
            assert "short" not in direct.list_database_names()


def test_stored_data_is_not_started_under_other_addresses(cluster: ShardedCluster) -> None:
    directory = cluster.description.parent
    router, config, *shards = free_ports(4)
    with pytest.raises(SetupError, match="ROLLCALL_LOCAL_PORTS as it was"):
        ShardedCluster(directory, ClusterPorts(router, [config], [[port] for port in shards]))
    stored = cluster.config.ports[0]
    with pytest.raises(SetupError, match="--shards 2"):
        ShardedCluster(directory, ClusterPorts(router, [stored], [cluster.shards[0].ports]))


def test_a_cluster_that_was_stopped_is_as_it_was(cluster: ShardedCluster, client) -> None:
    client.rollcall.people.insert_many([{"_id": f"kept-{n}"} for n in range(20)])
    cluster.stop()
    cluster.start()
    assert client.rollcall.people.count_documents({"_id": {"$gte": "kept-"}}) == 20
