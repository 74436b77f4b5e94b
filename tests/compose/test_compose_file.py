import configparser
import json
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
import yaml

from operations.env import variables as written_variables
from service_kit.auth.roles_file import parse_roles
from service_kit.broker.users import COMMAND_USER, QUERY_USER, WORKER_USER, user_definitions
from service_kit.version import VERSION
from tests.compose.composefile import PATH, ROOT, ComposeFile, Missing, interpolate, read, size, variables
from tests.compose.test_env import SETTINGS

WRITTEN = written_variables()
FILE = ComposeFile.load(WRITTEN)
NAMES = sorted(FILE.services)
SIGNING_KEYS = ("ROLLCALL_SIGNING_KEY", "ROLLCALL_SIGNING_KEY_NEXT")
# The directories that the images declare to be volumes: one that we leave out gets a nameless one.
KEPT = {"mongo": {"/data/db", "/data/configdb"}, "rabbitmq": {"/var/lib/rabbitmq"}}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def validate(path):
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_is_what_the_specification_describes():
    done = validate(PATH)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_specification_would_find_a_slip(tmp_path):
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(PATH.read_text().replace("mem_limit:", "memlimit:"))
    assert "memlimit" in validate(broken).stdout


def test_everything_that_was_ordered_is_there():
    def count(pattern):
        return sum(bool(re.fullmatch(pattern, name)) for name in NAMES)

    assert (count(r"mongo-config-\d"), count(r"mongo-shard-1-\d"), count(r"mongo-shard-2-\d")) == (3, 3, 3)
    assert (count(r"mongos-\d"), count(r"rabbitmq-\d")) == (2, 3)
    assert (count(r"command-api-\d"), count(r"query-api-\d"), count(r"worker-\d")) == (2, 2, 2)
    assert {"initialise", "proxy"} < set(NAMES) and len(NAMES) == 22


def test_only_the_proxy_is_reachable_from_outside():
    assert [name for name in NAMES if "ports" in FILE.services[name]] == ["proxy"]
    assert FILE.services["proxy"]["ports"] == ["127.0.0.1:8080:8080"], "and from this machine alone"
    assert FILE.content["networks"]["inside"] == {"internal": True}
    for name in NAMES:
        wanted = ["inside", "outside"] if name == "proxy" else ["inside"]
        assert FILE.services[name]["networks"] == wanted, name


@pytest.mark.parametrize("name", NAMES)
def test_a_service_is_limited_watched_and_started_again(name):
    service = FILE.services[name]
    assert size(service["mem_limit"]) <= 2 * 2**30
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert service["security_opt"] == ["no-new-privileges:true"]
    if name == "initialise":
        assert (service["restart"], service["healthcheck"]) == ("on-failure", {"disable": True})
    else:
        assert service["restart"] == "unless-stopped"
        in_image = service["image"].startswith("rollcall:") and "\nHEALTHCHECK " in DOCKERFILE
        assert "test" in service.get("healthcheck", {}) or in_image


@pytest.mark.parametrize("name", NAMES)
def test_no_service_leaves_its_memory_in_a_core_dump(name):
    assert FILE.services[name]["ulimits"]["core"] == 0


@pytest.mark.parametrize("name", [*FILE.running("mongod"), *FILE.running("mongos")])
def test_mongodb_logs_no_values_of_slow_operations(name):
    command = FILE.services[name]["command"]
    assert command[command.index("--slowms") + 1] == str(2**31 - 1)
    assert name.startswith("mongos") or command[command.index("--profile") + 1] == "0"
    assert name.startswith("mongos") or "createRollbackDataFiles=false" in command


@pytest.mark.parametrize("name", FILE.running("mongod"))
def test_a_mongod_cache_leaves_room(name):
    command = FILE.services[name]["command"]
    cache = float(command[command.index("--wiredTigerCacheSizeGB") + 1]) * 2**30
    assert cache <= size(FILE.services[name]["mem_limit"]) / 2


def test_the_broker_is_told_how_much_memory_it_has():
    told = settings("rabbitmq/cluster.conf")["total_memory_available_override_value"]
    limits = {size(one["mem_limit"]) for one in FILE.image("rabbitmq").values()}
    assert limits == {int(told.removesuffix("GB")) * 2**30}


