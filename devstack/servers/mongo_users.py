"""The users of a replica set on this machine, and the key by which its members know each other: all in files.

None opens anything by itself: at each start the members get the key, and the initialiser, who works as one of
them, gives the users these passwords.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from devstack.keys import ensure_secret

ADMIN = "admin"
_SERVICES = ("worker", "command", "query")
_KEY = "members.key"


@dataclass(frozen=True)
class LocalUsers:
    """Who may use the set.

    Attributes:
        directory: Where their secrets are, each made on first use.
        database: The services' database, to which their users belong.
    """

    directory: Path
    database: str

    @property
    def are_there(self) -> bool:
        """Whether a set was started with users here."""
        return (self.directory / ADMIN).exists()

    @property
    def key_file(self) -> Path:
        """The members' key."""
        path = self.directory / _KEY
        ensure_secret(path)
        return path

    def uri_of(self, user: str, uri: str) -> str:
        """Return a set's connection string for one of the users.

        Args:
            user: `ADMIN`, or a service's, `rollcall-query` say.
            uri: The set's.
        """
        parts = urlsplit(uri)
        source = ADMIN if user == ADMIN else self.database
        netloc = f"{user}:{self._password(user)}@{parts.netloc}"
        return f"{parts.scheme}://{netloc}/?{parts.query}&authSource={source}"

    def initialiser(self) -> dict[str, str]:
        """Return the settings with which the initialiser makes the users."""
        passwords = {name: self._password(f"rollcall-{name}") for name in _SERVICES}
        return {
            "ROLLCALL_MONGO_KEY_FILE": str(self.key_file),
            "ROLLCALL_MONGO_ADMIN_PASSWORD": self._password(ADMIN),
            **{f"ROLLCALL_MONGO_{name.upper()}_PASSWORD": value for name, value in passwords.items()},
        }

    def _password(self, user: str) -> str:
        return ensure_secret(self.directory / user)
