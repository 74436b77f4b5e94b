"""What the environment asks the scripts of this folder for: which deployment, as whom, with which users."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from users import Passwords

_WAIT_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes:
        uri: Connection string of a deployment that runs, or None.
        description: The file that describes one, or None.
        key_file: The members' key file, if they authenticate.
        passwords: Whose passwords are given.
        database: The services' database.
        seconds: How long to wait for members.
    """

    uri: str | None
    description: Path | None
    key_file: Path | None
    passwords: Passwords
    database: str
    seconds: float

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Self:
        """Read the environment.

        Raises:
            ValueError: It asks for nothing, or for two things.
        """
        uri, description = (environ.get(f"ROLLCALL_MONGO_{name}") or None for name in ("URI", "CLUSTER"))
        if (uri is None) == (description is None):
            raise ValueError("set ROLLCALL_MONGO_URI, or ROLLCALL_MONGO_CLUSTER in its place")
        key_file = environ.get("ROLLCALL_MONGO_KEY_FILE")
        return cls(
            uri,
            Path(description) if description else None,
            Path(key_file) if key_file else None,
            Passwords(
                environ.get("ROLLCALL_MONGO_ADMIN_PASSWORD") or None,
                {
                    "rollcall-worker": environ.get("ROLLCALL_MONGO_WORKER_PASSWORD") or None,
                    "rollcall-command": environ.get("ROLLCALL_MONGO_COMMAND_PASSWORD") or None,
                    "rollcall-query": environ.get("ROLLCALL_MONGO_QUERY_PASSWORD") or None,
                },
            ),
            environ.get("ROLLCALL_MONGO_DB") or "rollcall",
            float(environ.get("ROLLCALL_MONGO_WAIT") or _WAIT_SECONDS),
        )
