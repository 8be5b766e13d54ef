"""An image made of this machine: its Python, packages that scripts use, a shell, its tools, and their libraries.

Nothing is fetched from anywhere. What is Python's goes to /usr/local, wherever it lies here; libraries from places
that the loader of the image would not look into go to /usr/lib.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import re
import shutil
import stat as st
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from treegate.engine.sandbox.order import SANDBOX_USER
from treegate.errors import UsageError

PACKAGES = ("msgspec", "openpyxl", "pillow", "pypdf", "python-docx")
CHANGES = [
    "ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8",
    "LABEL treegate.image=from-host",
    'CMD ["python3"]',
]
_TOOLS = tuple(
    """
    sh bash cat cp mv rm mkdir rmdir ln ls find grep sed awk mawk sort uniq head tail wc tr cut paste join touch stat
    date chmod env basename dirname readlink realpath xargs sleep echo printf test true false expr seq mktemp tee du
    df diff cmp comm file id md5sum sha1sum sha256sum od tar gzip gunzip zcat bzip2 xz unzip timeout kill ps uname
    split fold nl tac rev truncate dd sync mkfifo base64
    """.split()  # noqa: SIM905
)
_PLACES = ("/usr/bin", "/bin", "/usr/local/bin")
_UNUSED = frozenset(
    ("test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "pydoc_data", "site-packages")
    + ("dist-packages", "include", "venv")
)
_STANDARD = re.compile(r"^(/usr)?/lib(32|64|x32)?/")
_USERS = f"root:x:0:0:root:/:/bin/sh\nsandbox:x:{SANDBOX_USER}:{SANDBOX_USER}:sandbox:/tmp:/bin/sh\n"
_GROUPS = f"root:x:0:\nsandbox:x:{SANDBOX_USER}:\n"
_DATA = ("/usr/lib/locale/C.utf8", "/usr/share/zoneinfo")


def write(to: BinaryIO) -> None:
    """Writes the whole tree as a tar archive; raises UsageError where this Python's own files are not all there."""
    with tarfile.open(fileobj=to, mode="w", format=tarfile.PAX_FORMAT) as archive:
        made = _Tree(archive)
        made.skeleton()
        made.python()
        made.packages()
        made.tools()
        made.libraries()
        made.data()


