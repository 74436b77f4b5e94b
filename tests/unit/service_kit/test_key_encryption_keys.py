"""The key-encryption keys: what their file may hold, what is said of one that will not do, where they come from."""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

import command_api.__main__ as command_api
import query_api.__main__ as query_api
import workers.__main__ as workers
from events.errors import KeyTrouble
from operations.keys.kek_file import new_line
from service_kit.seals.kek import KekFile, Keks, load_keks
from service_kit.seals.kek_source import keks_of
from service_kit.seals.person_key import PersonKey
from service_kit.seals.wrapping import KEYS, LABELS, bound_to
from service_kit.settings import Settings
from tests.store.given_keys import KEKS, NOW

FIRST, SECOND = (f"{id_} {key.hex()}" for id_, key in KEKS.items())


def written(tmp_path, content: bytes | str, mode: int = 0o600):
    path = tmp_path / "kek"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def refusal(path) -> str:
    with pytest.raises(SystemExit) as ended:
        load_keks(KekFile(path))
    text = str(ended.value)
    assert text.startswith(f"cannot start: the key-encryption keys' file {path}")
    assert not any(key.hex()[:8] in text for key in KEKS.values())
    return text


def test_the_first_key_is_current_and_lines_end_as_they_like(tmp_path):
    keks = load_keks(KekFile(written(tmp_path, f"{FIRST}\r\n\n{SECOND}")))
    assert (keks.current, keks.ids) == ("first", ("first", "second"))


def test_a_line_that_is_made_here_is_read_there(tmp_path):
    line = new_line(NOW)
    assert load_keks(KekFile(written(tmp_path, line + "\n"))).current == line.split(" ")[0]
    assert line.startswith("20260131-")
    assert new_line(NOW).split()[0] != line.split()[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "the file has no key: put back a copy; where nothing is wrapped yet, `rollcall keys add`"),
        ("\n \n", "the file has no key"),
        (b"\0" * 90, "line 1 is no key: write an id of at most 40 lower-case letters"),
        (FIRST[:-1], "line 1 has 63 digits of a key: a key has 64"),
        (FIRST + "00", "line 1 has 66 digits of a key: a key has 64"),
        (f"{FIRST}\n{SECOND[-64:]}", "line 2 is no key"),
        (FIRST.upper(), "line 1 is no key"),
        (f"{FIRST}\nfirst {'0' * 64}", "line 2 has an id that is there before: give each key its own"),
        (f"{FIRST}\n" * 2000, "is larger than 64 KB"),
    ],
)
def test_what_will_not_do_is_said_without_a_key(tmp_path, content, reason):
    assert reason in refusal(written(tmp_path, content))


def test_a_file_that_is_not_there_or_is_no_file_is_named(tmp_path):
    assert refusal(tmp_path / "absent").endswith(": No such file or directory")
    assert refusal(tmp_path).endswith(": Is a directory")


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # Root, as whom tests may run, reads everything.
    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(tmp_path / "kek").endswith(": Permission denied")


@pytest.mark.parametrize(("mode", "taken"), [(0o600, True), (0o440, True), (0o644, False), (0o602, False)])
def test_a_file_that_others_may_use_is_refused(tmp_path, mode, taken):
    path = written(tmp_path, FIRST, mode)
    if taken:
        assert load_keks(KekFile(path)).current == "first"
    else:
        assert refusal(path).endswith(f" can be read by others: `chmod 600 {path}`")


def test_the_settings_name_the_file(tmp_path):
    settings = Settings(amqp_url="amqp://a:b@localhost/", kek_file=written(tmp_path, FIRST))
    assert keks_of(settings).current == "first"
    with pytest.raises(SystemExit, match="cannot start: ROLLCALL_KEK_FILE: is missing"):
        keks_of(settings.model_copy(update={"kek_file": None}))


@pytest.mark.parametrize("service", [command_api, query_api, workers], ids=lambda module: module.__package__)
def test_no_service_starts_with_a_file_that_will_not_do(tmp_path, monkeypatch, service):
    monkeypatch.setenv("ROLLCALL_AMQP_URL", "amqp://a:b@127.0.0.1/")
    monkeypatch.setenv("ROLLCALL_MONGO_URI", "mongodb://127.0.0.1:1/")
    monkeypatch.setenv("ROLLCALL_KEK_FILE", str(written(tmp_path, FIRST, 0o644)))
    with pytest.raises(
        SystemExit, match="cannot start: the key-encryption keys' file .* can be read by others"
    ):
        service.main()
    monkeypatch.setenv("ROLLCALL_KEK_FILE", "")
    with pytest.raises(SystemExit, match="cannot start: ROLLCALL_KEK_FILE: is missing"):
        service.main()


class Counting:
    """A source that counts how often it is asked, as a KMS would put it on the bill."""

    asked = 0

    def keks(self) -> Mapping[str, bytes]:
        self.asked += 1
        return KEKS


def test_a_source_is_asked_once_however_many_people_there_are():
    source = Counting()
    keks = load_keks(source)
    for number in range(1000):
        key = PersonKey.new()
        assert PersonKey.unwrapped(str(number), *key.wrapped(str(number), keks), keks).salts("e", 1) == (
            key.salts("e", 1)
        )
    assert source.asked == 1


@pytest.mark.parametrize("collection", LABELS)
def test_a_wrapped_key_opens_in_its_own_row_alone(collection):
    keks = Keks(KEKS)
    kek, wrapped = keks.wrap(b"secret", bound_to(collection, "a"))
    assert keks.unwrap(kek, wrapped, bound_to(collection, "a")) == b"secret"
    others = [bound_to(other, "a") for other in LABELS if other != collection]
    for bound in (*others, bound_to(collection, "b")):
        with pytest.raises(KeyTrouble, match="does not open"):
            keks.unwrap(kek, wrapped, bound)
    with pytest.raises(KeyTrouble, match="does not open"):
        keks.unwrap("second", wrapped, bound_to(collection, "a"))
    with pytest.raises(KeyTrouble, match="no key-encryption key third: it is not in the file"):
        keks.unwrap("third", wrapped, bound_to(collection, "a"))


def test_what_a_key_is_bound_to_is_as_designed():
    assert bound_to(KEYS, "p") == b"rollcall.key.2\0p"
