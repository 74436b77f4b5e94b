"""What is wrong with a setting is named by its variable and said in our words, without its value."""

import pytest

from service_kit.settings import load_settings


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("ROLLCALL_PHONE_REGION", "co", "must be two capital letters, CO say"),
        (
            "ROLLCALL_IMAGES_FOLDER",
            "a b",
            "must be names of letters (A-Z, a-z), digits, _ and -, with / between",
        ),
        ("ROLLCALL_PARTITIONS", "many", "must be a whole number"),
        ("ROLLCALL_PARTITIONS", "0", "must be 1 or more"),
        ("ROLLCALL_JWT_ALGORITHM", "none", "must be one of HS256, RS256, ES256, EdDSA"),
        ("ROLLCALL_RATE_ADDRESS", "many", "want requests/seconds"),
        ("ROLLCALL_AMQP_URL", "", "is missing"),
    ],
)
def test_a_setting_that_will_not_do_is_named(monkeypatch, variable, value, reason):
    monkeypatch.setenv("ROLLCALL_AMQP_URL", "amqp://a:b@127.0.0.1/")
    monkeypatch.setenv("ROLLCALL_JWKS_URL", "http://127.0.0.1/")
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        load_settings()
    assert str(ended.value).startswith(f"cannot start: {variable}: {reason}")
    assert not value or repr(value) not in str(ended.value)


def test_a_setting_that_one_process_needs_is_named(monkeypatch):
    monkeypatch.setenv("ROLLCALL_AMQP_URL", "amqp://a:b@127.0.0.1/")
    monkeypatch.setenv("ROLLCALL_JWKS_URL", "http://127.0.0.1/")
    monkeypatch.delenv("ROLLCALL_MONGO_URI", raising=False)
    monkeypatch.delenv("ROLLCALL_KEK_FILE", raising=False)
    with pytest.raises(SystemExit, match="cannot start: ROLLCALL_MONGO_URI, ROLLCALL_KEK_FILE: is missing"):
        load_settings("mongo_uri", "kek_file")
