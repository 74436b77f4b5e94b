"""Hashes passwords with argon2id, off the event loop, a few at a time."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import get_native_id
from typing import Final, TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION, Type
from prometheus_client import Counter

from events.accounts.event import address_key
from events.errors import Busy
from service_kit.slots import Slots

VERIFIED = Counter("rollcall_password_checks_total", "Passwords held against a hash")

T = TypeVar("T")

PARAMETERS: Final = Parameters(
    type=Type.ID,
    version=ARGON2_VERSION,
    salt_len=16,
    hash_len=32,
    time_cost=2,
    memory_cost=19 * 1024,
    parallelism=1,
)
"""19 MiB and two passes: the OWASP Password Storage Cheat Sheet's, for a service that does several at once;
salt and length as RFC 9106, section 4. Grow them here: old hashes are renewed as their owners log in."""
AT_ONCE: Final = 2
MOST_WAITING: Final = 16
"""So a login waits for some ten others at most, which is less than a second."""
EACH: Final = 6


_NICE: Final = 10


def _step_back() -> None:
    """Let this thread have the processor where nobody else wants it, so that logins keep no command waiting.

    On Linux a thread has a priority of its own (sched(7), "The nice value").
    """
    os.setpriority(os.PRIO_PROCESS, get_native_id(), _NICE)


class Hasher:
    """Hashes and verifies in threads of its own; more than `AT_ONCE + MOST_WAITING` are turned away.

    So are more than `EACH` of one address, which leaves places for others. Every method raises `Busy` then.

    Args:
        parameters: Of new hashes.
    """

    def __init__(self, parameters: Parameters = PARAMETERS) -> None:
        self._argon2 = PasswordHasher.from_parameters(parameters)
        self._threads = ThreadPoolExecutor(AT_ONCE, "argon2", initializer=_step_back)
        self._slots = Slots(
            AT_ONCE + MOST_WAITING,
            lambda: Busy("too many passwords are being checked at once", retry_after=1),
            EACH,
        )
        # Verified where there is no account, so that this takes the same time.
        self._nobody = self._argon2.hash("nobody has this password")

    async def hash(self, password: str, address: str | None) -> str:
        """Return a password's hash, with its parameters and a fresh salt; arguments as of `run`."""
        return await self.run(lambda: self._argon2.hash(password), address)

    async def verify(self, known: str | None, password: str, address: str | None) -> bool:
        """Return whether a password belongs to a hash; never without one, and in the same time.

        Args:
            known: The hash.
            password: As it was given.
            address: As of `run`.
        """
        matches = await self.run(lambda: self._matches(known or self._nobody, password), address)
        return matches and known is not None

    def is_outdated(self, known: str) -> bool:
        """Return whether a hash was made with other parameters."""
        return self._argon2.check_needs_rehash(known)

    def _matches(self, known: str, password: str) -> bool:
        VERIFIED.inc()
        try:
            return self._argon2.verify(known, password)
        except (VerificationError, InvalidHashError):
            return False

    async def run(self, work: Callable[[], T], address: str | None) -> T:
        """Do some work in one of the threads.

        Args:
            work: What to do.
            address: Of the client that it is done for; None at a command line.
        """
        holder = address_key(address)
        self._slots.take(holder)
        # Freed when the work is done, also if nobody waits for it any more.
        task = self._threads.submit(work)
        task.add_done_callback(lambda _: self._slots.give_back(holder))
        return await asyncio.wrap_future(task)

    def close(self) -> None:
        """Let the threads go; what is under way is finished."""
        self._threads.shutdown(wait=False, cancel_futures=True)
