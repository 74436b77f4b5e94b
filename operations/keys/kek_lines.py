"""Changes the file of key-encryption keys, a line at a time; reads it as the services do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from operations.errors import SetupError
from operations.terminal import short_path
from service_kit.declared_files import WrongDeclaration
from service_kit.files import is_lost, make_folder, write_whole
from service_kit.seals.kek import KekFile


def read_keys(path: Path) -> dict[str, bytes]:
    """Return the keys in the file by id, the current one first.

    Raises:
        SetupError: It will not do; says why.
    """
    try:
        return dict(KekFile(path).keks())
    except WrongDeclaration as exc:
        raise SetupError(f"The keys cannot be used: {exc.text}") from None


def add_key(path: Path, line: str) -> None:
    """Put a key last in the file, which is made if it is not there, or is empty.

    Args:
        path: The file.
        line: As `new_line` makes it.

    Raises:
        SetupError: The file will not do, or cannot be written.
    """
    id_, _, digits = line.partition(" ")
    keys = read_keys(path) if path.exists() and not is_lost(path) else {}
    _write(path, {**keys, id_: bytes.fromhex(digits)})


def put_first(path: Path, id_: str) -> None:
    """Make a key of the file the current one; errors as of `add_key`, and there is no such key."""
    keys = read_keys(path)
    _require(keys, id_, path)
    _write(path, {id_: keys[id_], **keys})


def take_out(path: Path, id_: str) -> None:
    """Take a key out of the file; errors as of `put_first`."""
    keys = read_keys(path)
    _require(keys, id_, path)
    _write(path, {one: key for one, key in keys.items() if one != id_})


def _require(keys: Mapping[str, bytes], id_: str, path: Path) -> None:
    if id_ not in keys:
        raise SetupError(f"There is no key {id_} in {short_path(path)}: there is {', '.join(keys)}.")


def _write(path: Path, keys: Mapping[str, bytes]) -> None:
    try:
        make_folder(path.parent, mode=0o700)
        write_whole(path, "".join(f"{id_} {key.hex()}\n" for id_, key in keys.items()))
    except OSError as exc:
        raise SetupError(
            f"{short_path(path)} cannot be written here ({exc.strerror}): change it where it comes from."
        ) from exc
