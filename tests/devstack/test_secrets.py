import re
import stat
from pathlib import Path

import pytest

from devstack.keys import ensure_secret
from operations.accounts.signing_keys import ensure_signing_key
from operations.errors import SetupError
from operations.keys.kek_file import ensure_kek_file


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "jwt.key"
    secret = ensure_secret(path)
    assert len(bytes.fromhex(secret)) >= 32
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert ensure_secret(path) == secret
    assert ensure_secret(tmp_path / "other") != secret


def test_a_secret_that_others_could_read_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "jwt.key"
    path.write_text("s" * 64)
    path.chmod(0o644)
    ensure_secret(path)
    assert mode(path) == 0o600


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jwt.key"
    path.write_text("changeme")
    with pytest.raises(SetupError, match="fewer than 32 characters: delete the file"):
        ensure_secret(path)


@pytest.mark.parametrize("content", ["", "\n", "\0" * 96])
def test_what_a_power_cut_has_emptied_is_made_anew_and_the_good_ones_stay(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    good, empty = tmp_path / "password", tmp_path / ".erlang.cookie"
    secret = ensure_secret(good)
    empty.write_text(content)
    assert len(ensure_secret(empty)) == 96
    assert (ensure_secret(good), mode(empty)) == (secret, 0o600)
    assert ".erlang.cookie is empty, as a loss of power leaves it: making another" in capsys.readouterr().err


def test_a_signing_key_that_a_power_cut_has_emptied_goes_and_the_good_one_stays(tmp_path: Path) -> None:
    folder = tmp_path / "signing-keys"
    ensure_signing_key(folder, "EdDSA")
    (good,) = folder.iterdir()
    (folder / "20200101T000000Z.pem").touch()
    ensure_signing_key(folder, "EdDSA")
    assert list(folder.iterdir()) == [good]
    good.write_text("")
    ensure_signing_key(folder, "EdDSA")
    (other,) = folder.iterdir()
    assert "PRIVATE KEY" in other.read_text()


def test_key_encryption_keys_are_made_once_and_their_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "kek"
    ensure_kek_file(path)
    made = path.read_text()
    assert re.fullmatch(r"\d{8}-[0-9a-f]{8} [0-9a-f]{64}\n", made)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    path.chmod(0o644)
    ensure_kek_file(path)
    assert (path.read_text(), mode(path)) == (made, 0o600)
    # Another one would not open what this one has wrapped, so it is not made in its place.
    path.write_text("")
    ensure_kek_file(path)
    assert path.read_text() == ""
    with pytest.raises(SetupError, match="cannot be used .*: run as the user who owns them"):
        ensure_kek_file(path / "below")
