"""A container's health check: is the service in it ready? Standard library alone, to be quick."""

import os
import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from typing import Final

TIMEOUT_SECONDS: Final = 4.0
_PORTS: Final = {"ROLLCALL_COMMAND_PORT": 8011, "ROLLCALL_QUERY_PORT": 8012, "ROLLCALL_WORKER_PORT": 8013}


def answer(environ: Mapping[str, str]) -> tuple[bool, str]:
    """Return whether the one service that listens here is ready, and its words.

    A container runs one of the three services, so the first port that answers is the one.

    Args:
        environ: Settings; only the ports are read.
    """
    words = "nothing listens"
    for name, default in _PORTS.items():
        connection = HTTPConnection("127.0.0.1", int(environ.get(name) or default), timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            return response.status == 200, response.read().decode(errors="replace")
        except ConnectionRefusedError:
            continue
        except (OSError, HTTPException) as exc:
            words = f"{name}: {exc!r}"
        finally:
            connection.close()
    return False, words


if __name__ == "__main__":
    ready, said = answer(os.environ)
    print(said)
    sys.exit(not ready)
