"""The image's build, step by step as the Dockerfile says, without an engine and as a user without rights."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from operations.env import variables
from tests.compose.composefile import ROOT, ComposeFile

NOBODY = 10001
PYTHON = str(Path(sys.executable).resolve())
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
IGNORED = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
REQUIREMENTS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
Steps = list[tuple[str, str]]


def stages() -> list[Steps]:
    """Return each stage's instructions."""
    found: list[Steps] = []
    for line in DOCKERFILE.splitlines():
        if match := re.match(r"([A-Z]+) (.+)", line):
            if match[1] == "FROM":
                found.append([])
            found[-1].append((match[1], match[2]))
    return found


BUILD, FINAL = stages()


@cache
def as_nobody() -> list[str]:
    """Return what comes before a command to run it as a user who may write nothing but its own.

    Where this Python is hidden from other users, that one may read what root may, and no more.
    """
    if os.geteuid() != 0:
        return []
    drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    read = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    for way in (drop, [*drop, *read]):
        if not subprocess.run(
            [*way, "sh", "-c", f"{PYTHON} -c 0"], capture_output=True, check=False
        ).returncode:
            return way
    raise AssertionError(f"{PYTHON} cannot be run by another user")


@dataclass
class Image:
    """Directories that stand for the image's file system.

    Attributes:
        root: Where they are.
        found: What looking for the packages of the image's own Python came to.
    """

    root: Path
    found: "Future[subprocess.CompletedProcess[str]] | None" = None

    def here(self, text: str) -> str:
        """Return a command with the image's directories replaced by those here."""
        return re.sub(r"(?<![\w.])/(venv|app|build)\b", lambda m: str(self.root / m[1]), text)

    def run(
        self, command: str, place: str, programs: Path, **environment: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in a directory of the image as a user who owns nothing else."""
        kept = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
        path = f"{programs}:/usr/bin:/bin"
        # Compiling what nobody imports here would take most of the time.
        home = {
            "PIP_NO_COMPILE": "1",
            "HOME": str(self.root / "home"),
            "PATH": path,
            "CC": "/bin/false",
            "CXX": "/bin/false",
        }
        return subprocess.run(
            [*as_nobody(), "sh", "-c", self.here(command)],
            cwd=self.root / place,
            env={**kept, **home, "PYTHONPATH": "", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def build(self, command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of the stage that builds; its Python is the one that runs these tests."""
        return self.run(command, "build", Path(sys.executable).parent)

    def program(self, command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of a container."""
        return self.run(
            command, "app", self.root / "venv" / "bin", PYTHONPATH=str(self.root / "app"), **environment
        )

    def copy(self, step: str, place: str) -> None:
        """Copy what a COPY step copies, and what .dockerignore lets through."""
        *sources, target = step.split()
        for source in sources:
            assert f"!{source}" in IGNORED, f"{source} is kept out by .dockerignore"
            to = self.root / place / target
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            else:
                shutil.copy(ROOT / source, to)


def for_the_images_python(install: str) -> str:
    """Return an install step that only looks for the packages, those of the image's own Python."""
    version = re.match(r"python:([\d.]+)-slim", dict(BUILD)["FROM"])[1]
    platforms = " ".join(f"--platform manylinux{tag}_x86_64" for tag in ("_2_17", "_2_28", "2014"))
    look = f"--dry-run --ignore-installed --target nowhere --python-version {version} {platforms}"
    return f"{install.replace(' --python /venv/bin/python', '')} {look}"


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image's directories after every step."""
    # Not pytest's own directory, which only its owner may enter.
    with tempfile.TemporaryDirectory(prefix="rollcall-image-") as name:
        made = Image(Path(name))
        made.root.chmod(0o755)
        for part in ("home", "build", "venv", "app"):
            (made.root / part).mkdir()
            if part != "app" and os.geteuid() == 0:
                os.chown(made.root / part, NOBODY, NOBODY)
        with ThreadPoolExecutor(1) as beside:
            for kind, step in BUILD:
                if kind == "COPY":
                    made.copy(step, "build")
                elif kind == "RUN":
                    if " install " in step:
                        made.found = beside.submit(made.build, for_the_images_python(step))
                    done = made.build(step)
                    assert done.returncode == 0, done.stdout + done.stderr
        for kind, step in FINAL:
            if kind == "COPY" and not step.startswith("--from=build"):
                made.copy(step, "app")
        yield made


def test_nothing_is_left_out_of_these_tests():
    assert [kind for kind, _ in BUILD] == ["FROM", "WORKDIR", "ENV", "RUN", "COPY", "RUN"]
    assert {kind for kind, _ in FINAL} == {
        "FROM",
        "WORKDIR",
        "COPY",
        "ENV",
        "RUN",
        "USER",
        "HEALTHCHECK",
        "CMD",
    }


def test_no_step_wants_a_compiler_or_installs_packages_of_the_system():
    installs = [step for kind, step in BUILD if kind == "RUN" and " install " in step]
    assert len(installs) == 1 and "--only-binary :all: --require-hashes" in installs[0]
    assert not re.search(r"apt|apk|gcc|build-essential", DOCKERFILE)


def test_the_user_is_a_number_and_not_root():
    assert dict(FINAL)["USER"] == f"{NOBODY}:{NOBODY}"


def test_every_service_can_be_imported_where_the_image_has_it(image):
    done = image.program(
        'python -c "import command_api.__main__, query_api.__main__, workers.__main__; print(command_api.__file__)"'
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(image.root / "app" / "command_api" / "__init__.py")


def test_the_hashes_are_of_what_the_services_need_in_the_versions_that_are_tested():
    locked = {
        canonicalize_name(name): version
        for name, version in re.findall(
            r"^([\w.-]+)==([^ ]+)(?: ;.*)? \\\n    --hash=sha256:", REQUIREMENTS, flags=re.M
        )
    }
    assert len(locked) == REQUIREMENTS.count("==")
    tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split())
    pinned = {canonicalize_name(name): version for name, version in tested.items()}
    assert locked.items() <= pinned.items()
    with (ROOT / "pyproject.toml").open("rb") as file:
        needed = tomllib.load(file)["project"]["dependencies"]
    assert {canonicalize_name(Requirement(one).name) for one in needed} <= set(locked)


def test_what_is_installed_is_pinned_and_holds_no_tool_of_development(image):
    frozen = image.build("python -m pip --python /venv/bin/python freeze").stdout.split()
    pinned = {re.sub("[_.]", "-", line.lower()) for line in (ROOT / "constraints.txt").read_text().split()}
    assert len(frozen) > 20
    assert {re.sub("[_.]", "-", line.lower()) for line in frozen} <= pinned
    assert not any(line.startswith(("pytest", "mypy", "ruff", "caddy")) for line in frozen)


def test_a_service_without_settings_says_what_is_missing(image):
    done = image.program("python -m workers")
    assert done.returncode == 1
    assert "cannot start: ROLLCALL_" in done.stderr


def test_the_initialiser_without_settings_says_what_is_missing(image):
    done = image.program("python mongo-cluster/initialise.py")
    assert done.returncode == 1
    assert "ROLLCALL_MONGO_URI" in done.stderr and "Traceback" not in done.stderr


def test_no_token_is_made_inside_without_a_log_that_tells_of_it(image):
    key = image.root / "home" / "key"
    key.write_text("k" * 64)
    key.chmod(0o644)
    line = "python -m operations token --sub ada --ttl 15m"
    done = image.program(line, ROLLCALL_JWT_KEY_FILE=str(key))
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "No database is known here" in done.stderr


def test_the_health_check_says_no_where_nothing_runs(image):
    command = re.search(r"CMD (\[.+\])", dict(FINAL)["HEALTHCHECK"])[1]
    ports = {f"ROLLCALL_{name}_PORT": "1" for name in ("COMMAND", "QUERY", "WORKER")}
    done = image.program(shlex.join(eval(command)), **ports)
    assert (done.returncode, done.stdout) == (1, "nothing listens\n")


def test_the_programs_are_compiled_and_not_writable_for_their_user(image):
    compiling, keeping = [step for kind, step in FINAL if kind == "RUN"]
    services = ComposeFile.load(variables()).services
    mounts = [services[name]["volumes"][0].partition(":")[2] for name in ("command-api-1", "worker-1")]
    assert keeping == f"install -d -o {NOBODY} -g {NOBODY} -m 700 {' '.join(mounts)}"
    subprocess.run(
        ["sh", "-c", image.here(compiling).replace("python", sys.executable, 1)],
        check=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPYCACHEPREFIX"},
    )
    assert list((image.root / "app" / "command_api" / "__pycache__").glob("app.*.pyc"))
    if os.geteuid() == 0:
        assert image.program("touch command_api/app.py").returncode != 0


def test_every_package_has_a_wheel_for_the_images_python(image):
    done = image.found.result()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Would install" in done.stdout
