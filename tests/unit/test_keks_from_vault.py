"""The example of another source of key-encryption keys, with a vault of our own."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from examples.keks_from_vault import KeksFromVault
from service_kit.seals.kek import load_keks
from service_kit.seals.person_key import PersonKey
from tests.store.given_keys import KEKS


class Vault(BaseHTTPRequestHandler):
    """Answers as the engine `transit` does: what it wrapped is the key backwards."""

    asked: list[str]

    def do_POST(self) -> None:
        """Unwrap, or refuse."""
        self.asked.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        good = self.headers["X-Vault-Token"] == "token"
        key = bytes.fromhex(body["ciphertext"].removeprefix("vault:v1:"))[::-1]
        self.send_response(200 if good else 403)
        self.end_headers()
        if good:
            plain = base64.b64encode(key).decode()
            self.wfile.write(json.dumps({"data": {"plaintext": plain}}).encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def vault() -> Iterator[HTTPServer]:
    Vault.asked = []
    with HTTPServer(("127.0.0.1", 0), Vault) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def source(vault: HTTPServer, path, token: str = "token") -> KeksFromVault:
    path.write_text("".join(f"{id_} vault:v1:{key[::-1].hex()}\n" for id_, key in KEKS.items()))
    return KeksFromVault(path, f"http://127.0.0.1:{vault.server_port}", token, "rollcall")


def test_a_vault_is_asked_once_for_each_key_and_never_for_a_person(vault, tmp_path):
    keks = load_keks(source(vault, tmp_path / "keks"))
    assert (keks.current, keks.ids) == ("first", tuple(KEKS))
    for person in map(str, range(50)):
        PersonKey.unwrapped(person, *PersonKey.new().wrapped(person, keks), keks)
    assert Vault.asked == ["/v1/transit/decrypt/rollcall"] * len(KEKS)


def test_a_vault_that_refuses_stops_the_start_with_a_sentence(vault, tmp_path):
    with pytest.raises(SystemExit) as ended:
        load_keks(source(vault, tmp_path / "keks", token="wrong"))
    assert str(ended.value) == f"cannot start: the keys in {tmp_path / 'keks'}: HTTPError"
