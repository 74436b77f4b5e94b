"""The verb that builds the documentation and serves it to a browser on this machine."""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from devstack.paths import Paths
from operations.errors import SetupError
from operations.terminal import print_progress, print_result, short_path

DEFAULT_PORT: Final = 8010
_LOOPBACK: Final = "127.0.0.1"


def add_docs(parser: argparse.ArgumentParser) -> None:
    """Options of `docs`."""
    parser.add_argument("--build", action="store_true", help="only build it, and print where it is")
    parser.add_argument(
        "--port",
        type=_port,
        default=DEFAULT_PORT,
        metavar="N",
        help=f"where it is served, on loopback (default: {DEFAULT_PORT})",
    )


def docs(options: argparse.Namespace) -> int:
    """Build the documentation; then serve it until Ctrl-C, unless only a build was asked for."""
    paths = Paths.find()
    paths.create()
    pages = paths.state / "docs" / "html"
    if status := build(paths.root, pages.parent):
        print_progress("The documentation could not be built: what is wrong stands above.")
        return status
    if options.build:
        print_result(str(pages / "index.html"))
        return 0
    return _serve(pages, options.port)


def build(root: Path, target: Path) -> int:
    """Build the site from nothing, in some ten seconds; every warning is an error.

    A build that was interrupted would else be gone on with, and lack pages.

    Args:
        root: The project.
        target: Gets the folders `html` and `doctrees`.

    Returns:
        The exit status of Sphinx.
    """
    shutil.rmtree(target, ignore_errors=True)
    print_progress(f"Building the documentation into {short_path(target)} …")
    options = ("-q", "-W", "-n", "--keep-going", "-b", "html", "-d", str(target / "doctrees"))
    command = [sys.executable, "-m", "sphinx", *options, str(root / "docs"), str(target / "html")]
    return subprocess.run(command, cwd=root, check=False).returncode


class _Pages(http.server.SimpleHTTPRequestHandler):
    """Answers with files, and writes no line for each."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        pass


def _serve(pages: Path, port: int) -> int:
    handler = functools.partial(_Pages, directory=str(pages))
    try:
        server = http.server.ThreadingHTTPServer((_LOOPBACK, port), handler)
    except OSError as exc:
        raise SetupError(
            f"Port {port} cannot be used ({exc.strerror}): choose another with `./run docs --port N`."
        ) from exc
    with server:
        print_result(f"http://{_LOOPBACK}:{server.server_port}/")
        print_progress("Ctrl-C ends it.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def _port(text: str) -> int:
    """A port as an argument; 0 lets the system choose."""
    if not (text.isdecimal() and int(text) < 2**16):
        raise argparse.ArgumentTypeError("choose a number up to 65535")
    return int(text)
