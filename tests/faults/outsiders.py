"""People and programs that work in a case while a run is under way: what they do there, and what they wrote.

Nothing that an outsider does takes a byte away: what it deletes or replaces goes into its own bin, at once. So every
line that was ever written must be found afterwards, in the tree, in treegate's areas or in a bin.
"""

from __future__ import annotations

import contextlib
import os
import stat as st
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from treegate.engine import syscalls
from treegate.engine.handles import closing

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


@dataclass
class Grounds:
    """The case that outsiders work in, their bin, and a folder elsewhere with the same names in it."""

    case: Path
    bin: Path
    elsewhere: Path
    said: Path  # the file that outsiders take down in what they wrote, line by line
    known: set[int] = field(default_factory=set)  # inodes of what was in the case before the run

    @classmethod
    def beside(cls, case: Path, folder: Path, names: list[str]) -> Grounds:
        """Bin and elsewhere, made in a folder; `names` (paths of the case's files) are made elsewhere."""
        made = cls(case, folder / "bin", folder / "elsewhere", folder / "said")
        made.bin.mkdir()
        made.elsewhere.mkdir()
        for name in names[::-1]:
            with contextlib.suppress(FileExistsError, NotADirectoryError, IsADirectoryError):
                (made.elsewhere / name).parent.mkdir(parents=True, exist_ok=True)
                (made.elsewhere / name).write_text("nobody may touch this\n")
        return made


@dataclass
class Outsider:
    """One of them. An act that cannot be done raises OSError and leaves all as it was."""

    grounds: Grounds
    name: str
    links: list[tuple[str, str]] = field(default_factory=list)  # (name in the bin, path that a link stands at)
    held: list[int] = field(default_factory=list)
    count: int = 0

    # -- where

    @contextlib.contextmanager
    def _slot(self, path: str) -> Iterator[tuple[int, str]]:
        """A handle of the folder that a path of the case is in, and the name there; never through a link."""
        above, _, name = path.rpartition("/")
        with closing(os.open(self.grounds.case, _FOLDER)) as case:
            resolve = syscalls.RESOLVE_BENEATH | syscalls.RESOLVE_NO_SYMLINKS
            with closing(syscalls.openat2(case, os.fsencode(above or "."), _FOLDER, resolve)) as folder:
                yield folder, name

    @contextlib.contextmanager
    def _bin(self) -> Iterator[tuple[int, str]]:
        self.count += 1
        with closing(os.open(self.grounds.bin, _FOLDER)) as folder:
            yield folder, f"{self.name}-{self.count}"

    def _line(self) -> str:
        self.count += 1
        return f"written by {self.name}, {self.count}"

    def _write(self, fd: int) -> None:
        line = self._line()
        os.write(fd, f"{line}\n".encode())
        with open(self.grounds.said, "a") as said:
            said.write(f"{line}\n")

    # -- what they do

    def edit(self, path: str) -> None:
        """Add a line to a file where it is."""
        with self._slot(path) as (folder, name), closing(os.open(name, _APPEND, dir_fd=folder)) as fd:
            self._write(fd)

    def write_over(self, path: str) -> None:
        """Save a file as editors do: a new one is written aside and takes the old one's place, which goes."""
        with self._slot(path) as (folder, name), self._bin() as (away, new):
            with closing(os.open(name, _APPEND, dir_fd=folder)), closing(os.open(new, _NEW, dir_fd=away)) as fd:
                self._write(fd)
            syscalls.renameat2(away, os.fsencode(new), folder, os.fsencode(name), syscalls.RENAME_EXCHANGE)

    def delete(self, path: str) -> None:
        """Take an entry away, a folder with all that is in it."""
        with self._slot(path) as (folder, name), self._bin() as (away, new):
            self._move(folder, name, away, new)

    def rename(self, path: str) -> None:
        """Give an entry another name."""
        with self._slot(path) as (folder, name):
            self._move(folder, name, folder, f"{name} renamed by {self.name}")

    def _move(self, folder: int, name: str, to: int, new: str) -> None:
        syscalls.renameat2(folder, os.fsencode(name), to, os.fsencode(new), syscalls.RENAME_NOREPLACE)

    def swap(self, path: str, other: str) -> None:
        """Let two entries change places."""
        with self._slot(path) as (one, name), self._slot(other) as (two, new):
            syscalls.renameat2(one, os.fsencode(name), two, os.fsencode(new), syscalls.RENAME_EXCHANGE)

    def link(self, path: str) -> None:
        """Give a file a second name."""
        with self._slot(path) as (folder, name):
            os.link(
                name,
                f"{name} linked by {self.name}",
                src_dir_fd=folder,
                dst_dir_fd=folder,
                follow_symlinks=False,
            )

    def create(self, path: str) -> None:
        """Make a file where there is none."""
        with self._slot(path) as (folder, name), closing(os.open(name, _NEW, 0o644, dir_fd=folder)) as fd:
            self._write(fd)

    def make_folder(self, path: str) -> None:
        """Make a folder where there is nothing."""
        with self._slot(path) as (folder, name):
            os.mkdir(name, dir_fd=folder)

    def make_link(self, path: str) -> None:
        """Make a link that points out of the case, where there is nothing."""
        with self._slot(path) as (folder, name):
            os.symlink(self.grounds.elsewhere / path, name, dir_fd=folder)

    def swap_for_link(self, path: str) -> None:
        """Put a link that points out of the case in the place of an entry."""
        with self._slot(path) as (folder, name), self._bin() as (away, new):
            os.symlink(self.grounds.elsewhere / path, new, dir_fd=away)
            syscalls.renameat2(away, os.fsencode(new), folder, os.fsencode(name), syscalls.RENAME_EXCHANGE)
            self.links.append((new, path))

    def put_back(self) -> None:
        """Put an entry back in the place of the link that stands for it, if it still does."""
        new, path = self.links.pop()
        with self._slot(path) as (folder, name), self._bin() as (away, _):
            if not st.S_ISLNK(os.lstat(name, dir_fd=folder).st_mode):
                raise FileExistsError(f"something else is at {path}")
            syscalls.renameat2(away, os.fsencode(new), folder, os.fsencode(name), syscalls.RENAME_EXCHANGE)

    def hold(self, path: str) -> None:
        """Keep a file open for writing that was there before the run, which may remove what it made itself."""
        with self._slot(path) as (folder, name):
            fd = os.open(name, _APPEND, dir_fd=folder)
        if os.fstat(fd).st_ino not in self.grounds.known:
            os.close(fd)
            raise FileNotFoundError("a file of the run's own")
        self.held.append(fd)

    def let_go(self) -> None:
        """Write to the file that was opened first, wherever it is by now, and close it."""
        with closing(self.held.pop(0)) as fd:
            self._write(fd)

    def end(self) -> None:
        """Write what is still to be written."""
        while self.held:
            self.let_go()

    def work(self, rng: Random, paths: list[str]) -> str:
        """Do something somewhere, if it can be done; the name of the act."""
        act = rng.choice(ACTS)
        needed = {"swap": 2, "put_back": 0, "let_go": 0}.get(act, 1)
        self.do(act, *rng.choices(paths, k=needed))
        return act

    def do(self, act: str, *paths: str) -> bool:
        """Do one thing; False where it cannot be done."""
        try:
            getattr(self, act)(*paths)
        except (OSError, IndexError):
            return False
        return True


ACTS = (
    *("edit", "write_over", "delete", "rename", "swap", "link", "create", "make_folder", "make_link"),
    *("swap_for_link", "put_back", "put_back", "hold", "let_go"),
)
