"""The broker's address: one URL a node, and nothing of it in an error."""

from urllib.parse import urlsplit

import pytest
from pydantic import ValidationError

from service_kit.broker.addresses import broker_urls
from service_kit.settings import Settings


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("amqp://u:p@h", ["amqp://u:p@h"]),
        ("amqp://h:5673", ["amqp://h:5673"]),
        (
            "amqp://u:p@h1:5672,h2:5673,h3/v",
            ["amqp://u:p@h1:5672/v", "amqp://u:p@h2:5673/v", "amqp://u:p@h3/v"],
        ),
        ("amqps://u:p@h1,h2/", ["amqps://u:p@h1/", "amqps://u:p@h2/"]),
        ("amqp://[::1]:5672,[fe80::2]/", ["amqp://[::1]:5672/", "amqp://[fe80::2]/"]),
        (
            "amqp://u:p%2F%40%2C@h1,h2/%2Fprod",
            ["amqp://u:p%2F%40%2C@h1/%2Fprod", "amqp://u:p%2F%40%2C@h2/%2Fprod"],
        ),
        ("amqp://u:a,b@h1,h2", ["amqp://u:a,b@h1", "amqp://u:a,b@h2"]),
        ("amqp://h1,h2/v?heartbeat=5", ["amqp://h1/v?heartbeat=5", "amqp://h2/v?heartbeat=5"]),
        ("amqp://h1,h2?heartbeat=5", ["amqp://h1?heartbeat=5", "amqp://h2?heartbeat=5"]),
        (" amqp://h\n", ["amqp://h"]),
    ],
)
def test_an_address_is_read_as_one_url_for_each_node(text, nodes):
    assert broker_urls(text) == nodes
    assert all(urlsplit(node).hostname for node in nodes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "http://u:secret@h",
        "amqp://",
        "amqp://u:secret@",
        "amqp://u:secret@h1,,h2",
        "amqp://u:secret@h1,",
        "amqp://u:secret@h1:port",
        "amqp://u:secret@h1:0",
        "amqp://u:secret@h1:65536,h2",
        "amqp://u:secret@[::1,h2",
        "amqp://u:se/secret@h",
        "amqp://u:secret@h#secret",
    ],
)
def test_another_form_is_refused_without_a_word_of_it(text):
    with pytest.raises(ValueError, match="address of a broker") as refused:
        broker_urls(text)
    assert "secret" not in str(refused.value)


def settings(amqp_url: str) -> Settings:
    return Settings(mongo_uri="mongodb://h", amqp_url=amqp_url)


@pytest.mark.parametrize(
    "text",
    ["amqp://127.0.0.1", "amqp://guest:guest@localhost,[::1]:5673", "amqp://u:p@h1,h2", "amqp://guest:p@h1"],
)
def test_the_settings_take_an_address(text):
    assert settings(text).amqp_url.get_secret_value() == text


@pytest.mark.parametrize(
    "text", ["amqp://h1", "amqp://guest:guest@127.0.0.1,h2", "amqp://localhost,h2,localhost"]
)
def test_the_default_user_is_refused_if_any_node_is_elsewhere(text):
    with pytest.raises(ValidationError, match="RabbitMQ's default user"):
        settings(text)


def test_the_settings_refuse_a_malformed_address_without_its_password():
    with pytest.raises(ValidationError) as refused:
        settings("amqp://u:hunter2@h1:port,h2")
    (error,) = refused.value.errors(include_input=False, include_url=False)
    assert "ROLLCALL_AMQP_URL" in error["msg"]
    assert "hunter2" not in error["msg"]


@pytest.mark.parametrize(
    "text", ["", "h", "postgres://h", "mongodb://u:hunter2@h:port", "mongodb://u:hunter2/@h", "mongodb://"]
)
def test_the_settings_refuse_what_is_no_address_of_mongodb_without_its_password(text):
    with pytest.raises(ValidationError) as refused:
        Settings(mongo_uri=text, amqp_url="amqp://127.0.0.1")
    (error,) = refused.value.errors(include_input=False, include_url=False)
    assert "ROLLCALL_MONGO_URI" in error["msg"]
    assert "hunter2" not in error["msg"]
