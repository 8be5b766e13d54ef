"""What scripts do to a tree, at random: short programs that can be run anywhere, printed, and made shorter.

A step is a name and some numbers. Numbers choose among what is there when the step's turn comes, so a program still
means something when steps of it are left out. What cannot be done is passed over, as a script would that goes on.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import random
import shutil
import stat
from collections.abc import Callable, Iterable
from typing import NamedTuple

from treegate.engine import syscalls

Step = tuple[str, int, int, int]
Program = list[Step]

NAMES = (
    b"a", b"b", b"c", b"d", b"e", b"letter.txt", b"Scan 01.pdf", b"draft~", b"tab\there", b"line\nbreak",
    b"back\\slash", b"per%20cent", b"q'uo\"te", b"\xff\xfe bytes", b"caf\xc3\xa9", b"cafe\xcc\x81", b" edge ",
    b"dot.", b"-rf", b"*?[x]", b"{name}", b"\xf0\x9f\x93\x81", b".hidden", b"#1", b"$HOME", b"n" * 200,
)  # fmt: skip
CONTENTS = (b"", b"one", b"two", b"1111111111", b"2222222222", b"x" * 5000, b"y" * 5000, b"\0" * 9000, b"z" * 70_000)
MODES = (0o644, 0o600, 0o640, 0o755, 0o700, 0o444, 0o000, 0o777, 0o200, 0o111, 0o1755)
TIMES = (0, 1, 1_600_000_000_123_456_789, 1_700_000_000_000_000_001, -86_400_000_000_001, 4_000_000_000_999_999_999)


class Scene:
    """The tree in the current folder, as a program sees it."""

    def __init__(self, deepest: int = 12) -> None:
        self._deepest = deepest

    def run(self, program: Iterable[Step]) -> int:
        """Carries a program out; how many of its steps could be."""
        done = 0
        for name, *numbers in program:
            with contextlib.suppress(OSError, _Pass):
                STEPS[name](self, *numbers)
                done += 1
        return done

    # -- choosing

    def everything(self) -> list[bytes]:
        """All that is there, in an order that is the same wherever the tree is."""
        found = []
        for folder, folders, files in os.walk(b"."):
            folders.sort()
            found += [os.path.join(folder, name)[2:] for name in sorted([*folders, *files])]
        return found

    def entry(self, number: int, *wanted: Callable[[int], bool]) -> bytes:
        """An entry, of a kind where that is said."""
        found = [path for path in self.everything() if not wanted or wanted[0](os.lstat(path).st_mode)]
        if not found:
            raise _Pass
        return found[number % len(found)]

    def file(self, number: int) -> bytes:
        return self.entry(number, stat.S_ISREG)

    def folder(self, number: int) -> bytes:
        """A folder, the top among them."""
        found = [b"", *(path for path in self.everything() if stat.S_ISDIR(os.lstat(path).st_mode))]
        return found[number % len(found)]

    def place(self, folder: int, name: int) -> bytes:
        """A name in a folder, whether there is something or not."""
        above = self.folder(folder)
        if above.count(b"/") >= self._deepest:
            raise _Pass
        return os.path.join(above, NAMES[name % len(NAMES)])

    def free(self, folder: int, name: int) -> bytes:
        """A free name in a folder."""
        path = self.place(folder, name)
        if os.path.lexists(path):
            raise _Pass
        return path

    # -- making

    def create(self, folder: int, name: int, content: int) -> None:
        _write(self.free(folder, name), CONTENTS[content % len(CONTENTS)])

    def mkdir(self, folder: int, name: int, _: int) -> None:
        os.mkdir(self.free(folder, name))

    def chain(self, folder: int, name: int, length: int) -> None:
        """A folder in a folder in a folder."""
        path = self.free(folder, name)
        for each in range(1 + length % 5):
            os.mkdir(path)
            path = os.path.join(path, NAMES[(name + each) % len(NAMES)])

    def symlink(self, folder: int, name: int, target: int) -> None:
        """A link that stays in the tree, whether it leads anywhere or not."""
        os.symlink((b"a", b"./b", b"letter.txt", b"back\\slash", b"\xff")[target % 5], self.free(folder, name))

    def link(self, source: int, folder: int, name: int) -> None:
        os.link(self.entry(source, _is_leaf), self.free(folder, name), follow_symlinks=False)

    def copy(self, source: int, folder: int, name: int) -> None:
        """A copy with its mode and time where `name` is even, else only with its content."""
        copy = shutil.copy2 if name % 2 else shutil.copyfile
        copy(self.file(source), self.free(folder, name))

    def copytree(self, source: int, folder: int, name: int) -> None:
        top, target = self.entry(source, stat.S_ISDIR), self.free(folder, name)
        if not (target + b"/").startswith(top + b"/"):
            shutil.copytree(top, target, symlinks=True)

    def fifo(self, folder: int, name: int, _: int) -> None:
        os.mkfifo(self.free(folder, name))

    # -- contents

    def write(self, file: int, content: int, _: int) -> None:
        _write(self.file(file), CONTENTS[content % len(CONTENTS)])

    def append(self, file: int, content: int, _: int) -> None:
        with open(self.file(file), "ab") as stream:
            stream.write(CONTENTS[content % len(CONTENTS)])

    def patch(self, file: int, at: int, byte: int) -> None:
        """One byte of a file, its size as before."""
        with open(self.file(file), "r+b") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(at % max(size, 1))
            stream.write(bytes([byte % 256]))

    def mapped(self, file: int, at: int, byte: int) -> None:
        """One byte of a file, through memory that was read first."""
        with open(self.file(file), "r+b") as stream:
            size = stream.seek(0, os.SEEK_END)
            if size:
                with mmap.mmap(stream.fileno(), size) as memory:
                    memory[at % size] = (memory[at % size] + byte) % 256

    def quietly(self, file: int, at: int, byte: int) -> None:
        """One byte of a file, and then its old time."""
        path = self.file(file)
        facts = os.stat(path)
        self.patch(file, at, byte)
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    def truncate(self, file: int, size: int, _: int) -> None:
        os.truncate(self.file(file), size % 6000)

    def over(self, file: int, content: int, name: int) -> None:
        """The careful way to write: beside it, and then in its place."""
        path = self.file(file)
        aside = os.path.join(os.path.dirname(path), b"tmp%d" % name)
        _write(aside, CONTENTS[content % len(CONTENTS)])
        if name % 3 == 0:
            shutil.copystat(path, aside)
        os.rename(aside, path)

    def again(self, entry: int, content: int, _: int) -> None:
        """Takes an entry away and makes one of the same name, and where it is a file perhaps the same content."""
        path = self.entry(entry, lambda mode: not stat.S_ISFIFO(mode))
        mode = os.lstat(path).st_mode
        if stat.S_ISDIR(mode):
            shutil.rmtree(path)
            os.mkdir(path)
        elif stat.S_ISLNK(mode):
            target = os.readlink(path)
            os.unlink(path)
            os.symlink(target if content % 2 else b"b", path)
        else:
            data = _read(path) if content % 2 else CONTENTS[content % len(CONTENTS)]
            os.unlink(path)
            _write(path, data)

    # -- places

    def rename(self, entry: int, folder: int, name: int) -> None:
        """To any name, also one that is taken."""
        os.rename(self.entry(entry), self.place(folder, name))

    def retitle(self, entry: int, name: int, _: int) -> None:
        """To another name in the same folder."""
        path = self.entry(entry)
        os.rename(path, os.path.join(os.path.dirname(path), NAMES[name % len(NAMES)]))

    def into(self, entry: int, folder: int, _: int) -> None:
        """Into another folder under the same name."""
        path = self.entry(entry)
        os.rename(path, os.path.join(self.folder(folder), os.path.basename(path)))

    def overwrite(self, entry: int, other: int, _: int) -> None:
        """Onto another entry: a file over a file, a folder over an empty one."""
        os.rename(self.entry(entry), self.entry(other))

    def exchange(self, entry: int, other: int, _: int) -> None:
        here = os.open(b".", os.O_RDONLY | os.O_DIRECTORY)
        try:
            syscalls.renameat2(here, self.entry(entry), here, self.entry(other), syscalls.RENAME_EXCHANGE)
        finally:
            os.close(here)

    def swap(self, entry: int, other: int, _: int) -> None:
        """Two entries change places by way of a third name."""
        one, two = self.entry(entry), self.entry(other)
        if one != two and not (one + b"/").startswith(two + b"/") and not (two + b"/").startswith(one + b"/"):
            os.rename(one, b"swapped aside")
            os.rename(two, one)
            os.rename(b"swapped aside", two)

    # -- taking away

    def delete(self, entry: int, _: int, __: int) -> None:
        path = self.entry(entry)
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)

    def empty(self, folder: int, _: int, __: int) -> None:
        """Takes away all that a folder holds."""
        path = self.entry(folder, stat.S_ISDIR)
        for name in os.listdir(path):
            inside = os.path.join(path, name)
            if stat.S_ISDIR(os.lstat(inside).st_mode):
                shutil.rmtree(inside)
            else:
                os.unlink(inside)

    def hollow(self, entry: int, folder: int, name: int) -> None:
        """Moves a folder, then what it holds to where it was."""
        path, target = self.entry(entry, stat.S_ISDIR), self.free(folder, name)
        os.rename(path, target)
        os.mkdir(path)
        for inside in os.listdir(target):
            os.rename(os.path.join(target, inside), os.path.join(path, inside))

    def unseen(self, folder: int, change: int, name: int) -> None:
        """Something comes, goes, or is called otherwise in a folder that has its old time afterwards."""
        path = self.entry(folder, stat.S_ISDIR)
        facts = os.stat(path)
        leaves = [os.path.join(path, each) for each in sorted(os.listdir(path))]
        leaves = [each for each in leaves if _is_leaf(os.lstat(each).st_mode)]
        target = os.path.join(path, NAMES[name % len(NAMES)])
        if not leaves or change % 3 == 0:
            if not os.path.lexists(target):
                _write(target, b"unseen")
        elif change % 3 == 1:
            os.unlink(leaves[name % len(leaves)])
        else:
            os.rename(leaves[name % len(leaves)], target)
        os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    # -- looks

    def chmod(self, entry: int, mode: int, _: int) -> None:
        path = self.entry(entry, _has_mode)
        keep = 0o700 if os.path.isdir(path) and os.geteuid() else 0  # else the program could not go on in it
        os.chmod(path, MODES[mode % len(MODES)] | keep)

    def set_id(self, file: int, bit: int, _: int) -> None:
        path = self.file(file)
        os.chmod(path, stat.S_IMODE(os.lstat(path).st_mode) | (0o4000, 0o2000)[bit % 2])

    def utime(self, entry: int, when: int, _: int) -> None:
        moment = TIMES[when % len(TIMES)]
        os.utime(self.entry(entry), ns=(moment, moment), follow_symlinks=False)

    def touch(self, entry: int, _: int, __: int) -> None:
        os.utime(self.entry(entry), follow_symlinks=False)

    def label(self, entry: int, _: int, __: int) -> None:
        os.setxattr(self.entry(entry, _has_mode), "user.label", b"x", follow_symlinks=False)

    def read(self, file: int, _: int, __: int) -> None:
        _read(self.file(file))


class _Pass(Exception):
    """The step has nothing to work on."""


STEPS = {
    name: step
    for name, step in vars(Scene).items()
    if not name.startswith("_") and name not in ("run", "everything", "entry", "file", "folder", "place", "free")
}
_FIRST = (
    "create",
    "create",
    "create",
    "create",
    "mkdir",
    "mkdir",
    "chain",
    "symlink",
    "copy",
    "link",
    "chmod",
    "utime",
)


def _is_leaf(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def _has_mode(mode: int) -> bool:
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode)


def _write(path: bytes, data: bytes) -> None:
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644), "wb") as stream:
        stream.write(data)


def _read(path: bytes) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


class Story(NamedTuple):
    """A tree, said as the program that makes it, and what a script does to it.

    Among how many cases the tree is divided, and whether copies are to be known as copies, is part of it.
    """

    before: Program
    script: Program
    cases: int = 1
    copies: bool = True

    def __str__(self) -> str:
        return f"Story({self.before!r}, {self.script!r}, {self.cases}, {self.copies})"


def story(seed: int, entries: int = 24, most: int = 25) -> Story:
    """A story; the same one for the same seed. Every tenth script is longer, every fifth has two cases."""
    chance = random.Random(seed)
    before = [_step(chance, chance.choice(_FIRST)) for _ in range(chance.randint(3, entries))]
    names = sorted(STEPS)
    steps = chance.randint(1, 3 * most if seed % 10 == 3 else most)
    script = [_step(chance, chance.choice(names)) for _ in range(steps)]
    return Story(before, script, 2 if seed % 5 == 4 else 1, bool(chance.randrange(2)))


def _step(chance: random.Random, name: str) -> Step:
    return name, chance.randrange(1000), chance.randrange(1000), chance.randrange(1000)


def shorter(story: Story, fails: Callable[[Story], bool]) -> Story:
    """A story of which nothing can be left out without its failure going with it."""
    tried = True
    while tried:
        tried = False
        for part in (1, 0):
            steps = story[part]
            for size in (8, 4, 2, 1):
                at = 0
                while at < len(steps):
                    left = steps[:at] + steps[at + size :]
                    candidate = story._replace(**{story._fields[part]: left})
                    if fails(candidate):
                        story, steps, tried = candidate, left, True
                    else:
                        at += size
    return story


# -- looking

Seen = dict[bytes, tuple[object, ...]]


def snapshot(top: str) -> Seen:
    """Everything in a folder: kind, mode (without set-ID bits), mtime, content, where a link points."""
    found: Seen = {}
    root = os.fsencode(top)
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != b".treegate"]
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            seen = _seen(path)
            if seen is not None:
                found[os.path.relpath(path, root)] = seen
    return found


def _seen(path: bytes) -> tuple[object, ...] | None:
    facts = os.lstat(path)
    if stat.S_ISLNK(facts.st_mode):
        return "link", facts.st_mtime_ns, os.readlink(path)
    looks = f"{stat.S_IMODE(facts.st_mode) & 0o1777:04o}", facts.st_mtime_ns
    if stat.S_ISDIR(facts.st_mode):
        return "dir", *looks
    return ("file", *looks, _read(path)) if stat.S_ISREG(facts.st_mode) else None
