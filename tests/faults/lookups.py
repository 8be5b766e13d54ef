"""The race of path look-ups: what is opened while another process swaps the folders and files on the way.

A folder, one in it and a file in that change places all the time with links that point out, and another folder is
moved out and in again. Whatever a look-up gives must be one of the entries that were inside, else it has escaped.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import broken
from contested import ground
from crash_sweep import Fault, in_child
from watching import Watch

from treegate.engine import handles, posix, syscalls

ESCAPED, INSIDE, REFUSED = "escaped", "inside", "refused"
# EXDEV: the folder was moved out of the one it was looked up in meanwhile.
_REFUSALS = (errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.EXDEV)


class Maze:
    """`inside` with a/b/file and m/n/o in it, the like of it `outside`, and a folder of spare entries."""

    def __init__(self, folder: Path) -> None:
        self.inside, self.outside, self.spare = (folder / name for name in ("inside", "outside", "spare"))
        for top in (self.inside, self.outside):
            (top / "a/b").mkdir(parents=True)
            (top / "m/n/o").mkdir(parents=True)
            (top / "a/b/file").write_text(top.name)
        self.spare.mkdir()
        (self.spare / "a").symlink_to("../outside/a")
        (self.spare / "b").symlink_to(self.outside / "a/b")
        (self.spare / "file").symlink_to("../../../outside/a/b/file")
        self.known = {_seen(path) for path in (self.inside, *self.inside.rglob("*"))}
        self.root = handles.open_root(str(self.inside))
        self.deepest = handles.open_root(str(self.inside / "a/b"))

    def swap(self, seed: int) -> None:
        """Swap without end: what the other process does."""
        spare, rng = handles.open_root(str(self.spare)), Random(seed)
        above = handles.open_root(str(self.inside / "a"))
        pairs = ((self.root, b"a"), (above, b"b"), (self.deepest, b"file"), (self.root, b"m"))
        while True:
            folder, name = pairs[rng.randrange(4)]
            if name != b"m":
                syscalls.renameat2(folder, name, spare, name, syscalls.RENAME_EXCHANGE)
            else:
                syscalls.renameat2(folder, name, spare, name, 0)
                syscalls.renameat2(spare, name, folder, name, 0)

    def lookups(self) -> tuple[Callable[[], int], ...]:
        """Every way in which the engine opens a folder or file; each gives a handle."""
        root, deepest = self.root, self.deepest
        return (
            lambda: handles.open_dir(root, b"a/b"),
            lambda: handles.walk_dir(root, b"a/b"),
            lambda: handles.open_dir(root, "m/n/o"),
            lambda: handles.walk_dir(root, b"m/n/o"),
            lambda: handles.open_below(root, b"a/b"),
            lambda: handles.open_mounted(root, b"a"),
            lambda: handles.open_child(root, b"a"),
            self._step_by_step,
            lambda: handles.open_file(deepest, b"file"),
            self._changed,
        )

    def _step_by_step(self) -> int:
        with (
            handles.closing(handles.open_child(self.root, b"a")) as folder,
            handles.closing(handles.open_child(folder, b"b")) as below,
        ):
            return handles.open_file(below, b"file")

    def _changed(self) -> int:
        """What changes an entry by its name never follows a link: its events elsewhere would tell."""
        posix.utime(self.deepest, b"file", 1)
        posix.xattrs(self.deepest, b"file")
        posix.chmod(self.deepest, b"file", 0o600)
        return handles.open_file(self.deepest, b"file")


def _seen(path: Path) -> tuple[int, int]:
    now = path.lstat()
    return now.st_dev, now.st_ino


def race(count: int, seed: int = 0, break_: str = "") -> Counter[str]:
    """So many look-ups while another process swaps; how many ended inside, refused, or escaped."""
    with ground() as folder:
        maze = Maze(folder)
        with contextlib.closing(Watch(maze.outside)) as watch, _swapping(maze, seed):
            ended = in_child(lambda: json.dumps(_looked_up(maze, count, break_)), Fault())
            assert ended.how.startswith("{"), ended.text
            found = Counter(json.loads(ended.how))
            found[ESCAPED] += len(watch.seen())
        handles.close(maze.root)
        handles.close(maze.deepest)
    return +found


@contextlib.contextmanager
def _swapping(maze: Maze, seed: int) -> Iterator[None]:
    pid = os.fork()
    if not pid:
        try:
            maze.swap(seed)
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "the swaps came to an end"


def _looked_up(maze: Maze, count: int, break_: str) -> Counter[str]:
    broken.install(break_)
    found: Counter[str] = Counter()
    ways = maze.lookups()
    for number in range(count):
        found[_how(maze, ways[number % len(ways)])] += 1
    return found


def _how(maze: Maze, look: Callable[[], int]) -> str:
    try:
        fd = look()
    except OSError as error:
        if error.errno in _REFUSALS:
            return REFUSED
        raise
    try:
        now = os.fstat(fd)
        return INSIDE if (now.st_dev, now.st_ino) in maze.known else ESCAPED
    finally:
        os.close(fd)
