"""The initialiser on a replica set whose members authenticate: users, rights, members, and what is missing."""

import json
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure
from users import KEY_GRANTS

from command_api.accounts.families import Family, RefreshToken
from command_api.accounts.services import open_account_services
from command_api.imports.drafting import Refused
from command_api.imports.record import ImportRequest
from command_api.imports.store import ImportStore
from devstack.servers.mongo import ReplicaSet
from devstack.servers.ports import free_ports
from events.accounts.event import Origin
from events.errors import StoreUnavailable
from events.log.event import GENESIS, hash_of
from events.log.stored import event_of
from operations.__main__ import main
from query_api.people.queries import Reads
from service_kit.ids import new_id
from service_kit.images import Picture, Source, image_name
from service_kit.images.gridfs import GridFsImages
from service_kit.images.gridfs_reader import GridFsReader
from service_kit.milestones import MILESTONE_EVERY
from service_kit.mongo import connection as mongo
from service_kit.seals.wrapping import LABELS
from service_kit.settings import Settings
from tests.store.given import (
    NOW,
    check_stream,
    claim_of,
    create,
    delete,
    document_of,
    long_stream,
    run,
    store_in,
    streams_of,
    update,
)
from tests.system import ROOT, run_script
from tests.transport import known_keys
from workers.imports.counts import ImportCounts
from workers.imports.expiry import ImportExpiry
from workers.outcomes import BEHIND, ParkedCommand
from workers.parking.parked import WaitingCommands, WaitingMessage

pytestmark = pytest.mark.usefixtures("patient")

NOT_AUTHORISED = 13
PICTURE = Picture(b"content", b"small", "jpg", 1, 1)
ORDER = ImportRequest(
    "0199b1f0-7b20-7a11-8c44-5e6f7a8b9c0d", "ada", "create", False, "text/csv", ",", ("id",)
)
SERVICES = ("rollcall-worker", "rollcall-query", "rollcall-command")


@dataclass
class Guarded:
    """Three members that know each other by a key file, and a fourth that is not described at first."""

    members: ReplicaSet
    key_file: Path
    description: Path
    passwords: dict[str, str]

    def describe(self, *indexes: int) -> None:
        hosts = [f"127.0.0.1:{self.members.ports[index]}" for index in indexes]
        self.description.write_text(json.dumps({"replica_sets": {"rollcall": {"members": hosts}}}))

    def initialise(self, **changes: str) -> list[str]:
        done = run_script("initialise.py", **self.environment(**changes))
        assert done.returncode == 0, done.stderr
        assert not any(password in done.stdout + done.stderr for password in self.passwords.values())
        return done.stdout.splitlines()

    def environment(self, **changes: str) -> dict[str, str]:
        return {
            "ROLLCALL_MONGO_CLUSTER": str(self.description),
            "ROLLCALL_MONGO_KEY_FILE": str(self.key_file),
            "ROLLCALL_MONGO_ADMIN_PASSWORD": self.passwords["admin"],
            "ROLLCALL_MONGO_WORKER_PASSWORD": self.passwords["rollcall-worker"],
            "ROLLCALL_MONGO_COMMAND_PASSWORD": self.passwords["rollcall-command"],
            "ROLLCALL_MONGO_QUERY_PASSWORD": self.passwords["rollcall-query"],
            **changes,
        }

    def uri(self, user: str) -> str:
        source = "admin" if user == "admin" else "rollcall"
        credentials = f"{user}:{self.passwords[user]}@"
        return self.members.uri.replace("//", f"//{credentials}").replace("/?", f"/{source}?")

    def client(self, user: str) -> MongoClient[dict[str, Any]]:
        return MongoClient(self.uri(user), serverSelectionTimeoutMS=5000)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    directory = tmp_path_factory.mktemp("guarded")
    key_file = directory / "members.key"
    key_file.write_text(secrets.token_hex(48))
    key_file.chmod(0o400)
    members = ReplicaSet(directory / "mongo", free_ports(4), arguments=["--keyFile", str(key_file)])
    passwords = {user: secrets.token_urlsafe(24) for user in ("admin", *SERVICES)}
    made = Guarded(members, key_file, directory / "cluster.json", passwords)
    made.describe(0, 1, 2)
    try:
        members.spawn()
        yield made
    finally:
        members.stop(5)


