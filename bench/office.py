"""Trees and plans to measure on."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CONTENT = b"x" * 4096


@contextmanager
def scratch(at: str) -> Iterator[Path]:
    """A folder to measure in, on the filesystem of another; it goes in the end."""
    root = Path(tempfile.mkdtemp(prefix="bench-", dir=at)).resolve()
    try:
        yield root
    finally:
        shutil.rmtree(root)


def build(projects: Path, cases: int, files: int) -> None:
    """`cases` cases, each with `files` files of 4 KiB in `Scans/`, and an empty `Sorted/`."""
    for case in range(cases):
        scans = projects / f"case-{case:03}" / "Scans"
        scans.mkdir(parents=True)
        (projects / f"case-{case:03}" / "Sorted").mkdir()
        folder = os.open(scans, os.O_RDONLY | os.O_DIRECTORY)
        for number in range(files):
            fd = os.open(f"scan{number:06}.pdf", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=folder)
            os.write(fd, CONTENT)
            os.close(fd)
        os.close(folder)
    os.sync()


def moves(cases: int, files: int, *, back: bool = False) -> bytes:
    """A plan that moves every file, one operation each, from `Scans/` to `Sorted/` (or back)."""
    source, target = ("Sorted", "Scans") if back else ("Scans", "Sorted")
    operations = [
        {
            "op": "move",
            "from": f"case-{case:03}/{source}/scan{number:06}.pdf",
            "to": f"case-{case:03}/{target}/scan{number:06}.pdf",
        }
        for case in range(cases)
        for number in range(files)
    ]
    return json.dumps({"version": 1, "title": "Sort everything", "operations": operations}).encode()


def bare_loop(projects: Path, cases: int, *, back: bool = False) -> int:
    """The same moves as a bare loop of `os.rename` with directory handles, in directory order; ends in one syncfs."""
    from treegate.engine import posix

    source, target = ("Sorted", "Scans") if back else ("Scans", "Sorted")
    done = 0
    for case in range(cases):
        above = projects / f"case-{case:03}"
        src = os.open(above / source, os.O_RDONLY | os.O_DIRECTORY)
        dst = os.open(above / target, os.O_RDONLY | os.O_DIRECTORY)
        for name in os.listdir(src):
            os.rename(name, name, src_dir_fd=src, dst_dir_fd=dst)
            done += 1
        os.close(src)
        os.close(dst)
    root = os.open(projects, os.O_RDONLY | os.O_DIRECTORY)
    posix.syncfs(root)
    os.close(root)
    return done
