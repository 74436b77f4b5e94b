"""Writes checkpoints to a folder: first the heads, then the signed statement, each whole or not at all."""

import fcntl
import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from events.times import rfc3339, to_milliseconds
from operations.errors import SetupError
from operations.terminal import short_path
from service_kit.files import AS_THE_UMASK_SAYS, make_folder, whole_file, write_whole
from verifier import Checkpoint, Head, KnownHeads, MerkleRoot, digest, head_line, sign
from verifier.checkpoints import FORMAT, NONE_BEFORE
from verifier.folder import checkpoint_path, heads_path

PRIVATE, PUBLIC = "checkpoint.key", "checkpoint.pub"
_LOCK: Final = ".lock"


@dataclass(frozen=True)
class Key:
    """What signs checkpoints."""

    private: Ed25519PrivateKey

    @classmethod
    def read(cls, path: Path) -> "Key":
        """Return the key in a PEM file.

        Raises:
            SetupError: There is none that can be used.
        """
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except OSError as exc:
            raise SetupError(
                f"The key {short_path(path)} cannot be read ({exc.strerror}): "
                "`./run checkpoint-key DIR` makes one."
            ) from None
        except (ValueError, TypeError):
            raise SetupError(f"{short_path(path)} is no private key in PEM without a password.") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise SetupError(f"{short_path(path)} is no Ed25519 key: `./run checkpoint-key DIR` makes one.")
        return cls(key)


def make_key(folder: Path) -> tuple[Path, Path]:
    """Make a key pair; return the private file, readable by its owner alone, and the public one.

    Raises:
        SetupError: There is one already, or the folder cannot be written to.
    """
    private, public = folder / PRIVATE, folder / PUBLIC
    try:
        make_folder(folder, mode=0o700)
        if existing := [path for path in (private, public) if path.exists()]:
            raise SetupError(f"{short_path(existing[0])} is there already: choose another folder.")
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_whole(private, pem)
        given = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        write_whole(public, given, mode=AS_THE_UMASK_SAYS)
    except OSError as exc:
        raise SetupError(f"No key can be written to {short_path(folder)} ({exc.strerror}).") from exc
    return private, public


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep a folder for one writer; make it if it is not there.

    Raises:
        SetupError: Another one writes there, or nobody can.
    """
    try:
        make_folder(folder)
        lock = (folder / _LOCK).open("w")
    except OSError as exc:
        raise SetupError(f"{short_path(folder)} cannot be written to ({exc.strerror}).") from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(f"Another one is writing checkpoints to {short_path(folder)}.") from None
        yield


def write_checkpoint(
    folder: Path, key: Key, heads: Iterator[Head], known: KnownHeads, last: Checkpoint | None
) -> Checkpoint:
    """Write the next checkpoint and return it.

    Args:
        folder: Where; held.
        key: What signs it.
        heads: The head of every stream, in order of person.
        known: The heads that the checkpoints before recorded.
        last: The newest checkpoint there.

    Raises:
        OSError: It cannot be written; the checkpoints that are there stay as they are.
    """
    number = last.number + 1 if last else 1
    path = heads_path(folder, number)
    statement = replace(
        _write_heads(path, heads, known),
        number=number,
        created_at=rfc3339(to_milliseconds(datetime.now(UTC))),
        previous=digest(last) if last else NONE_BEFORE,
    )
    checkpoint = sign(statement, key.private)
    write_whole(checkpoint_path(folder, number), checkpoint.encode() + b"\n")
    return checkpoint


def _write_heads(path: Path, heads: Iterator[Head], known: KnownHeads) -> Checkpoint:
    """Write those heads that are new since the checkpoint before; return what is stated of all, no more."""
    root, hashed = MerkleRoot(), hashlib.sha256()
    streams = events = changed = 0
    before = known.latest()
    old = next(before, None)
    with whole_file(path) as raw, gzip.GzipFile("", "wb", 6, raw, mtime=0) as file:
        for head in heads:
            while old and old.person_id < head.person_id:
                old = next(before, None)
            line = head_line(head)
            root.add(line)
            streams += 1
            events += head.version
            if head != old:
                changed += 1
                hashed.update(line + b"\n")
                file.write(line + b"\n")
    return Checkpoint(
        format=FORMAT,
        number=0,
        created_at="",
        streams=streams,
        events=events,
        merkle_root=root.hex(),
        changed=changed,
        heads_sha256=hashed.hexdigest(),
        previous="",
        key_id="",
        signature="",
    )
