"""The verb that opens a MongoDB shell on the database of the system that runs here, or prints its address."""

from __future__ import annotations

import argparse
import json
import os
import shutil
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit

from devstack.parts import operators_environment
from devstack.paths import Paths
from operations.addresses import DatabaseAddress, database_address
from operations.errors import SetupError
from operations.terminal import print_result
from service_kit.files import write_whole

_SHELLS: Final = ("mongosh", "mongo")


def add_mongo(parser: argparse.ArgumentParser) -> None:
    """Options of `mongo`."""
    parser.add_argument(
        "--uri", action="store_true", help="print the address, for any driver, and open nothing"
    )


def mongo(options: argparse.Namespace) -> int:
    """Become the shell; with `--uri` print the address, and nothing else.

    Raises:
        SetupError: No database is known, or there is no shell.
    """
    paths = Paths.find()
    environ = {**os.environ, **operators_environment(paths, os.environ)}
    uri = uri_with_database(database_address(environ))
    if options.uri:
        print_result(uri)
        return 0
    shell = next(filter(None, map(shutil.which, _SHELLS)), None)
    if shell is None:
        raise SetupError(
            "There is no MongoDB shell on PATH, neither mongosh nor mongo: install mongosh "
            "(https://www.mongodb.com/docs/mongodb-shell/install/), or open the address that "
            "`./run mongo --uri` prints with another client."
        )
    try:
        os.execv(shell, [shell, *_arguments(uri, paths)])  # noqa: S606 - no shell of the system's
    except OSError as exc:
        raise SetupError(f"{shell} does not start: {exc.strerror}.") from exc


def _arguments(uri: str, paths: Paths) -> list[str]:
    """Return what the shell is given: an address with a password in a file, since others see arguments.

    Raises:
        OSError: The file cannot be written.
    """
    if "@" not in urlsplit(uri).netloc:
        return [uri]
    opening = paths.run / "mongo-shell.js"
    write_whole(opening, f"db = connect({json.dumps(uri)});\n")
    return ["--nodb", "--shell", str(opening)]


def uri_with_database(address: DatabaseAddress) -> str:
    """Return a connection string that names the database in its path, as clients expect it.

    A name in the path is also where a user is looked up, unless `authSource` says otherwise
    (https://www.mongodb.com/docs/manual/reference/connection-string-options/), so it has to say it then.

    Args:
        address: The connection string and the database's name.
    """
    # `urlsplit` accepts several hosts; other functions of the standard library refuse them.
    parts = urlsplit(address.uri)
    options = {name.lower(): value for name, value in parse_qsl(parts.query)}
    query = parts.query
    if "@" in parts.netloc and "authsource" not in options and _is_password(options.get("authmechanism", "")):
        query = f"{query}&" if query else ""
        query += f"authSource={parts.path.strip('/') or 'admin'}"
    path = quote(address.database, safe="")
    return f"{parts.scheme}://{parts.netloc}/{path}{'?' if query else ''}{query}"


def _is_password(mechanism: str) -> bool:
    """Return whether a mechanism looks users up in a database; the others have a place of their own."""
    return not mechanism or mechanism.upper().startswith("SCRAM")
