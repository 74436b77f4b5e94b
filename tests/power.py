"""Small file systems of a test's own, which can lose power or run full; only root can mount them."""

import contextlib
import errno
import fcntl
import os
import signal
import struct
import subprocess
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Self

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_BALLAST = ".ballast"
_BLOCK = 4096
_UNMOUNT_SECONDS = 20.0


class Disk:
    """An ext4 file system in a file, mounted for as long as the block runs.

    The file is sparse, so size costs nothing until it is used. A RabbitMQ node of ours wants 64 MB free,
    a new mongod some 40 MB.

    Attributes:
        folder: Where it is mounted.
    """

    def __init__(self, folder: Path, megabytes: int = 2048) -> None:
        """Describe the disk.

        Args:
            folder: Where it is mounted, made when it is not there; the file lies beside it.
            megabytes: Its size.
        """
        self.folder = folder.resolve()
        self._image = self.folder.with_name(f"{self.folder.name}.ext4")
        self._megabytes = megabytes

    def __enter__(self) -> Self:
        assert os.geteuid() == 0, "only root can mount a file system"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._image.open("wb") as image:
            image.truncate(self._megabytes * 1_000_000)
        # No block is kept for root, who would else never see the disk full.
        _run("mkfs.ext4", "-q", "-F", "-m", "0", "-b", str(_BLOCK), str(self._image))
        self._mount()
        # A node's data folder counts as new while nothing is in it.
        (self.folder / "lost+found").rmdir()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._unmount()
        finally:
            self._image.unlink(missing_ok=True)

    def cut(self, processes: Iterable[int] = ()) -> None:
        """Cut the power: what was not synced may be lost, and every process that used the disk is killed.

        Args:
            processes: Ids of more processes that lose their power at the same moment.
        """
        cut([self], processes)

    def fill(self, keep: int = 0) -> None:
        """Take every byte that is free; call it again to take what others have freed since.

        Args:
            keep: So many bytes are left.
        """
        descriptor = os.open(self.folder / _BALLAST, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            step = 64 * 1024 * 1024
            while step >= _BLOCK:
                if self.free_bytes - step < keep:
                    step //= 2
                    continue
                try:
                    os.posix_fallocate(descriptor, os.fstat(descriptor).st_size, step)
                except OSError as exc:
                    if exc.errno != errno.ENOSPC:
                        raise
                    step //= 2
        finally:
            os.close(descriptor)

    def free(self) -> None:
        """Give back what `fill` took."""
        (self.folder / _BALLAST).unlink(missing_ok=True)

    @property
    def free_bytes(self) -> int:
        """How much can still be written."""
        held = os.statvfs(self.folder)
        return held.f_bavail * held.f_frsize

    def users(self) -> set[int]:
        """Return the ids of the processes that have something of the disk open, mapped, or as their folder."""
        return {pid for pid in _processes() if any(self._holds(path) for path in _paths(pid))}

    def _holds(self, path: str) -> bool:
        return path == str(self.folder) or path.startswith(f"{self.folder}/")

    def _shut_down(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _EXT4_IOC_SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def _mount(self) -> None:
        # The loop device releases itself when the file system is unmounted.
        _run("mount", "-o", "loop", str(self._image), str(self.folder))

    def _unmount(self) -> None:
        """Unmount, killing who uses the disk; at last without waiting for the kernel."""
        deadline = time.monotonic() + _UNMOUNT_SECONDS
        while os.path.ismount(self.folder):
            if subprocess.run(["umount", str(self.folder)], capture_output=True, check=False).returncode == 0:
                continue
            if time.monotonic() > deadline:
                _run("umount", "--lazy", str(self.folder))
                raise AssertionError(f"{self.folder} is still in use by {sorted(self.users())}")
            _kill(self.users())
            time.sleep(0.05)


def cut(disks: Collection[Disk], processes: Iterable[int] = ()) -> None:
    """Cut the power of several disks, and of every process that uses one, at the same moment; mount them again.

    Whoever uses them has stopped when the disks fail: a power cut shows nobody an error.

    Args:
        disks: Each is mounted when this returns, with what its journal brings back.
        processes: Ids of more processes that are killed.
    """
    users = set(processes).union(*(disk.users() for disk in disks)) - {os.getpid()}
    for pid in users:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    # What they started meanwhile.
    users |= set().union(*(disk.users() for disk in disks)) - {os.getpid()}
    for disk in disks:
        disk._shut_down()
    _kill(users)
    for disk in disks:
        disk._unmount()
        disk._mount()


def _kill(pids: Iterable[int]) -> None:
    """End processes, and return when the kernel has closed what they had open."""
    pids = set(pids) - {os.getpid()}
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _UNMOUNT_SECONDS
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    """Whether a process has not ended; one that only waits to be asked for its status has."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def _processes() -> Iterable[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _paths(pid: int) -> Iterable[str]:
    """Yield what a process has open, works in and has mapped; nothing once it has ended."""
    root = Path(f"/proc/{pid}")
    with contextlib.suppress(OSError):
        yield str((root / "cwd").readlink())
    with contextlib.suppress(OSError):
        for descriptor in (root / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(descriptor.readlink())
    with contextlib.suppress(OSError):
        for line in (root / "maps").read_text().splitlines():
            if (at := line.find("/")) >= 0:
                yield line[at:]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
