"""Twenty small scripts that change a small case, for comparing what becomes of them in one sandbox and another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

OLD = 1_704_164_645_123_456_789  # when everything in the case was changed last
_MANY = 2000


class Deed(NamedTuple):
    """A script, to be run by sh in the case; what the case has for it besides; what others do to it meanwhile."""

    name: str
    script: str
    before: Callable[[Path], None] = lambda case: None
    others: Callable[[Path], None] | None = None  # a second after the script began


def build(case: Path) -> None:
    """The small case: some files, folders and a link, of times and modes that are not those of something new."""
    for path in ("a.txt", "b.txt", "notes.txt", "docs/one.txt", "docs/two.txt", "docs/sub/three.txt"):
        put(case / path, f"this is {path}\n" * 3)
    (case / "link").symlink_to("notes.txt")
    (case / "a.txt").chmod(0o640)
    (case / "docs").chmod(0o750)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def age(case: Path) -> None:
    """Gives all that the case holds its old time."""
    for folder, _, files in os.walk(os.fsencode(case), topdown=False):
        for name in (*(os.path.join(folder, file) for file in files), folder):
            os.utime(name, ns=(OLD, OLD), follow_symlinks=False)


def _many(case: Path) -> None:
    for number in range(_MANY):
        put(case / "many" / f"{number % 20:02}" / f"{number:04}.txt", f"{number}\n")


def _linked(case: Path) -> None:
    put(case / "hard1", "one file, two names\n")
    os.link(case / "hard1", case / "hard2")


def _tagged(case: Path) -> None:
    for name in ("edited.txt", "moved.txt"):
        put(case / name, "it has an attribute\n")
        os.setxattr(case / name, "user.tag", b"before")


def _named(*names: bytes) -> Callable[[Path], None]:
    def before(case: Path) -> None:
        for name in names:
            with open(os.path.join(os.fsencode(case), name), "wb") as file:
                file.write(b"named " + name)

    return before


def _others(case: Path) -> None:
    with open(case / "notes.txt", "a") as file:
        file.write("somebody else's line\n")


_LATIN = r"$(printf 'caf\351.txt')"
_MADE = r"$(printf 'new\nname.txt')"
_LOST = r"$(printf 'old\nb.txt')"

DEEDS = (
    Deed("rename files and a folder", "mv a.txt z.txt; mv docs/one.txt first.txt; mv docs papers"),
    Deed(f"rename a folder of {_MANY:,} files", "mv many thousands", _many),
    Deed("swap two files", "mv a.txt t; mv b.txt a.txt; mv t b.txt"),
    Deed("edit in place and append",
         "printf THIS | dd of=notes.txt conv=notrunc status=none; echo more >> docs/one.txt"),
    Deed("write beside, rename over", "echo new > .notes.tmp; mv .notes.tmp notes.txt"),
    Deed("delete a file and a folder", "rm b.txt; rm -r docs/sub"),
    Deed("names with a newline: one deleted, one made", f'rm "{_LOST}"; echo x > "{_MADE}"', _named(b"old\nb.txt")),
    Deed("names with a backslash: renamed, deleted, made",
         r"mv 'back\slash.txt' 'other\name.txt'; rm 'gone\0.txt'; echo x > 'made\tab.txt'",
         _named(rb"back\slash.txt", rb"gone\0.txt")),
    Deed("a name that is not UTF-8: appended to, renamed", f'echo more >> "{_LATIN}"; mv "{_LATIN}" "{_LATIN}.old"',
         _named(b"caf\xe9.txt")),
    Deed("symbolic links made and turned elsewhere", "ln -s docs/one.txt new-link; ln -sfn a.txt link; rm a.txt"),
    Deed("edit a file that has two names", "echo more >> hard1", _linked),
    Deed("modes of a folder and a file", "chmod 700 docs; chmod 600 docs/one.txt; mkdir -m 711 made"),
    Deed("times to the nanosecond",
         "touch -d '2023-05-06 07:08:09.123456789 UTC' a.txt; touch -d '2023-05-06 07:08:09.987654321 UTC' docs"),
    Deed("a file becomes a folder, a folder a file",
         "rm a.txt; mkdir a.txt; echo x > a.txt/in; rm -r docs/sub; echo y > docs/sub"),
    Deed("delete a folder and make it again", "rm -r docs; mkdir docs; echo fresh > docs/four.txt"),
    Deed("a path that holds /run/mount", "mkdir -p x/run/mount; echo 1 > x/run/mount/y"),
    Deed("somebody else edits the same file meanwhile", "echo mine >> notes.txt; sleep 2", others=_others),
    Deed("an empty file made, a file emptied", ": > empty; : > notes.txt"),
    Deed("a FIFO made, and a file", "mkfifo pipe; echo x > beside.txt"),
    Deed("attributes (xattrs) set, and on files edited and moved",
         "python3 -c \"import os; os.setxattr('a.txt', 'user.tag', b'set')\"; "
         "echo more >> edited.txt; mv moved.txt docs/", _tagged),
)  # fmt: skip