@pytest.fixture(scope="module")
def first_run(guarded: Guarded) -> list[str]:
    return guarded.initialise()


def test_members_become_a_set_with_collections_and_users(guarded: Guarded, first_run: list[str]) -> None:
    assert first_run[0] == "initiated replica set rollcall of 3 members"
    for line in ("created collection events", "created user admin", "created user rollcall-worker"):
        assert line in first_run
    assert guarded.initialise() == ["nothing changed"]
    with MongoClient[dict[str, Any]](guarded.members.uri) as stranger, pytest.raises(OperationFailure):
        stranger.rollcall.people.find_one()
    with guarded.client("admin") as admin:
        users = admin.admin.command({"usersInfo": {"forAllDBs": True}})["users"]
    assert {user["user"] for user in users} == {"admin", *SERVICES}
    assert all(user["mechanisms"] == ["SCRAM-SHA-256"] for user in users)


def test_a_member_that_stalls_holds_up_no_other(guarded: Guarded, first_run: list[str]) -> None:
    with guarded.client("admin") as client:

        def settings() -> dict[str, Any]:
            config = client.admin.command("replSetGetConfig")["config"]
            return {**config, "version": config["version"] + 1}

        assert settings()["settings"]["chainingAllowed"] is False
        old = settings()
        old["settings"]["chainingAllowed"] = True
        client.admin.command({"replSetReconfig": old})
        assert guarded.initialise() == ["let the members of replica set rollcall follow its primary alone"]
        assert settings()["settings"]["chainingAllowed"] is False


@pytest.mark.parametrize("user", SERVICES)
@pytest.mark.parametrize(
    "attempt",
    [
        lambda db: db.events.update_one({}, {"$set": {"data": {}}}),
        lambda db: db.events.delete_many({}),
        lambda db: db.events.drop(),
        lambda db: db.events.drop_indexes(),
        lambda db: db.events.rename("gone"),
        lambda db: db.command({"collMod": "events", "validator": {"version": 1}}),
        lambda db: db.rejections.delete_many({}),
        lambda db: db.other.insert_one({}),
        lambda db: db.command({"dropDatabase": 1}),
        lambda db: db.command({"createUser": "me", "pwd": "x" * 20, "roles": []}),
        lambda db: db.client.admin.command("replSetGetConfig"),
        lambda db: db.client.local["oplog.rs"].find_one(),
    ],
)
def test_no_service_can_change_the_past_or_more_than_its_own(guarded, first_run, user, attempt) -> None:
    with guarded.client(user) as client, pytest.raises(OperationFailure) as refusal:
        attempt(client.rollcall)
    assert refusal.value.code == NOT_AUTHORISED


@pytest.mark.parametrize(
    "collection",
    [
        *("events", "account_events", "schema_events", "people", "claims", "rejections", "parked", "imports"),
        "import_errors",
    ],
)
def test_the_query_api_s_user_only_reads(guarded, first_run, collection) -> None:
    with guarded.client("rollcall-query") as client:
        client.rollcall[collection].find_one()
        with pytest.raises(OperationFailure, match="not authorized"):
            client.rollcall[collection].insert_one({"person_id": "x"})


@pytest.mark.parametrize("collection", ["events", "people", "claims", "rejections", "parked", "attempts"])
@pytest.mark.parametrize(
    "attempt",
    [
        lambda collection: collection.find_one(),
        lambda collection: collection.insert_one({"person_id": "x", "version": 1, "command_id": "y"}),
        lambda collection: collection.update_one({}, {"$set": {"x": 1}}),
        lambda collection: collection.delete_one({}),
        lambda collection: next(collection.aggregate([{"$count": "all"}])),
    ],
)
def test_the_command_api_s_user_neither_reads_nor_writes_what_is_of_people(
    guarded, first_run, collection, attempt
) -> None:
    with guarded.client("rollcall-command") as client, pytest.raises(OperationFailure) as refusal:
        attempt(client.rollcall[collection])
    assert refusal.value.code == NOT_AUTHORISED