class _Tree:
    """The archive as it grows: what is in it already, and what of it wants libraries."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._there: set[str] = set()
        self._sources: set[str] = set()
        self._programs: list[str] = []

    def skeleton(self) -> None:
        """The folders that everything expects, links between them as on this machine, and who there is."""
        for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
            if os.path.islink(f"/{name}"):
                self._link(name, os.readlink(f"/{name}"))
        for name in ("usr/bin", "usr/lib", "usr/local/bin", "case", "cases", "tools", "proc", "sys", "dev", "etc"):
            self._folders(f"{name}/x")
        self._folder("tmp", 0o1777)
        self._text("etc/passwd", _USERS)
        self._text("etc/group", _GROUPS)

    def python(self) -> None:
        """The interpreter without its tests and windows, under all of its usual names."""
        program, library = _interpreter()
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self._file(f"usr/local/bin/{version}", program)
        for name in ("usr/local/bin/python3", "usr/local/bin/python"):
            self._link(name, version)
        for name in ("usr/bin/python3", "usr/bin/python"):
            self._link(name, f"/usr/local/bin/{version}")
        self._whole(f"usr/local/lib/{version}", library, _UNUSED)
        self._folders(f"usr/local/lib/{version}/site-packages/x")
        self._link(f"usr/local/lib/{version}/dist-packages", "site-packages")  # what Debian's Python looks into
        self._site = f"usr/local/lib/{version}/site-packages"

    def packages(self) -> None:
        """The packages that are installed here of those that scripts use, with what they want in turn."""
        for one in _distributions(PACKAGES):
            for file in one.files or ():
                path = Path(str(one.locate_file(file)))
                if ".." not in file.parts and path.is_file() and _is_useful(path.name):
                    self._file(f"{self._site}/{file}", str(path))

    def tools(self) -> None:
        """A shell, and what is typed into it."""
        for name in _TOOLS:
            if found := shutil.which(name, path=":".join(_PLACES)):
                self._file(f"usr/bin/{name}", os.path.realpath(found))
        self._plain_shell()

    def _plain_shell(self) -> None:
        if "bin" not in self._there:  # a machine whose /bin is a folder of its own
            self._link("bin/sh", "../usr/bin/sh")

    def libraries(self) -> None:
        """Every library that any of it is linked with, and the loader of them all."""
        for path in _linked(self._programs):
            if os.path.realpath(path) in self._sources:  # a package's own
                continue
            place = os.path.realpath(os.path.dirname(path)) + "/" + os.path.basename(path)
            if not _STANDARD.match(place):
                place = f"/usr/lib/{os.path.basename(path)}"
            self._file(place.lstrip("/"), os.path.realpath(path))

    def data(self) -> None:
        """What C's library reads: letters, and times of the world."""
        for folder in _DATA:
            if os.path.isdir(folder):
                self._whole(folder.lstrip("/"), folder, frozenset(("right", "posix")))

    def _whole(self, place: str, folder: str, left_out: frozenset[str]) -> None:
        for where, folders, files in os.walk(folder):
            folders[:] = sorted(name for name in folders if name not in left_out and not name.startswith("config-"))
            below = os.path.relpath(where, folder)
            for name in sorted(files):
                path = os.path.join(where, name)
                if os.path.isfile(path) and _is_useful(name):
                    self._file(os.path.normpath(f"{place}/{below}/{name}"), path)

    def _file(self, place: str, path: str) -> None:
        if place in self._there:
            return
        self._folders(place)
        self._sources.add(os.path.realpath(path))
        with open(path, "rb") as file:
            held = os.fstat(file.fileno())
            head = _head(place, 0o755 if held.st_mode & st.S_IXUSR else 0o644, int(held.st_mtime))
            head.size = held.st_size
            if file.read(4) == b"\x7fELF":
                self._programs.append(path)
            file.seek(0)
            self._archive.addfile(head, file)
        self._there.add(place)

    def _text(self, place: str, text: str) -> None:
        head, data = _head(place, 0o644), text.encode()
        head.size = len(data)
        self._archive.addfile(head, io.BytesIO(data))

    def _link(self, place: str, target: str) -> None:
        if place in self._there:
            return
        self._folders(place)
        head = _head(place, 0o777)
        head.type, head.linkname = tarfile.SYMTYPE, target
        self._archive.addfile(head)
        self._there.add(place)

    def _folders(self, place: str) -> None:
        """The folders above a place."""
        above = os.path.dirname(place)
        if above and above not in self._there:
            self._folders(above)
            self._folder(above, 0o755)

    def _folder(self, place: str, mode: int) -> None:
        head = _head(place, mode)
        head.type = tarfile.DIRTYPE
        self._archive.addfile(head)
        self._there.add(place)


def _head(place: str, mode: int, mtime: int = 0) -> tarfile.TarInfo:
    """An entry that is root's. Compiled files name their source's time, so that is kept."""
    head = tarfile.TarInfo(place)
    head.mode, head.mtime, head.uname, head.gname = mode, mtime, "root", "root"
    return head


def _interpreter() -> tuple[str, str]:
    """This Python's program, and the folder of its library."""
    program = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    library = sysconfig.get_path("stdlib")
    if not library or not os.path.isfile(f"{library}/os.py") or not os.access(program, os.X_OK):
        text = f"the files of this Python ({program}) are not where they are looked for"
        raise UsageError(text, code="python-incomplete", hint="install python3 whole, or build deploy/mutator")
    return program, library


def _is_useful(name: str) -> bool:
    """Whether a file of Python's is read at all by a script: not a library to link with, nor another level's code."""
    return not name.endswith((".a", ".opt-1.pyc", ".opt-2.pyc", ".pyi", ".exe"))


def _distributions(names: Iterable[str]) -> Iterator[importlib.metadata.Distribution]:
    """The installed ones of these, and what they require; extras are not followed."""
    waiting, seen = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        yield found
        waiting += [_name(one) for one in found.requires or () if "extra ==" not in one]


def _name(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def _linked(programs: list[str]) -> list[str]:
    """The libraries of programs and libraries, by ldd(1): `name => /path (address)`, or the loader's path alone."""
    try:
        said = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        text, hint = "there is no ldd on this machine, which says what a program needs", "install libc-bin"
        raise UsageError(text, code="no-ldd", hint=hint) from None
    return sorted(set(re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.MULTILINE)))
