"""Calls Cloudinary's SDK off the event loop, bounded in number and time, and names its failures.

The SDK blocks, so each call has a thread of a small pool. What it needs to know goes with each call: its
global configuration, read from the environment when it is imported, is not used.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import structlog

from events.images.errors import ImagesUnavailable
from service_kit.slots import Slots

CALLS: Final = 4
"""At once; each holds a picture of `MAX_FILE_BYTES` at most."""
SDK_SECONDS: Final = 6.0
"""For connecting, and for each piece of an answer."""
DEADLINE_SECONDS: Final = 10.0
"""For a call as a whole."""
_OPTIONS: Final = frozenset({"upload_prefix", "signature_algorithm", "secure_distribution", "private_cdn"})

log = structlog.get_logger()


class SdkCalls:
    """The calls under way.

    Args:
        account: What goes with every call: see `account_of`.
        seconds: Deadline of a call.
    """

    def __init__(self, account: Mapping[str, Any], seconds: float) -> None:
        self._account = account
        self._seconds = seconds
        self._pool = ThreadPoolExecutor(CALLS, thread_name_prefix="cloudinary")
        self._slots = Slots(
            CALLS, lambda: ImagesUnavailable("Cloudinary is slow, and no more calls can wait for it")
        )

    def close(self) -> None:
        """Wait for no call that is under way."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def call(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Return what a function of the SDK returns; None if it finds nothing.

        Raises:
            ImagesUnavailable: It fails, or not all is done before the deadline, or too much is under way:
                a call that was given up still holds its place until it ends.
        """
        self._slots.take()
        options = {**self._account, "timeout": SDK_SECONDS, **options}
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, lambda: _carried_out(function, arguments, options))
        future.add_done_callback(self._free)
        try:
            async with asyncio.timeout(self._seconds):
                return await asyncio.shield(future)
        except TimeoutError:
            raise ImagesUnavailable("Cloudinary does not answer in time", retry_after=5) from None

    def _free(self, future: "asyncio.Future[Any]") -> None:
        self._slots.give_back()
        if not future.cancelled():
            future.exception()  # nobody may be waiting for it any more


def _carried_out(function: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Call the SDK and give its failures our names."""
    from cloudinary import exceptions

    try:
        return function(*arguments, **options)
    except exceptions.NotFound:
        return None
    except exceptions.RateLimited as exc:
        raise ImagesUnavailable("Cloudinary takes no more requests for now", retry_after=60) from exc
    except (
        exceptions.AuthorizationRequired,
        exceptions.NotAllowed,
        exceptions.BadRequest,
        exceptions.AlreadyExists,
    ) as exc:
        log.error("cloudinary refuses", kind=type(exc).__name__)
        raise ImagesUnavailable("Cloudinary refuses what is asked of it", retry_after=30) from exc
    except Exception as exc:
        # Beside its own kinds the SDK raises plain exceptions, and stumbles over answers that are none.
        log.warning("cloudinary failed", kind=type(exc).__name__)
        raise ImagesUnavailable("Cloudinary cannot be reached, or fails") from exc


def account_of(url: str) -> dict[str, Any]:
    """Return what the SDK needs to know of an account.

    Args:
        url: `cloudinary://key:secret@cloud`, as its console shows it; as parameters it may have
            `upload_prefix`, `signature_algorithm`, `secure_distribution` and `private_cdn`.

    Raises:
        SystemExit: It is no such address.
    """
    parts = urlsplit(url)
    if parts.scheme != "cloudinary" or not (parts.hostname and parts.username and parts.password):
        raise SystemExit("cannot start: CLOUDINARY_URL is not of the form cloudinary://key:secret@cloud")
    account: dict[str, Any] = {
        "cloud_name": parts.hostname,
        "api_key": unquote(parts.username),
        "api_secret": unquote(parts.password),
    }
    if parts.path.strip("/"):
        account |= {"private_cdn": True, "secure_distribution": parts.path.strip("/")}
    given = {name: values[0] for name, values in parse_qs(parts.query).items() if name in _OPTIONS}
    if "private_cdn" in given:
        account["private_cdn"] = given.pop("private_cdn") == "true"
    return {**account, **given}
