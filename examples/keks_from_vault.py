"""Key-encryption keys that only a vault can unwrap: a `KekSource` for HashiCorp Vault's engine `transit`."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from service_kit.declared_files import WrongDeclaration

TIMEOUT_SECONDS = 10


class KeksFromVault:
    """A file with one key a line, its id and what the vault made of its 32 bytes: `20261129-3f9a vault:v1:…`.

    Such a file is no secret. The vault is asked once for each line when a process starts.

    Args:
        path: The file.
        vault: The vault's address, `https://vault.example:8200`.
        token: What the vault lets decrypt with.
        name: Of the vault's key.
    """

    def __init__(self, path: Path, vault: str, token: str, name: str) -> None:
        self._path = path
        self._url = f"{vault}/v1/transit/decrypt/{name}"
        self._token = token

    def keks(self) -> Mapping[str, bytes]:
        """Return the keys by id, the first one current.

        Raises:
            WrongDeclaration: The file cannot be read, or the vault does not unwrap a key.
        """
        try:
            lines = [line.split() for line in self._path.read_text().splitlines() if line]
            return {id_: self._unwrapped(wrapped) for id_, wrapped in lines}
        except (OSError, ValueError, KeyError) as exc:
            # Never what it answered, or what stands in the file.
            raise WrongDeclaration(f"the keys in {self._path}: {type(exc).__name__}") from None

    def _unwrapped(self, wrapped: str) -> bytes:
        body = json.dumps({"ciphertext": wrapped}).encode()
        headers = {"X-Vault-Token": self._token}
        request = urllib.request.Request(self._url, body, headers)  # noqa: S310 - the operator's own address
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
            return base64.b64decode(json.load(answer)["data"]["plaintext"])
