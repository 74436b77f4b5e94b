"""The key-encryption keys: what wraps each person's key, and whatever else is kept wrapped.

They are asked for once a process. Where they come from is a `KekSource`: a file here; a KMS or a vault
plugs in by unwrapping the same text once.
"""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from events.errors import KeyTrouble
from events.person.schema.errors import Fault, WrongFile
from service_kit.declared_files import WrongDeclaration, declaration_in

KEK_SIZE: Final = 32
NONCE_SIZE: Final = 12
_MAX_BYTES: Final = 64 * 2**10
_FILE: Final = "the key-encryption keys' file"
_LINE: Final = re.compile(r"([a-z0-9][a-z0-9-]{0,39}) ([0-9a-f]+)")
_NO_KEY: Final = (
    "is no key",
    "write an id of at most 40 lower-case letters, digits and hyphens, a blank, and 64 hexadecimal digits "
    "(0-9, a-f)",
)


class KekSource(Protocol):
    """Where the key-encryption keys come from."""

    def keks(self) -> Mapping[str, bytes]:
        """Return the keys by id, 32 bytes each; the first is the current one.

        Raises:
            WrongDeclaration: They cannot be had.
        """


class KekFile:
    """A file with one key a line: its id, a blank, and 64 hexadecimal digits; the first is the current one.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keks(self) -> Mapping[str, bytes]:
        """Return the keys by id, as of any `KekSource`.

        A file that its group may read is taken: where secrets are mounted, a service has it by its group.
        """
        keys = declaration_in(self._path, _FILE, _MAX_BYTES, _read)
        if self._path.stat().st_mode & stat.S_IRWXO:
            raise WrongDeclaration(f"{_FILE} {self._path} can be read by others: `chmod 600 {self._path}`")
        return keys


def _read(content: bytes) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    faults: list[Fault] = []
    for number, line in enumerate(content.decode("ascii", "replace").splitlines(), 1):
        match = _LINE.fullmatch(line)
        if match is None:
            if line.strip():
                faults.append(Fault(f"line {number}", *_NO_KEY))
        elif len(match[2]) != 2 * KEK_SIZE:
            faults.append(
                Fault(f"line {number}", f"has {len(match[2])} digits of a key", f"a key has {2 * KEK_SIZE}")
            )
        elif match[1] in found:
            faults.append(Fault(f"line {number}", "has an id that is there before", "give each key its own"))
        else:
            found[match[1]] = bytes.fromhex(match[2])
    if not found and not faults:
        faults.append(
            Fault(
                "the file", "has no key", "put back a copy; where nothing is wrapped yet, `rollcall keys add`"
            )
        )
    if faults:
        raise WrongFile(faults)
    return found


class Keks:
    """The key-encryption keys of a process.

    Args:
        keys: By id, 32 bytes each; the first is the current one.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = dict(keys)
        self._ciphers = {id_: AESGCM(key) for id_, key in keys.items()}
        self.current = next(iter(keys))

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, the current one first."""
        return tuple(self._keys)

    def wrap(self, plain: bytes, aad: bytes) -> tuple[str, bytes]:
        """Return the current key's id and what it makes of a secret.

        Args:
            plain: The secret.
            aad: What it belongs to, as the secret's owner states it; the key's id is put behind it.
        """
        nonce = os.urandom(NONCE_SIZE)
        wrapped = self._ciphers[self.current].encrypt(nonce, plain, _bound(aad, self.current))
        return self.current, nonce + wrapped

    def unwrap(self, kek: str, wrapped: bytes, aad: bytes) -> bytes:
        """Return a secret; arguments as `wrap` had and gave them.

        Raises:
            KeyTrouble: That key is not there, or this is not what it wrapped.
        """
        if kek not in self._ciphers:
            raise KeyTrouble(f"there is no key-encryption key {kek}: it is not in the file")
        try:
            return self._ciphers[kek].decrypt(wrapped[:NONCE_SIZE], wrapped[NONCE_SIZE:], _bound(aad, kek))
        except (InvalidTag, ValueError):
            raise KeyTrouble(f"what was wrapped by the key-encryption key {kek} does not open") from None

    def derived(self, label: str) -> dict[str, bytes]:
        """Return a key of 32 bytes for another purpose from each, by id, the current one first.

        Args:
            label: Names the purpose.
        """
        return {
            id_: HKDF(SHA256(), KEK_SIZE, salt=None, info=label.encode()).derive(key)
            for id_, key in self._keys.items()
        }


def _bound(aad: bytes, kek: str) -> bytes:
    return aad + b"\0" + kek.encode()


def load_keks(source: KekSource) -> Keks:
    """Return the key-encryption keys that a process needs.

    Raises:
        SystemExit: They cannot be had; the message says why.
    """
    try:
        return Keks(source.keks())
    except WrongDeclaration as exc:
        raise SystemExit(f"cannot start: {exc.text}") from None
