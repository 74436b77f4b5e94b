"""What a deployment consists of, and how the initialiser reaches it; changes nothing."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

Client = MongoClient[dict[str, Any]]

AUTHENTICATION_FAILED: Final = 18
_ANSWER_MS: Final = 2_000
_OPERATION_MS: Final = 120_000


class NotReady(Exception):
    """Something did not come up in time; the text names it."""


@dataclass(frozen=True)
class ReplicaSet:
    """A set as it is wanted.

    Attributes:
        name: Its name.
        role: `config`, `shard`, or `replica` for one that is the whole deployment.
        members: Each member's `host:port`; the first is preferred as primary.
    """

    name: str
    role: str
    members: tuple[str, ...]

    @property
    def seed(self) -> str:
        """The set as `addShard` and `mongos` are told it."""
        return f"{self.name}/{','.join(self.members)}"

    @property
    def uri(self) -> str:
        """The set's connection string."""
        return f"mongodb://{','.join(self.members)}/?replicaSet={self.name}"


@dataclass(frozen=True)
class Deployment:
    """What the description file says.

    Attributes:
        sets: The replica sets, the config servers' first.
        routers: Each router's `host:port`; none for a plain replica set.
    """

    sets: tuple[ReplicaSet, ...]
    routers: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a description: see README.md beside this file.

        Raises:
            ValueError: It is not JSON, or describes neither a replica set nor a sharded cluster.
        """
        content = json.loads(path.read_text(encoding="utf-8"))
        sets = tuple(
            ReplicaSet(name, one.get("role", "replica"), tuple(one["members"]))
            for name, one in content["replica_sets"].items()
        )
        routers = tuple(content.get("routers", ()))
        roles = sorted(one.role for one in sets)
        sharded = roles[:1] == ["config"] and roles[1:] and set(roles[1:]) == {"shard"}
        if not ((sharded and routers) or (roles == ["replica"] and not routers)):
            raise ValueError(
                f"{path}: describe one replica set; or one of role config, those of role shard, and routers"
            )
        return cls(tuple(sorted(sets, key=lambda one: one.role != "config")), routers)

    @property
    def uri(self) -> str:
        """The connection string of the whole: of the routers, or of the one set."""
        return f"mongodb://{','.join(self.routers)}/" if self.routers else self.sets[0].uri

    @property
    def shards(self) -> list[ReplicaSet]:
        """The sets that are shards."""
        return [one for one in self.sets if one.role == "shard"]


@dataclass(frozen=True)
class Access:
    """How to reach members and the whole, and until when to try.

    Attributes:
        credentials: The driver's options to authenticate with; none without authentication.
        deadline: Of `time.monotonic`.
    """

    credentials: Mapping[str, Any]
    deadline: float

    @classmethod
    def of(cls, key_file: Path | None, seconds: float) -> Self:
        """Make access that ends in some seconds, as the members' own user if there is a key file.

        With a key file, members know each other as the user `__system`, whose password is the key. It
        can do what the localhost exception allows, from elsewhere, and before there is any other user.
        See https://www.mongodb.com/docs/manual/core/security-internal-authentication/.
        """
        credentials: dict[str, Any] = {}
        if key_file is not None:
            credentials = {
                "username": "__system",
                "password": "".join(key_file.read_text(encoding="ascii").split()),
                "authSource": "local",
                "authMechanism": "SCRAM-SHA-256",
            }
        return cls(credentials, time.monotonic() + seconds)

    def member(self, address: str) -> Client:
        """Return a client of one member, whatever its state."""
        return self._client(f"mongodb://{address}/", directConnection=True)

    def set_of(self, wanted: ReplicaSet) -> Client:
        """Return a client of a replica set."""
        return self._client(wanted.uri)

    def open(self, uri: str) -> Client:
        """Return a client of the deployment as a whole, as applications reach it."""
        return self._client(uri)

    def open_as(self, uri: str, user: str, password: str, database: str) -> Client:
        """Return such a client of another user, who belongs to a database."""
        return MongoClient(
            uri,
            username=user,
            password=password,
            authSource=database,
            serverSelectionTimeoutMS=_ANSWER_MS,
            connectTimeoutMS=_ANSWER_MS,
            socketTimeoutMS=_OPERATION_MS,
        )

    def _client(self, uri: str, **options: Any) -> Client:
        return MongoClient(
            uri,
            serverSelectionTimeoutMS=_ANSWER_MS,
            connectTimeoutMS=_ANSWER_MS,
            socketTimeoutMS=_OPERATION_MS,
            w="majority",
            **options,
            **self.credentials,
        )

    def wait(self, what: Callable[[], str], ready: Callable[[], bool]) -> None:
        """Ask until something is ready.

        Args:
            what: Says what is missing, once time is over.
            ready: The question. The driver's failures count as no, but wrong credentials stay wrong.

        Raises:
            NotReady: Not in time.
            OperationFailure: Authentication failed.
        """
        reason = ""
        while True:
            try:
                if ready():
                    return
            except PyMongoError as exc:
                if isinstance(exc, OperationFailure) and exc.code == AUTHENTICATION_FAILED:
                    raise
                reason = f" ({exc})"[:300]
            if time.monotonic() > self.deadline:
                raise NotReady(f"{what()}{reason}")
            time.sleep(0.1)