def test_all_data_is_on_volumes_with_names_one_for_each_container():
    used = []
    workers = [name for name, one in FILE.services.items() if one.get("command", [])[-1:] == ["workers"]]
    for name, service in FILE.services.items():
        volumes = dict(volume.split(":") for volume in service.get("volumes", []))
        used += volumes
        covered = {*volumes.values(), *service.get("tmpfs", [])}
        assert KEPT.get(service["image"].partition(":")[0], set()) <= covered, name
        # The journal is one, with a file for each worker: who replays it, or begins, reads all of it.
        allowed = "erasures" if name in workers else name
        assert all(volume == allowed for volume in volumes)
    assert sorted(set(used)) == sorted(FILE.content["volumes"])
    assert sorted(used) == sorted(
        [
            *FILE.running("mongod"),
            *FILE.image("rabbitmq"),
            "command-api-1",
            "command-api-2",
            *("erasures" for _ in workers),
        ]
    )


def test_run_env_writes_every_variable_that_is_used_and_no_other():
    assert variables(read()) == set(WRITTEN)


@pytest.mark.parametrize("name", sorted(set(WRITTEN) - set(SETTINGS)))
def test_no_secret_has_a_default(name):
    fewer = {key: value for key, value in WRITTEN.items() if key != name}
    if name in {
        "ROLLCALL_MONGO_KEY",
        "ROLLCALL_ERLANG_COOKIE",
        "ROLLCALL_IMAGES_KEY",
        "ROLLCALL_TICKETS_KEY",
        "ROLLCALL_KEK",
        *SIGNING_KEYS,
    }:
        assert {"environment": name} in read()["secrets"].values()
    else:
        with pytest.raises(Missing, match="run ./run env first"):
            ComposeFile.load(fewer)


def test_no_secret_is_in_the_file():
    for name, service in read()["services"].items():
        for key, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|COOKIE", key):
                assert re.fullmatch(r"\$\{\w+:\?run \./run env first\}", value), (name, key)
            if "@" in value:
                assert re.match(r"\w+://[\w-]+:\$\{\w+:\?run \./run env first\}@", value), (name, key)


def test_images_are_of_a_named_version():
    images = {service["image"] for service in FILE.services.values()}
    stages = re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.M)
    for image in [*images, *stages]:
        assert re.fullmatch(r"[a-z]+:\d[\w.-]*", image), image
    assert f"rollcall:{VERSION}" in images


def test_the_cluster_is_described_as_it_is_started():
    described = json.loads(FILE.files("initialise")["/etc/rollcall/cluster.json"])
    for name, replica_set in described["replica_sets"].items():
        started = {
            f"{service}:27017"
            for service, one in FILE.running("mongod").items()
            if one["command"][one["command"].index("--replSet") + 1] == name
        }
        assert set(replica_set["members"]) == started
        flag = {"config": "--configsvr", "shard": "--shardsvr"}[replica_set["role"]]
        assert all(flag in FILE.services[member.split(":")[0]]["command"] for member in started)
    assert set(described["routers"]) == {f"{name}:27017" for name in FILE.running("mongos")}
    config = "config/" + ",".join(described["replica_sets"]["config"]["members"])
    assert all(config in one["command"] for one in FILE.running("mongos").values())


def settings(path):
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.read_string("[it]\n" + (ROOT / path).read_text())
    return dict(parser["it"])


def test_the_brokers_find_each_other_by_the_names_they_have():
    nodes = {v for k, v in settings("rabbitmq/cluster.conf").items() if ".classic_config.nodes." in k}
    hosts = {name: one["hostname"] for name, one in FILE.image("rabbitmq").items()}
    assert all(name == host for name, host in hosts.items())
    assert nodes == {f"rabbit@{name}" for name in hosts}


def test_each_service_has_a_user_of_the_broker_with_the_rights_that_it_needs_and_no_more():
    loaded = json.loads(FILE.files("rabbitmq-1")["/etc/rabbitmq/users.json"])
    names = {"command": COMMAND_USER, "query": QUERY_USER, "worker": WORKER_USER}
    wanted = user_definitions(dict.fromkeys(names.values(), "any"))
    hashes = {names[s]: WRITTEN[f"ROLLCALL_RABBITMQ_{s.upper()}_PASSWORD_HASH"] for s in names}
    assert loaded["users"] == [{**one, "password_hash": hashes[one["name"]]} for one in wanted["users"]]
    assert {**loaded, "users": []} == {**wanted, "users": []}
    for name, service in FILE.services.items():
        url = service.get("environment", {}).get("ROLLCALL_AMQP_URL")
        kind = name.split("-")[0]
        if kind not in names:
            assert url is None
            continue
        password = WRITTEN[f"ROLLCALL_RABBITMQ_{kind.upper()}_PASSWORD"]
        assert url.startswith(f"amqp://{names[kind]}:{password}@rabbitmq-1:5672,")


