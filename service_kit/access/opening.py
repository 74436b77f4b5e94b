"""Opens the access log of a process as its settings want it."""

import time
from collections.abc import Callable, Collection
from functools import partial

from starlette.types import ASGIApp

from service_kit.access.log import AccessLog
from service_kit.access.recording import AccessRecording
from service_kit.ids import new_id
from service_kit.mongo.access_store import AccessStore
from service_kit.mongo.connection import Client
from service_kit.seals.kek_source import keks_of
from service_kit.settings import Settings


def open_access_log(settings: Settings, client: Client, service: str) -> AccessLog | None:
    """Return the access log of a process; None if it is off.

    An application that is only built to be described has no keys, and records nothing.

    Args:
        settings: The process's settings.
        client: Of MongoDB.
        service: What the process is.
    """
    if settings.access_log == "off" or settings.kek_file is None:
        return None
    store = AccessStore(client, settings.mongo_db, keks_of(settings))
    return AccessLog(store, service, new_id(), settings.access_log, time.time)


def recording_of(
    access_log: AccessLog | None, impersonal: Collection[str], *, nameless: bool = True
) -> Callable[[ASGIApp], ASGIApp] | None:
    """Return what puts an application behind its access log; None where nothing is recorded.

    Args:
        access_log: The process's.
        impersonal: As of `AccessRecording`.
        nameless: Likewise.
    """
    if access_log is None:
        return None
    return partial(AccessRecording, access_log=access_log, impersonal=impersonal, nameless=nameless)