@pytest.mark.parametrize("user", ["rollcall-worker", "rollcall-command", "rollcall-query"])
def test_only_workers_may_put_a_schema_on_record_and_nobody_changes_one(guarded, first_run, user) -> None:
    def put(schemas):
        schemas.insert_one({"person_id": "schema:test", "version": 1})

    refused = [lambda schemas: schemas.update_one({}, {"$set": {"x": 1}}), lambda schemas: schemas.drop()]
    refused += [lambda schemas: schemas.delete_many({}), *([] if user == "rollcall-worker" else [put])]
    with guarded.client(user) as client:
        client.rollcall.schema_events.find_one()
        if put not in refused:
            put(client.rollcall.schema_events)
        for attempt in refused:
            with pytest.raises(OperationFailure, match="not authorized"):
                attempt(client.rollcall.schema_events)
    with guarded.client("admin") as client:
        client.rollcall.schema_events.delete_many({"person_id": "schema:test"})


@pytest.mark.parametrize("user", SERVICES)
def test_no_service_removes_a_key_and_each_has_the_rights_on_keys_that_are_stated(
    guarded, first_run, user
) -> None:
    attempts = {
        "find": lambda rows: rows.find_one(),
        "insert": lambda rows: rows.insert_one({"_id": f"{user}:{rows.name}"}),
        "update": lambda rows: rows.update_one({"_id": "nobody"}, {"$unset": {"key": ""}}),
        "remove": lambda rows: rows.delete_one({"_id": "nobody"}),
        "drop": lambda rows: rows.drop(),
        "rename": lambda rows: rows.rename("gone"),
    }
    granted = KEY_GRANTS[user]
    assert not {"remove", "drop", "rename"} & {action for actions in granted.values() for action in actions}
    with guarded.client(user) as client:
        for collection in (*LABELS, "others"):
            for action, attempt in attempts.items():
                if action in granted.get(collection, ()):
                    attempt(client.rollcall_keys[collection])
                else:
                    with pytest.raises(OperationFailure) as refusal:
                        attempt(client.rollcall_keys[collection])
                    assert refusal.value.code == NOT_AUTHORISED, (collection, action)
    with guarded.client("admin") as client:
        for collection in LABELS:
            client.rollcall_keys[collection].delete_many({"_id": {"$regex": "^rollcall-"}})


def test_the_command_api_reads_the_transport_keys_alone_and_the_page_says_the_same():
    assert KEY_GRANTS["rollcall-command"] == {"transport": ("find",), "access_keys": ("insert",)}
    page = (ROOT / "mongo-cluster" / "README.md").read_text(encoding="utf-8")
    for user, granted in KEY_GRANTS.items():
        (line,) = re.findall(rf"^\| `{user}` \| ((?:find|insert)[^|]*) \|$", page, re.MULTILINE)
        assert set(re.findall("`([a-z_]+)`", line)) == set(granted)
        assert ("update" in line) == any("update" in actions for actions in granted.values())


def test_the_command_api_s_user_drops_nothing_and_changes_no_event_of_accounts(guarded, first_run) -> None:
    with guarded.client("rollcall-command") as client:
        for attempt in (
            lambda: client.rollcall.account_events.update_one({}, {"$set": {"data": {}}}),
            lambda: client.rollcall.account_events.delete_many({}),
            lambda: next(client.rollcall.accounts.aggregate([{"$unionWith": "events"}])),
        ):
            with pytest.raises(OperationFailure, match="not authorized"):
                attempt()
        with pytest.raises(OperationFailure, match="not authorized"):
            client.rollcall.accounts.drop()
        with pytest.raises(OperationFailure, match="not authorized"):
            client.rollcall.imports.drop()


