"""The sudden end of a program that serves a FUSE mount.

The kernel cuts the connection of a killed program once all its threads are gone. One of rclone's may hang in the
kernel then, waiting for a call of ours, which waits for rclone: so it is cut here, as the kernel would have.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path


def kill(pid: int, switch: Path) -> None:
    """End a program with SIGKILL, and its connection by its switch; every call into the mount fails from now on."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(OSError):  # gone already
        switch.write_text("1")


@contextlib.contextmanager
def switches(folder: Path) -> Iterator[Path]:
    """The kernel's list of FUSE connections (Linux, Documentation/filesystems/fuse.rst), mounted on a folder."""
    subprocess.run(["mount", "-t", "fusectl", "none", str(folder)], check=True, timeout=60)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True, timeout=60)


def switch(listed: Path, root: Path) -> Path:
    """What cuts the connection that serves a mount, in the list of all."""
    return listed / str(os.minor(os.stat(root).st_dev)) / "abort"
