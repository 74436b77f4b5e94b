import stat
from pathlib import Path

import pytest

from local.errors import SetupError
from local.keys import ensure_secret, write_private


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


@pytest.mark.parametrize("content", ["", "\n", "changeme"])
def test_a_short_secret_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "jwt.key"
    path.write_text(content)
    with pytest.raises(SetupError, match="fewer than 32 characters: delete the file"):
        ensure_secret(path)


def test_a_private_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "conf"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), mode(path)) == ("new", 0o600)
    assert list(tmp_path.iterdir()) == [path]
