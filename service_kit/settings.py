"""The settings: each an environment variable `ROLLCALL_…`; no other module reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import NoDecode, SettingsConfigDict

from service_kit.access_settings import AccessSettings
from service_kit.broker.addresses import broker_urls
from service_kit.broker.topology import PARTITIONS
from service_kit.erasure_settings import ErasureSettings
from service_kit.http.rates import Quota
from service_kit.http.reasons import reason_of
from service_kit.import_settings import ImportSettings
from service_kit.mongo.addresses import WANTED, is_connection_string
from service_kit.read_limits import ReadLimits
from service_kit.setting_values import (
    read_mapping,
    read_networks,
    read_origins,
    read_quota,
    require_folder,
    require_region,
)

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Settings(ReadLimits, ImportSettings, AccessSettings, ErasureSettings):
    """What a service is told from outside. A service that lacks a needed one does not start."""

    model_config = SettingsConfigDict(
        env_prefix="ROLLCALL_", env_ignore_empty=True, frozen=True, extra="ignore", populate_by_name=True
    )

    mongo_uri: SecretStr | None = Field(
        default=None,
        description="MongoDB connection string: a replica set's, or the routers'. Workers and the query API "
        "need it; the command API needs it for accounts, imports, and images in GridFS",
    )
    mongo_db: str = Field(default="rollcall", description="database name")
    mongo_driver: Literal["pymongo", "motor"] = Field(
        default="pymongo", description="the driver: PyMongo's asyncio API, or Motor"
    )
    amqp_url: SecretStr = Field(
        description="RabbitMQ URL, of one node or several: `amqp://user:password@h1:5672,h2:5672,h3:5672/`. "
        "The user `guest` is refused unless the broker is on loopback"
    )
    partitions: int = Field(
        default=PARTITIONS, ge=1, le=256, description="command queues; fixed once the broker has them"
    )
    person_schema: Path | None = Field(
        default=None,
        description="file with the person schema until one is on record; by default the shipped one",
    )
    roles: Path | None = Field(
        default=None,
        description="file with more roles and scopes, beside the built-in ones; the same for both APIs",
    )
    phone_region: Annotated[str, AfterValidator(require_region)] = Field(
        default="CO", description="region of phone numbers without a country code"
    )

    jwt_algorithm: Algorithm = Field(
        default="HS256", description="the one algorithm of tokens that is accepted"
    )
    jwt_key_file: Path | None = Field(
        default=None,
        description="file that verifies tokens: an HS256 secret of 32 bytes or more, a PEM public key, or a "
        "JWKS. One of this, `ROLLCALL_JWKS_URL` and `ROLLCALL_SIGNING_KEYS` is needed",
    )
    jwks_url: str | None = Field(
        default=None,
        description="where the issuer of the tokens publishes its keys: the command API, for example",
    )
    signing_keys: Path | None = Field(
        default=None,
        description="folder of private keys (PKCS #8) that sign the tokens of accounts: the newest signs, "
        "all verify. `./run up` makes it",
    )
    jwt_typ: Literal["any", "at+jwt"] = Field(
        default="any",
        description="`at+jwt`: accept only tokens whose `typ` says so (RFC 9068), as with our own keys",
    )
    signup: Literal["closed", "invite", "open"] = Field(
        default="closed",
        description="who may sign up: nobody, those with an invitation, or everybody",
    )
    signup_role: str = Field(
        default="viewer", description="role of those who sign up while it is open: any but `admin`"
    )
    jwt_issuer: str = Field(default="rollcall", min_length=1, description="required `iss`")
    jwt_audience: str = Field(default="rollcall", min_length=1, description="required `aud`")

    jwt_leeway: int = Field(
        default=10, ge=0, le=300, description="seconds by which the clock of the tokens' issuer may differ"
    )
    jwt_max_life: int = Field(
        default=86_400,
        ge=60,
        le=31_536_000,
        description="seconds that a token may be good for (`exp - iat`); one that is good longer is refused",
    )
    jwt_roles: Annotated[Mapping[str, tuple[str, ...]], NoDecode, BeforeValidator(read_mapping)] = Field(
        default={},
        description="what roles in a token's claim `roles` stand for: roles of ours, or scopes, as "
        "`hr.read=viewer hr.admin=editor,audit:read`. Others give nothing",
    )

    images: Literal["cloudinary", "gridfs", "none"] | None = Field(
        default=None,
        description="where new images go: to Cloudinary, to GridFS (the command API then needs "
        "`ROLLCALL_MONGO_URI`), or nowhere. By default to Cloudinary if `CLOUDINARY_URL` is set, else to "
        "GridFS",
    )
    # The name that Cloudinary's own SDKs and guides use.
    cloudinary_url: SecretStr | None = Field(
        default=None,
        validation_alias=AliasChoices("CLOUDINARY_URL", "cloudinary_url"),
        description="`cloudinary://key:secret@cloud`, for the command API and the workers",
    )
    images_folder: Annotated[str, AfterValidator(require_folder)] = Field(
        default="rollcall",
        max_length=200,
        description="folder of the images at Cloudinary",
    )
    images_key_file: Path | None = Field(
        default=None,
        description="file with a secret of 32 bytes or more that makes the ids of images and signs upload "
        "tickets; the same for every command API. By default the HS256 token key, else Cloudinary's secret",
    )

    kek_file: Path | None = Field(
        default=None,
        description="file with the key-encryption keys, which wrap people's keys: each line an id, a blank, "
        "and 64 hexadecimal digits; the first one is current. Others may not read it. Every service needs "
        "the same ones. `./run up` makes it",
    )
    transport_cache: Path | None = Field(
        default=None,
        description="file in which a command API keeps the transport keys that it has read, wrapped: so it "
        "takes commands also if it starts while MongoDB is away. Those on one machine may share it. Without "
        "it, such a start waits for MongoDB",
    )
    tickets_key_file: Path | None = Field(
        default=None,
        description="file with a secret of 32 bytes or more that signs stream tickets; the same for every "
        "query API. By default the HS256 token key, else one that the process makes for itself: then a "
        "ticket is good at the process that gave it",
    )

    rate_address: Annotated[Quota | None, NoDecode, BeforeValidator(read_quota)] = Field(
        default=Quota(5000, 10),
        description="requests/seconds from one address that a process accepts; `0`: no limit",
    )
    rate_subject: Annotated[Quota | None, NoDecode, BeforeValidator(read_quota)] = Field(
        default=Quota(2000, 10),
        description="requests/seconds of one token's subject that a process accepts; `0`: no limit",
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(read_origins)] = Field(
        default=(),
        description="origins whose pages may use the APIs, separated by spaces: `https://people.example`",
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(read_networks)] = Field(
        default=("127.0.0.1", "::1"),
        description="addresses and networks, separated by spaces, of the proxies whose `X-Forwarded-For` is "
        "believed; `*`: whoever connects, if nobody but such a proxy can. The last address that is none of "
        "them is the client: it is on record with each change, and limits count against it",
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    command_port: int = Field(default=8011, description="port of the command API")
    query_port: int = Field(default=8012, description="port of the query API")
    worker_port: int = Field(
        default=8013,
        description="port of a worker's health and metrics; `./run up --workers N` counts up from it",
    )
    query_url: str = Field(
        default="", description="public base of the query API, for `Location` and the addresses of images"
    )
    read_from_header: bool = Field(
        default=False, description="name the answering member in `X-Read-From`; `./run up` sets it"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="least level that is logged"
    )

    @model_validator(mode="after")
    def _a_connection_string(self) -> Self:
        # The driver's own words may hold a part of it, and with that a password.
        if self.mongo_uri is not None and not is_connection_string(self.mongo_uri.get_secret_value()):
            raise ValueError(f"ROLLCALL_MONGO_URI is not a connection string of MongoDB: {WANTED}")
        return self

    @model_validator(mode="after")
    def _no_default_secret(self) -> Self:
        try:
            nodes = [urlsplit(url) for url in broker_urls(self.amqp_url.get_secret_value())]
        except ValueError as exc:
            raise ValueError(f"ROLLCALL_AMQP_URL is {exc}") from None
        for node in nodes:
            default = (node.username or "guest", node.password or "guest") == ("guest", "guest")
            if default and node.hostname not in _LOOPBACK:
                raise ValueError("ROLLCALL_AMQP_URL has RabbitMQ's default user: give it its own")
        return self

    def secret_in(self, own: Path | None, name: str) -> bytes | None:
        """Return a secret from its own file, else the secret that verifies tokens; None if there is neither.

        Args:
            own: The file that is set for it, if any.
            name: Of the secret, for whoever reads the error.

        Raises:
            SystemExit: The file cannot be read, or holds too little.
        """
        path = own or (self.jwt_key_file if self.jwt_algorithm == "HS256" else None)
        if path is None:
            return None
        try:
            secret = path.read_bytes().strip()
        except OSError as exc:
            raise SystemExit(f"cannot start: the {name} {path}: {exc.strerror}") from None
        if len(secret) < MIN_SECRET_BYTES:
            raise SystemExit(f"cannot start: the {name} in {path} is shorter than {MIN_SECRET_BYTES} bytes")
        return secret


def load_settings(*needed: str) -> Settings:
    """Return the settings of this process's environment.

    Args:
        needed: Settings that others can do without, and this process cannot.

    Raises:
        SystemExit: One is missing or wrong; the message names each, without its value.
    """
    try:
        settings = Settings()
    except ValidationError as exc:
        raise SystemExit("cannot start: " + "; ".join(setting_faults(exc))) from None
    if missing := [_variable(name) for name in needed if getattr(settings, name) is None]:
        raise SystemExit(f"cannot start: {', '.join(missing)}: is missing")
    return settings


def setting_faults(failure: ValidationError) -> list[str]:
    """Return what is wrong with settings: each one's variable, and why it will not do, without its value."""
    return [
        f"{_variable(str(error['loc'][0])) + ': ' if error['loc'] else ''}{reason_of(error)}"
        for error in failure.errors(include_input=False, include_url=False)
    ]


def _variable(setting: str) -> str:
    return setting if setting.isupper() else f"ROLLCALL_{setting.upper()}"
