"""Runs a service whose clock is wrong: `python -m tests.shifted`; what, and by how much, from the environment."""

from __future__ import annotations

import importlib
import os
import time
from datetime import datetime, timedelta, tzinfo
from typing import TYPE_CHECKING

import jwt.api_jwt

if TYPE_CHECKING:
    from tests.system import Service

_REAL = time.time


def shifted(service: Service, seconds: float) -> Service:
    """Give a service that is not started yet a clock so many seconds ahead."""
    service.environment |= {"SHIFTED_MODULE": service.module, "SHIFTED_SECONDS": str(seconds)}
    service.module = "tests.shifted"
    return service


def main() -> None:
    """Run the service, its name for the time replaced; the monotonic clock goes on as it is."""
    seconds = float(os.environ["SHIFTED_SECONDS"])

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=seconds)

    module = importlib.import_module(f"{os.environ['SHIFTED_MODULE']}.__main__")
    time.time = lambda: _REAL() + seconds
    vars(module)["datetime"] = vars(jwt.api_jwt)["datetime"] = Shifted
    module.main()


if __name__ == "__main__":
    main()