def test_the_proxy_balances_over_every_api():
    text = FILE.files("proxy")["/etc/caddy/Caddyfile"]
    upstreams = set(re.findall(r"[\w-]+-api-\d:\d+", text))
    commands = {f"{name}:8011" for name in NAMES if name.startswith("command-api-")}
    queries = {f"{name}:8012" for name in NAMES if name.startswith("query-api-")}
    assert upstreams == commands | queries


def test_nothing_starts_before_what_it_needs():
    needs = {name: one.get("depends_on", {}) for name, one in FILE.services.items()}
    order = list(TopologicalSorter({name: set(of) for name, of in needs.items()}).static_order())
    assert len(order) == len(NAMES)
    members = set(FILE.running("mongod"))
    healthy = {name for name, how in needs["initialise"].items() if how["condition"] == "service_healthy"}
    assert healthy == members
    for name in ("worker-1", "query-api-1"):
        assert needs[name]["initialise"] == {"condition": "service_completed_successfully"}
        assert needs[name]["mongos-1"] == needs[name]["mongos-2"] == {"condition": "service_healthy"}
    for name in ("worker-1", "command-api-1"):
        assert all(needs[name][node] == {"condition": "service_healthy"} for node in FILE.image("rabbitmq"))
    # After a full stop no broker becomes ready without a second one: none may wait for another.
    assert not any("depends_on" in one for one in FILE.image("rabbitmq").values())


def test_secrets_are_their_users_alone():
    uid = {"mongo": "999", "rabbitmq": "999", "rollcall": re.search(r"^USER (\d+):\d+$", DOCKERFILE, re.M)[1]}
    for name, service in FILE.services.items():
        for use in service.get("secrets", []):
            assert (use["uid"], use["mode"]) == (uid[service["image"].partition(":")[0]], 0o400), name
            # Compose copies it in, which a read-only file system refuses.
            assert not service.get("read_only"), name


def test_every_service_has_the_same_key_encryption_keys():
    for name, service in FILE.image("rollcall").items():
        path = service["environment"].get("ROLLCALL_KEK_FILE")
        assert (path is None) == (name == "initialise"), name
        assert path is None or FILE.files(name)[path] == WRITTEN["ROLLCALL_KEK"]


def test_a_worker_s_metrics_are_reachable_on_the_network_inside():
    for name in ("worker-1", "worker-2"):
        assert FILE.services[name]["environment"]["ROLLCALL_HOST"] == "0.0.0.0"


def test_a_domain_s_file_changes_the_proxy_alone_and_keeps_its_inner_address():
    path = PATH.with_name("docker-compose.domain.yml")
    done = validate(path)
    assert done.returncode == 0, done.stdout + done.stderr
    more = interpolate(
        yaml.safe_load(path.read_text(encoding="utf-8")), {"ROLLCALL_DOMAIN": "people.example"}
    )
    assert set(more["services"]) == {"proxy"}
    assert more["services"]["proxy"]["environment"]["ROLLCALL_SITES"] == "people.example, http://:8080"
    (volume,) = more["services"]["proxy"]["volumes"]
    name, _, where = volume.partition(":")
    assert (name in more["volumes"], where) == (
        True,
        more["services"]["proxy"]["environment"]["XDG_DATA_HOME"],
    )
    inner = FILE.services["query-api-1"]["environment"]["ROLLCALL_JWKS_URL"]
    assert inner.startswith("http://proxy:8080/")
    assert "http://127.0.0.1:8080/readyz" in FILE.services["proxy"]["healthcheck"]["test"]


def test_both_apis_have_the_roles_of_the_file_that_is_named_or_of_one_that_adds_none(tmp_path):
    path = tmp_path / "roles.json"
    path.write_text('{"clerk": ["payroll:read"]}')
    for file, added in ((FILE, {}), (ComposeFile.load({**WRITTEN, "ROLLCALL_ROLES": str(path)}), None)):
        for name in (name for name in NAMES if "-api-" in name):
            content = file.files(name)[file.services[name]["environment"]["ROLLCALL_ROLES"]]
            assert parse_roles(content) == ({"clerk": ("payroll:read",)} if added is None else added)


def test_images_can_be_at_cloudinary_by_one_more_file():
    path = PATH.with_name("docker-compose.cloudinary.yml")
    done = validate(path)
    assert done.returncode == 0, done.stdout + done.stderr
    more = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    assert set(more) == {name for name in NAMES if name.startswith(("command-api-", "worker-"))}
    for service in more.values():
        assert set(service["networks"]) <= set(FILE.content["networks"])
        assert service["environment"] == {
            "CLOUDINARY_URL": "${CLOUDINARY_URL:?as Cloudinary's console shows it}"
        }
