"""Where the servers, keys and files are that a verb works on, from `ROLLCALL_…` settings alone.

`./run` sets what belongs to the system that runs on this machine; in a container the settings are there.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from events.errors import StoreUnavailable
from events.person.claims import ClaimNames
from events.person.schema.declarations import PersonSchema
from operations.errors import SetupError
from service_kit.auth.roles import Roles
from service_kit.auth.roles_file import load_roles
from service_kit.mongo.addresses import WANTED, is_connection_string
from service_kit.mongo.claim_secrets import read_claim_names
from service_kit.mongo.schema_record import open_record
from service_kit.person_schema import load_person_schema
from service_kit.schema_in_force import schema_of_file
from service_kit.seals.kek_source import keks_of
from service_kit.settings import Settings, setting_faults

_LOOPBACK: Final = "127.0.0.1"
_ANYWHERE = {"0.0.0.0": _LOOPBACK, "::": "::1", "": _LOOPBACK}  # noqa: S104 - recognised, not used
_NO_BROKER = SecretStr("amqp://unused:unused@unused")


@dataclass(frozen=True)
class DatabaseAddress:
    """Where the log, the read model and the accounts are.

    Attributes:
        uri: The connection string; it may hold a password.
        database: The database's name.
    """

    uri: str = field(repr=False)
    database: str


@dataclass(frozen=True)
class ServicePorts:
    """Where the services listen.

    Attributes:
        host: The address they listen on.
        command: The command API's port.
        query: The query API's port.
        worker: The first worker's port for health and metrics; the others follow.
    """

    host: str
    command: int
    query: int
    worker: int

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> ServicePorts:
        """From `ROLLCALL_HOST` and `ROLLCALL_…_PORT`, or 8011, 8012 and 8013 on loopback.

        Raises:
            SetupError: One is not a number of a port.
        """
        return cls(
            environ.get("ROLLCALL_HOST") or _LOOPBACK,
            number(environ, "ROLLCALL_COMMAND_PORT", 8011),
            number(environ, "ROLLCALL_QUERY_PORT", 8012),
            number(environ, "ROLLCALL_WORKER_PORT", 8013),
        )

    @property
    def near_host(self) -> str:
        """The address to reach them at from this machine, ready for a URL."""
        host = _ANYWHERE.get(self.host, self.host)
        return f"[{host}]" if ":" in host else host

    @property
    def command_url(self) -> str:
        """The command API, from this machine."""
        return f"http://{self.near_host}:{self.command}"

    @property
    def query_url(self) -> str:
        """The query API, from this machine."""
        return f"http://{self.near_host}:{self.query}"


def database_address(environ: Mapping[str, str] = os.environ) -> DatabaseAddress:
    """Return where MongoDB is.

    Raises:
        SetupError: No setting says it, or not so that the driver can read it.
    """
    uri = _named(environ, "ROLLCALL_MONGO_URI", "No database is known here: start one with `./run up`")
    if not is_connection_string(uri):
        # The driver's own words may hold a part of it, and with that a password.
        raise SetupError(f"ROLLCALL_MONGO_URI is not a connection string of MongoDB: {WANTED}")
    return DatabaseAddress(uri, environ.get("ROLLCALL_MONGO_DB") or "rollcall")


def broker_address(environ: Mapping[str, str] = os.environ) -> str:
    """Return where RabbitMQ is.

    Raises:
        SetupError: No setting says it.
    """
    return _named(environ, "ROLLCALL_AMQP_URL", "No broker is known here: start one with `./run up`")


def person_schema(environ: Mapping[str, str] = os.environ) -> PersonSchema:
    """Return the person schema in force: the newest on record, or that of the file before there is one.

    Raises:
        StoreUnavailable: MongoDB is away, or refuses.
        SetupError: Where MongoDB is is not known.
        SystemExit: The file cannot be read, or is wrong, or has the number of another one on record.
    """
    address = database_address(environ)
    # What the services' code logs is no part of a verb's output.
    with open_record(address.uri, address.database) as record, redirect_stdout(sys.stderr):
        return schema_of_file(schema_file(environ), record)


def schema_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file with the person schema that a setting names; None for the shipped one."""
    path = environ.get("ROLLCALL_PERSON_SCHEMA")
    return Path(path) if path else None