async def test_the_command_api_s_user_can_keep_accounts(guarded: Guarded, first_run: list[str]) -> None:
    uri, origin = guarded.uri("rollcall-command"), Origin("operator:test")
    settings = Settings(mongo_uri=uri, amqp_url="amqp://a:b@127.0.0.1/", jwks_url="http://x")
    client = mongo.connect(settings, "tests")
    services = open_account_services(client, "rollcall", lambda: datetime.now(UTC))
    try:
        await services.directory.create("ada", "violet tractor sings", ("viewer",), origin)
        invitation = await services.directory.invite(("viewer",), timedelta(days=1), origin)
        await services.directory.create_invited(invitation, "grace", "violet tractor sings", origin)
        account = await services.directory.set_roles("ada", ("editor",), origin)
        await services.throttle.failed(
            await services.throttle.enter("ada", origin), account, good=False, origin=origin
        )
        await services.directory.store.add_device(account, "0" * 64)
        await services.throttle.passed(await services.throttle.enter("ada", origin), "ada")
        token, now = RefreshToken("f" * 22, "0" * 64), services.directory.now
        family = Family(token.family_id, "ada", 1, b"k", token.digest, None, now, now, revoked=False)
        await services.throttle.store.insert(family)
        assert await services.throttle.store.exchange(family, family.exchanged(token, now))
        assert await services.throttle.store.revoke(family)
    finally:
        services.directory.hasher.close()
        await mongo.close(client)
    with guarded.client("rollcall-query") as client:
        found = client.rollcall.account_events.find({"person_id": "account:ada"}).sort("version")
        types = [event["type"] for event in found]
    assert types == ["account.created", "account.roles_set", "account.login_failed"]


async def test_events_of_accounts_of_before_are_carried_over_and_their_chains_go_on(
    guarded, first_run
) -> None:
    with guarded.client("admin") as admin:
        events, accounts = admin.rollcall.events, admin.rollcall.account_events
        people = list(events.find())
        uri, origin = guarded.uri("rollcall-command"), Origin("operator:test")
        client = mongo.connect(
            Settings(mongo_uri=uri, amqp_url="amqp://a:b@127.0.0.1/", jwks_url="http://x"), "tests"
        )
        services = open_account_services(client, "rollcall", lambda: datetime.now(UTC))
        try:
            await services.directory.create("lovelace", "violet tractor sings", ("viewer",), origin)
            await services.directory.set_roles("lovelace", ("editor",), origin)
            await services.directory.invite(("viewer",), timedelta(days=1), origin)
            # As an earlier version has left them; of one stream, the initialiser had moved a part.
            written = list(accounts.find())
            events.insert_many(written)
            moved = {"person_id": "account:lovelace", "version": {"$gt": 1}}
            accounts.delete_many({"$nor": [{"person_id": "account:lovelace", "version": 1}]})
            # A command API that is ahead of the initialiser appends nothing.
            admin.rollcall.command(
                {"updateRole": "rollcall-command", "privileges": _none_but_accounts(admin)}
            )
            with pytest.raises(StoreUnavailable, match="not be written yet"):
                await services.directory.set_roles("lovelace", ("admin",), origin)
            (line,) = [one for one in guarded.initialise() if one.startswith("carried")]
            streams = {event["person_id"] for event in written}
            assert line == (
                f"carried {len(written)} events of accounts, in {len(streams)} streams, over to account_events"
            )
            assert guarded.initialise() == ["nothing changed"]
            assert (list(events.find()), accounts.count_documents(moved)) == (people, 1)
            assert _by_place(accounts.find()) == _by_place(written)
            account = await services.directory.get("lovelace")
            assert account.pending == ()
        finally:
            services.directory.hasher.close()
            await mongo.close(client)
        stream = [
            event_of(_aware(one)) for one in accounts.find({"person_id": "account:lovelace"}).sort("version")
        ]
        assert [event.type for event in stream] == [
            "account.created",
            "account.roles_set",
            "account.roles_set",
        ]
        assert [event.prev for event in stream] == [GENESIS, *(event.hash for event in stream[:-1])]
        assert all(event.hash == hash_of(event) for event in stream)

        # What cannot be: both places go on. Nothing is moved then.
        events.insert_one({**written[0], "_id": "another"})
        try:
            done = run_script("initialise.py", **guarded.environment())
            assert (done.returncode, "is another event" in done.stderr) == (1, True)
            assert "Traceback" not in done.stderr
            assert events.count_documents({"_id": "another"}) == 1
        finally:
            events.delete_one({"_id": "another"})
        assert guarded.initialise() == ["changed the rights of role rollcall-command of rollcall"]


def _none_but_accounts(admin: Any) -> list[dict[str, Any]]:
    """Return the command user's rights as they are while events are carried over."""
    (role,) = admin.rollcall.command({"rolesInfo": "rollcall-command", "showPrivileges": True})["roles"]
    return [
        {**one, "actions": ["find", "listIndexes"]}
        if one["resource"]["collection"] == "account_events"
        else one
        for one in role["privileges"]
    ]


