"""What the environment asks the scripts of this folder for: which deployment, as whom, with which users."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from users import Passwords

from events.person.schema.declarations import PersonSchema
from service_kit.person_schema import load_person_schema

_WAIT_SECONDS: Final = 120.0
_DROP_UNUSED: Final = "--drop-unused"


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
        schema: The person schema.
        drop_unused: Whether indexes that the schema does not want are dropped.
    """

    uri: str | None
    description: Path | None
    key_file: Path | None
    passwords: Passwords
    database: str
    seconds: float
    schema: PersonSchema
    drop_unused: bool

    @classmethod
    def read(cls, environ: Mapping[str, str], options: Sequence[str] = ()) -> Self:
        """Read the environment, and the options.

        Raises:
            ValueError: It asks for nothing, or for two things; or there is no such option.
            SystemExit: The person schema is wrong.
        """
        if unknown := set(options) - {_DROP_UNUSED}:
            raise ValueError(f"there is no option {min(unknown)}: there is {_DROP_UNUSED}")
        schema = environ.get("ROLLCALL_PERSON_SCHEMA")
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
            load_person_schema(Path(schema) if schema else None),
            _DROP_UNUSED in options,
        )
