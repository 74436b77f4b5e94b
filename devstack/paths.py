"""Where everything is kept; creates directories, never a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from operations.errors import SetupError
from operations.terminal import short_path
from service_kit.files import make_folder

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Paths:
    """The project and the one directory that everything is written to."""

    root: Path
    state: Path

    @classmethod
    def find(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """The checkout this file is in, and `ROLLCALL_STATE_DIR` or its `.rollcall/`."""
        chosen = environ.get("ROLLCALL_STATE_DIR")
        return cls(ROOT, Path(chosen).absolute() if chosen else ROOT / ".rollcall")

    @property
    def data(self) -> Path:
        """The databases' and the broker's files: what `reset` takes away."""
        return self.state / "data"

    @property
    def rabbitmq_data(self) -> Path:
        """The broker's files, and its password."""
        return self.data / "rabbitmq"

    @property
    def logs(self) -> Path:
        """One log file per process, and `install.log`."""
        return self.state / "logs"

    @property
    def run(self) -> Path:
        """The lock, and a record of each process under way."""
        return self.state / "run"

    @property
    def cache(self) -> Path:
        """What the checks may keep between runs."""
        return self.state / "cache"

    @property
    def signing_keys(self) -> Path:
        """The keys that sign tokens."""
        return self.state / "secrets" / "signing-keys"

    @property
    def mongo_secrets(self) -> Path:
        """The replica set's key, and its users' passwords."""
        return self.state / "secrets" / "mongo"

    @property
    def images_key(self) -> Path:
        """The key that names images and signs upload tickets."""
        return self.state / "secrets" / "images.key"

    @property
    def erasure_journal(self) -> Path:
        """The erasures on record, which no restore of the database undoes."""
        return self.state / "erasures"

    @property
    def transport_cache(self) -> Path:
        """The transport keys that the command API knows, wrapped."""
        return self.state / "transport-keys"

    @property
    def kek_file(self) -> Path:
        """The keys under which people's keys are wrapped."""
        return self.state / "secrets" / "kek"

    def create(self) -> None:
        """Make the state directory and its parts, open to their owner alone.

        Raises:
            SetupError: It cannot be written to.
        """
        parts = (self.data, self.logs, self.run, self.cache, self.signing_keys.parent)
        for directory in (self.state, *parts):
            try:
                make_folder(directory, mode=0o700)
                reason = None if os.access(directory, os.W_OK | os.X_OK) else "it is someone else's"
            except OSError as exc:
                reason = exc.strerror
            if reason:
                raise SetupError(
                    f"{short_path(directory)} cannot be written to ({reason}): run as the user who owns "
                    "it, or set ROLLCALL_STATE_DIR to a directory of your own."
                )