def known_roles(environ: Mapping[str, str] = os.environ) -> Roles:
    """Return the roles and scopes that the services know: those of the person schema in force, too.

    Where MongoDB is away, or not known, the schema's are those of its file.

    Raises:
        SystemExit: Their file cannot be read, or is wrong; or as of `person_schema`.
    """
    path = environ.get("ROLLCALL_ROLES")
    try:
        schema = person_schema(environ)
    except (SetupError, StoreUnavailable):
        schema = load_person_schema(schema_file(environ))
    return load_roles(Path(path) if path else None, schema)


def database_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a verb that speaks with MongoDB alone.

    Raises:
        SetupError: Where MongoDB is is not known, or a setting is wrong.
    """
    address = database_address(environ)
    return _settings(mongo_uri=SecretStr(address.uri), mongo_db=address.database, amqp_url=_NO_BROKER)


def broker_settings() -> Settings:
    """Return the settings of a verb that speaks with RabbitMQ alone.

    Raises:
        SetupError: Where RabbitMQ is is not known, or a setting is wrong.
    """
    return _settings(amqp_url=SecretStr(broker_address()))


def server_settings() -> Settings:
    """Return the settings of a verb that speaks with MongoDB and RabbitMQ.

    Raises:
        SetupError: Where one of them is is not known, or a setting is wrong.
    """
    address = database_address()
    return _settings(
        mongo_uri=SecretStr(address.uri),
        mongo_db=address.database,
        amqp_url=SecretStr(broker_address()),
    )


def token_settings(**source: Path) -> Settings:
    """Return the settings of tokens, with one source of keys; no server is contacted.

    Raises:
        SetupError: A setting is wrong.
    """
    sources: dict[str, Any] = {"jwt_key_file": None, "jwks_url": None, "signing_keys": None, **source}
    return _settings(amqp_url=_NO_BROKER, **sources)


def claim_names(schema: PersonSchema) -> ClaimNames:
    """Return what names the claims, by the secrets that are known now.

    Args:
        schema: Says what is unique.

    Raises:
        StoreUnavailable: MongoDB is away, or a secret does not open.
        SetupError: Where MongoDB is is not known, or the key-encryption keys are not.
        SystemExit: The key-encryption keys cannot be had.
    """
    kek_file()  # that none is named is said first
    address = database_address()
    keks = keks_of(database_settings())
    return read_claim_names(address.uri, address.database, keks, schema)


def signing_keys(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the keys that sign tokens.

    Raises:
        SetupError: No setting says it.
    """
    lacking = "No signing keys are known here: run `./run up` first, which makes one"
    return Path(_named(environ, "ROLLCALL_SIGNING_KEYS", lacking)).absolute()


def kek_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the file of the key-encryption keys.

    Raises:
        SetupError: No setting says it.
    """
    lacking = "No key-encryption keys are known here: run `./run up` first, which makes one"
    return Path(_named(environ, "ROLLCALL_KEK_FILE", lacking)).absolute()


def state_folder() -> Path:
    """Return the folder for what a verb keeps between runs."""
    return Path(os.environ.get("ROLLCALL_STATE_DIR") or ".rollcall").absolute()


def number(environ: Mapping[str, str], name: str, default: int) -> int:
    """Return a setting that is a whole number.

    Raises:
        SetupError: It is something else.
    """
    text = environ.get(name) or str(default)
    if not text.isdecimal():
        raise SetupError(f"{name} is {text!r}, which is not a number: correct or unset it.")
    return int(text)


def _named(environ: Mapping[str, str], name: str, lacking: str) -> str:
    """Return a setting; `lacking` begins what is said where there is none."""
    value = environ.get(name)
    if not value:
        raise SetupError(f"{lacking}, or set {name}.")
    return value


def _settings(**values: Any) -> Settings:
    try:
        return Settings(**values)
    except ValidationError as exc:
        raise SetupError(f"A setting is wrong: {setting_faults(exc)[0]}.") from None
