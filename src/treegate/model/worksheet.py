"""The worksheet: a case's tree as lines of text that a person edits, and the changes that the edited lines mean.

One path a line, behind its number and a tab; a folder ends in `/`. A name may hold anything but `/` and NUL, so the
notation is reversible: `\\\\` is a backslash, `\\n`, `\\t` and `\\r` are what they are in most languages, `\\xHH` is
any other byte that cannot be shown, or a space at the end of a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from treegate.model import paths
from treegate.model.draft import Change
from treegate.model.names import visible

_WORDS = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_READ = {"\\": b"\\", "n": b"\n", "t": b"\t", "r": b"\r"}
_ESCAPE = re.compile(r"\\(?:([\\ntr])|x([0-9a-fA-F]{2})|)")
_LINE = re.compile(r"\s*([0-9]{1,12})\t(.*)", re.DOTALL)

HELP = """\
# {title}
# Edit the paths; what you save becomes a plan, and nothing changes before that is approved.
# A changed path is a move. A folder takes along what is in it, also the lines that you leave as they are.
# A line that you take out is a deletion, asked about once more. Order means nothing. Keep the numbers.
# \\n \\t \\r \\\\ and \\xHH stand for what cannot be shown. Lines that begin with # are left alone.
"""


class Row(NamedTuple):
    """An entry of the tree: its number on the sheet, its path within the case, whether it is a folder."""

    number: int
    path: str
    is_dir: bool


class Fault(NamedTuple):
    """What is wrong with a line of the edited sheet; line 0 is the sheet as a whole."""

    line: int
    text: str


class Edited(NamedTuple):
    """What an edited sheet means: changes, in paths within the case, the paths that go, and what is wrong with it."""

    changes: list[Change]
    deleted: list[str]
    faults: list[Fault]


def shown(path: str) -> str:
    """A path in the notation of the sheet."""
    if path.isascii() and path.isprintable() and "\\" not in path and not path.endswith(" "):
        return path
    text = "".join(map(_shown, path))
    return text if not text.endswith(" ") else text[:-1] + "\\x20"


def _shown(character: str) -> str:
    if character in _WORDS:
        return _WORDS[character]
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def meant(text: str) -> str:
    """The path that a notation stands for; raises ValueError with a sentence."""
    if "\\" not in text:
        return text
    found = bytearray()
    at = 0
    for match in _ESCAPE.finditer(text):
        found += text[at : match.start()].encode("utf-8", "surrogateescape")
        if match[1] is None and match[2] is None:
            raise ValueError(f"{visible(text[match.start() : match.start() + 4])!r} is no escape of this notation")
        found += _READ[match[1]] if match[1] else bytes([int(match[2], 16)])
        at = match.end()
    found += text[at:].encode("utf-8", "surrogateescape")
    return found.decode("utf-8", "surrogateescape")


def sheet(rows: Iterable[Row], title: str) -> Iterator[str]:
    """The lines of a sheet, each with its end."""
    yield HELP.format(title=visible(title))
    for row in rows:
        yield f"{row.number}\t{shown(row.path)}{'/' * row.is_dir}\n"


def rows_of(text: str) -> list[Row]:
    """The rows of a sheet that nobody edited; raises ValueError for what is none."""
    rows = []
    for _, line in _lines(text):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError("this is no sheet")
        path = meant(match[2])
        rows.append(Row(int(match[1]), path.rstrip("/"), path.endswith("/")))
    return rows


def _lines(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if line.strip() and not line.startswith("#"):
            yield number, line


def read(text: str, rows: Iterable[Row]) -> Edited:
    """What the edited text of a sheet with these rows means; faults are all there are, in the order of lines."""
    return _Reading(list(rows)).edited(text)


class _Reading:
    """One edited sheet, held against the rows that it was made of."""

    def __init__(self, rows: list[Row]) -> None:
        self._rows = {row.number: row for row in rows}
        self._faults: list[Fault] = []
        self._line: dict[int, int] = {}  # number -> line
        self._asked: dict[int, str] = {}  # number -> path as it was written

    def edited(self, text: str) -> Edited:
        for line, content in _lines(text):
            self._take(line, content)
        gone = [row for number, row in self._rows.items() if number not in self._asked]
        finals = self._finals()
        self._check(finals, gone)
        self._faults.sort()
        changes = [] if self._faults else [*self._moves(finals), *_deletions(gone, self._staying(finals))]
        return Edited(changes, [row.path for row in gone], self._faults)

    def _take(self, line: int, content: str) -> None:
        match = _LINE.fullmatch(content)
        if match is None:
            self._fault(line, "has no number and tab in front: what is new cannot be written here")
            return
        number = int(match[1])
        row = self._rows.get(number)
        if row is None:
            self._fault(line, f"has the number {number}, which no line had")
        elif number in self._line:
            self._fault(line, f"has the number {number}, and so has line {self._line[number]}")
        else:
            self._line[number] = line
            self._asked[number] = self._path(line, match[2], row)

    def _path(self, line: int, text: str, row: Row) -> str:
        """The path that is asked for; the old one where it cannot be one."""
        try:
            path = meant(text)
        except ValueError as error:
            self._fault(line, str(error))
            return row.path
        named = path[:-1] if row.is_dir and path.endswith("/") else path
        parts = named.split("/")
        if "\0" in named or any(part in ("", ".", "..") for part in parts):
            self._fault(line, f"{visible(path)!r} is no path within the case" + " for a file" * (not row.is_dir))
            return row.path
        return named

    def _fault(self, line: int, text: str) -> None:
        self._faults.append(Fault(line, text))

    # -- where everything comes to be

    def _finals(self) -> dict[int, str]:
        """The final path of each row that stays; folders before what they hold."""
        finals: dict[int, str] = {}
        moved: dict[str, str] = {}  # old path of a folder -> its final one
        wanted = {path for number, path in self._asked.items() if path != self._rows[number].path}
        for number in sorted(self._asked, key=lambda number: self._rows[number].path.count("/")):
            row = self._rows[number]
            path = self._asked[number]
            if path == row.path or not _within(path, wanted):
                path = _carried(path, moved)
            finals[number] = path
            if row.is_dir and path != row.path:
                moved[row.path] = path
        return finals

    def _check(self, finals: Mapping[int, str], gone: list[Row]) -> None:
        taken: dict[str, int] = {}
        for number, path in finals.items():
            if path in taken:
                first, second = sorted((self._line[number], self._line[taken[path]]))
                self._fault(second, f"leads to {visible(path)!r}, and so does line {first}")
            taken.setdefault(path, number)
            row = self._rows[number]
            if row.is_dir and path.startswith(row.path + "/"):
                self._fault(self._line[number], f"puts the folder {visible(row.path)!r} into itself")
        files = {path for number, path in finals.items() if not self._rows[number].is_dir}
        for number, path in finals.items():
            above = next((above for above in _above(path) if above in files), None)
            if above is not None:
                self._fault(self._line[number], f"leads into {visible(above)!r}, which is a file")
        self._check_gone(finals, [row.path for row in gone if row.is_dir])

    def _check_gone(self, finals: Mapping[int, str], folders: list[str]) -> None:
        """What is, or shall be, in a folder whose line is gone would go with it, though nobody said so."""
        if not folders:
            return
        staying = self._staying(finals)
        lost, settled = set(folders), set(finals.values())
        places = {_carried(folder, staying): folder for folder in folders}
        left: dict[str, list[int]] = {}
        for number, path in finals.items():
            row = self._rows[number]
            if self._asked[number] == row.path:
                folder = _stranding(row.path, staying, lost)
            else:
                folder = next(
                    (places[above] for above in _above(path) if above in places and above not in settled), ""
                )
            if folder:
                left.setdefault(folder, []).append(number)
        for folder, numbers in left.items():
            told = f"the line of the folder {visible(folder)!r} is gone, and {len(numbers)} of those in it are not"
            self._fault(0, f"{told}: take those out too, or put it back")

    def _staying(self, finals: Mapping[int, str]) -> dict[str, str]:
        """The final path of each folder that stays, by the path that it has now."""
        return {self._rows[number].path: path for number, path in finals.items() if self._rows[number].is_dir}

    def _moves(self, finals: Mapping[int, str]) -> Iterator[Change]:
        """The rows whose folder does not bring them to where they shall be, or goes away."""
        moved = self._staying(finals)
        gone = self._rows.keys() - finals.keys()
        lost = {self._rows[number].path for number in gone}
        for number in sorted(finals):
            row, path = self._rows[number], finals[number]
            above, name = paths.split(row.path)
            carried = f"{moved.get(above) or _carried(above, moved)}/{name}" if above else name
            if path != carried or above in lost:
                yield Change("move", row.path, path, row.is_dir)


def _deletions(gone: list[Row], staying: Mapping[str, str]) -> Iterator[Change]:
    """One deletion for each folder that goes whole, and one for each entry that does not go with one."""
    folders = {row.path for row in gone if row.is_dir}
    for row in gone:
        if not _stranding(row.path, staying, folders):
            yield Change("delete", row.path, is_dir=row.is_dir, recursive=row.is_dir)


def _stranding(path: str, staying: Mapping[str, str], gone: set[str]) -> str:
    """The folder without a line that an entry would go with; "" where a folder between them takes it elsewhere."""
    for above in _above(path):
        if above in gone:
            return above
        if staying.get(above, above) != above:
            return ""
    return ""


def with_folders(changes: Iterable[Change]) -> list[Change]:
    """Changes, and before them the new folders that come to be where another entry was.

    Else the old entry would be taken for the folder, and take along what goes there.
    """
    given = list(changes)
    moved = {change.source: change.target for change in given if change.kind == "move"}
    left = {_carried(change.source, moved) for change in given if change.source}
    left -= {change.target for change in given}
    above = dict.fromkeys(above for path in moved.values() for above in _above(path) if above in left)
    return [*(Change("mkdir", target=path, is_dir=True) for path in above), *given]


def _carried(path: str, moved: Mapping[str, str]) -> str:
    """Where a path leads once the innermost folder above it has moved."""
    for above in _above(path):
        if above in moved:
            return moved[above] + path[len(above) :]
    return path


def _within(path: str, wanted: set[str]) -> bool:
    """Whether a path leads into something that the edited lines bring there."""
    return any(above in wanted for above in _above(path))


def _above(path: str) -> Iterator[str]:
    """The folders above a path, the innermost first."""
    while path := paths.split(path)[0]:
        yield path