def _by_place(documents: Any) -> list[dict[str, Any]]:
    return sorted(documents, key=lambda one: (one["person_id"], one["version"]))


def _aware(document: dict[str, Any]) -> dict[str, Any]:
    return {
        **document,
        **{name: document[name].replace(tzinfo=UTC) for name in ("accepted_at", "applied_at")},
    }


def test_the_query_api_s_user_can_verify_the_log(guarded, first_run, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ROLLCALL_MONGO_URI", guarded.uri("rollcall-query"))
    monkeypatch.delenv("ROLLCALL_AMQP_URL", raising=False)
    assert main(["verify", "--jobs", "1"]) == 0
    assert "nothing was altered" in capsys.readouterr().err


async def test_imports_are_kept_by_one_user_and_counted_by_another(guarded, first_run) -> None:
    clients = [
        mongo.connect(
            Settings(mongo_uri=guarded.uri(user), amqp_url="amqp://a:b@127.0.0.1/", jwks_url="http://x"), "t"
        )
        for user in ("rollcall-command", "rollcall-worker", "rollcall-query")
    ]
    try:
        keeping, order = ImportStore(clients[0], "rollcall"), ORDER
        record = await keeping.begin(order, "a", NOW, {})
        await keeping.refuse(order.import_id, [Refused(1, [{"field": "row", "reason": "x"}])])
        record = await keeping.begin(order, "b", NOW, {})
        await keeping.keep(record, replace(record.progress, read=1), NOW, state="applying", whole=True)
        await ImportCounts(clients[1], "rollcall", lambda: NOW).count()
        found = await Reads(clients[2], "rollcall").find("imports", {"_id": order.import_id}, {}, strong=True)
        assert (found.documents[0]["state"], found.documents[0]["settled"]) == ("finished", True)
        expiry = ImportExpiry(clients[1], "rollcall", timedelta(1), lambda: NOW + timedelta(hours=2))
        assert await expiry.settle() == 1
    finally:
        for client in clients:
            await mongo.close(client)


async def test_each_service_s_user_can_do_its_work(guarded: Guarded, first_run: list[str]) -> None:
    clients = [
        mongo.connect(
            Settings(mongo_uri=guarded.uri(user), amqp_url="amqp://a:b@127.0.0.1/", jwks_url="http://x"), "t"
        )
        for user in SERVICES
    ]
    try:
        store, reads = store_in(clients[0], "rollcall"), Reads(clients[1], "rollcall")
        await store.check_indexes()
        await reads.check()
        first, gone = create(), create()
        await run(store, first, gone, update(first.person_id, 9, address="x"))
        await run(store, update(first.person_id, 1, address="y"), delete(gone.person_id))
        behind = update(first.person_id, address="z")
        parked = WaitingCommands(store._db["parked"], known_keys())
        await parked.park([WaitingMessage(ParkedCommand(behind, BEHIND), b"{}")], NOW)
        await parked.note_failure(first.person_id, behind.command_id, BEHIND, NOW)
        await parked.remove(first.person_id, [behind.command_id])
        await check_stream(store, first.person_id, 2)
        found = await reads.person_by_values(claim_of(first), document_of(first), strong=True)
        assert found.documents[0]["version"] == 2
        log = await long_stream(store, MILESTONE_EVERY)
        streams = streams_of(store)
        await streams.extend_milestones(log[0].person_id, MILESTONE_EVERY)
        kept = await reads.find("milestones", {"person_id": log[0].person_id}, {}, strong=True)
        assert [one["version"] for one in kept.documents] == [MILESTONE_EVERY]
        await streams.remove_milestones([log[0].person_id])
        image = Source(new_id(), first.person_id, new_id())
        await GridFsImages(clients[2], "rollcall").put(image, PICTURE)
        reader = GridFsReader(clients[1], "rollcall")
        assert (await reader.read(image.image_id, lambda length: (0, length))).content == PICTURE.content
        remover = GridFsImages(clients[0], "rollcall")
        assert [one async for one in remover.older_than(datetime.now(UTC) + timedelta(minutes=1))]
        assert await remover.delete(image_name(image.image_id))
    finally:
        for client in clients:
            await mongo.close(client)


def test_a_new_password_and_lost_rights_are_put_right(guarded: Guarded, first_run: list[str]) -> None:
    with guarded.client("admin") as admin:
        admin.rollcall.command({"updateRole": "rollcall-worker", "privileges": []})
        admin.rollcall.command({"updateUser": "rollcall-query", "roles": ["readWrite"]})
        admin.rollcall_keys.command({"updateRole": "rollcall-query", "privileges": []})
    guarded.passwords["rollcall-query"] = secrets.token_urlsafe(24)
    assert guarded.initialise() == [
        "changed the rights of role rollcall-worker of rollcall",
        "changed the rights of role rollcall-query of rollcall_keys",
        "changed the roles of user rollcall-query",
        "changed the password of user rollcall-query",
    ]
    with guarded.client("rollcall-query") as client:
        client.rollcall.people.find_one()
    assert guarded.initialise() == ["nothing changed"]


def test_an_index_that_is_not_as_described_is_named(guarded: Guarded, first_run: list[str]) -> None:
    with guarded.client("admin") as admin:
        people = admin.rollcall.people
        people.drop_index("email_1")
        people.create_index("email", unique=True)
        try:
            done = run_script("initialise.py", **guarded.environment())
        finally:
            people.drop_index("email_1")
    assert done.returncode == 1
    assert "index email_1 on people is there, but not as described" in done.stderr
    assert guarded.initialise() == ["created index email_1 on people"]


def test_members_are_added_and_removed_as_described(guarded: Guarded, first_run: list[str]) -> None:
    ports = guarded.members.ports
    guarded.describe(0, 1, 3)
    assert guarded.initialise() == [
        f"added 127.0.0.1:{ports[3]} to replica set rollcall",
        f"removed 127.0.0.1:{ports[2]} from replica set rollcall",
    ]
    assert guarded.initialise() == ["nothing changed"]
    with guarded.client("admin") as admin:
        hosts = [m["host"] for m in admin.admin.command("replSetGetConfig")["config"]["members"]]
    assert hosts == [f"127.0.0.1:{ports[index]}" for index in (0, 1, 3)]


def test_a_member_that_does_not_answer_is_named_in_time(guarded: Guarded, first_run: list[str]) -> None:
    (nobody,) = free_ports(1)
    content = json.loads(guarded.description.read_text())
    content["replica_sets"]["rollcall"]["members"].append(f"127.0.0.1:{nobody}")
    guarded.description.with_name("more.json").write_text(json.dumps(content))
    began = time.monotonic()
    done = run_script(
        "initialise.py",
        **guarded.environment(
            ROLLCALL_MONGO_CLUSTER=str(guarded.description.with_name("more.json")), ROLLCALL_MONGO_WAIT="3"
        ),
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"could not initialise MongoDB: no answer from 127.0.0.1:{nobody}\n"
    assert 3 <= time.monotonic() - began < 10


def test_a_wrong_key_is_no_key(guarded: Guarded, first_run: list[str], tmp_path: Path) -> None:
    other = tmp_path / "other.key"
    other.write_text(secrets.token_hex(48))
    done = run_script(
        "initialise.py", **guarded.environment(ROLLCALL_MONGO_KEY_FILE=str(other), ROLLCALL_MONGO_WAIT="1")
    )
    assert done.returncode == 1
    assert "Authentication failed" in done.stderr


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "Expecting value"),
        ("{}", "replica_sets"),
        ('{"replica_sets": {"a": {"role": "shard", "members": ["h:1"]}}}', "describe one replica set"),
        ('{"replica_sets": {"a": {"members": ["h:1"]}}, "routers": ["r:1"]}', "describe one replica set"),
    ],
)
def test_a_description_of_nothing_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    description = tmp_path / "cluster.json"
    description.write_text(content)
    done = run_script("initialise.py", ROLLCALL_MONGO_CLUSTER=str(description))
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("script", ["initialise.py", "spread.py"])
def test_without_settings_a_script_says_what_it_wants(script: str) -> None:
    done = run_script(script)
    assert (done.returncode, done.stdout) == (1, "")
    assert "set ROLLCALL_MONGO_URI" in done.stderr
    assert len(done.stderr.splitlines()) == 1
