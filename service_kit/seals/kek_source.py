"""Chooses where a process has its key-encryption keys from: the seam at which a KMS or a vault plugs in."""

from service_kit.seals.kek import KekFile, Keks, KekSource, load_keks
from service_kit.settings import Settings


def kek_source(settings: Settings) -> KekSource:
    """Return the source of the key-encryption keys that the settings name.

    Raises:
        SystemExit: They name none.
    """
    if settings.kek_file is None:
        raise SystemExit("cannot start: ROLLCALL_KEK_FILE: is missing")
    return KekFile(settings.kek_file)


def keks_of(settings: Settings) -> Keks:
    """Return the key-encryption keys of a process, which asks their source once, when it starts.

    Raises:
        SystemExit: They cannot be had; the message says why.
    """
    return load_keks(kek_source(settings))
