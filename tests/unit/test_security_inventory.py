"""What the page about keys, data, connections and logs lists is all that there is."""

import re
from pathlib import Path

import yaml

from command_api.accounts.hashing import PARAMETERS
from events.accounts.event import ACCOUNT_EVENT_TYPES
from operations.env import variables
from service_kit.mongo.collections import load_collections
from service_kit.settings import Settings
from tests.compose.composefile import ComposeFile
from tests.compose.test_env import SETTINGS as NO_SECRETS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations" / "security.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
FILES = {"jwt_key_file", "signing_keys", "images_key_file", "tickets_key_file", "kek_file"}
"""The settings that name files of keys. The first one is another issuer's, or for development."""


def named(section: str) -> list[str]:
    """Return what a section has as code."""
    return re.findall(r"`([^`]+)`", SECTIONS[section])


def test_every_secret_is_listed():
    secrets = set(variables()) - set(NO_SECRETS)
    assert secrets <= set(named("Keys and secrets"))
    listed = {name for name in named("Keys and secrets") if name.startswith("ROLLCALL_")}
    assert listed == secrets, "one that is not there any more"
    files = {
        name for name in Settings.model_fields if name.endswith(("_key_file", "kek_file", "signing_keys"))
    }
    assert files == FILES
    addresses = {
        name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
    }
    assert addresses == {"mongo_uri", "amqp_url", "cloudinary_url"}
    assert f"{PARAMETERS.memory_cost // 1024} MiB, {PARAMETERS.time_cost} passes" in PAGE


def test_every_collection_is_of_one_class_which_has_its_rules():
    table, _, rules = SECTIONS["Data"].strip().split("\n\n")
    assert rules.startswith("| | secret | personal | internal |\n")
    for what in (
        "read by",
        "in a log",
        "in a browser's cache",
        "kept",
        "proved unaltered",
        "encrypted",
        "sent",
    ):
        assert f"\n| {what}" in rules, what
    classes = [line for line in table.splitlines() if re.match(r"\| (secret|personal|internal) ", line)]
    assert len(classes) == 3
    listed = [name for line in classes for name in re.findall(r"`([a-z_.]+)`", line)]
    collections = {collection.name for collection in load_collections()}
    assert {name for name in listed if listed.count(name) > 1} == set()
    assert collections == set(listed) - {".env", "events.log"}


def test_every_port_that_is_spoken_to_is_listed():
    file = ComposeFile.load(variables())
    addresses = "\n".join(
        f"{service.get('command', '')} {service.get('environment', '')}" for service in file.services.values()
    )
    addresses += "".join((ROOT / name).read_text() for name in ("proxy/Caddyfile", "service_kit/settings.py"))
    ports = set(re.findall(r"(?:\w:|port\D{0,9}|default=)(\d{4,5})\b", addresses))
    assert {"27017", "5672", "8011", "8012", "8013", "8080"} <= ports
    for port in ports:
        assert re.search(rf"\b{port}\b", SECTIONS["Connections"]), port
    assert set(yaml.safe_load((ROOT / "docker-compose.yml").read_text())["networks"]) == {"inside", "outside"}


def test_every_event_of_accounts_and_the_size_of_logs_are_listed():
    assert set(ACCOUNT_EVENT_TYPES) == {name for name in named("Logs") if name.startswith("account.")}
    options = ComposeFile.load(variables()).services["worker-1"]["logging"]["options"]
    size = int(options["max-size"].removesuffix("m")) * int(options["max-file"])
    assert f"{size} MB a container" in SECTIONS["Logs"]
