"""Build the sample law office: a folder of cases as people really leave them, the same every time."""

from __future__ import annotations

import os
import shlex
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from treegate.errors import UsageError
from treegate.interfaces.demo import firm, kowalski, mueller, rivera, smith
from treegate.interfaces.demo.items import Item, Letter, Link, Mail, Paper, Same, Scan, Sheet, Text
from treegate.interfaces.demo.letters import docx
from treegate.interfaces.demo.mail import eml
from treegate.interfaces.demo.pdf import pdf
from treegate.interfaces.demo.scans import image
from treegate.interfaces.demo.sheets import as_csv, xlsx

CASES: dict[str, tuple[Item, ...]] = {
    "Estate-of-Kowalski": kowalski.ITEMS,
    "Müller-Lease": mueller.ITEMS,
    "Rivera-Acquisition": rivera.ITEMS,
    "Smith-v-Jones": smith.ITEMS,
}
BESIDE: dict[str, tuple[Item, ...]] = {"Reports": firm.REPORTS, "Database": firm.DATABASE, "Tools": firm.TOOLS}

SECOND = 1_000_000_000  # ns


@dataclass(frozen=True)
class Office:
    """What was built: where it lies, its cases, and how many files and PDFs these hold (links not counted)."""

    root: Path
    projects: Path
    cases: tuple[str, ...]
    files: int
    pdfs: int


def is_office(root: Path) -> bool:
    """Whether a folder is a sample office, as far as its cases tell."""
    return all((root / "projects" / case).is_dir() for case in CASES)


def build(target: Path) -> Office:
    """Build the office in `target`, an empty folder or one that does not exist yet.

    Everything is made in memory first, so that a missing library leaves no half
    an office behind. Raises UsageError if `target` is in use or cannot be
    written, or if a library of the extra `demo` is missing.
    """
    _refuse_used(target)
    folders = {f"projects/{case}": items for case, items in CASES.items()} | BESIDE
    made = {folder: _rendered(items) for folder, items in folders.items()}
    try:
        for folder, items in folders.items():
            for item in items:
                _place(target / folder / item.path, item, made[folder].get(item.path, b""))
        _date_folders(target)
    except OSError as error:
        raise UsageError(
            f"Cannot build the sample office in {target}: {error.strerror}.",
            hint="Name a folder that you may write to.",
        ) from error
    files = [path for case in CASES for path in made[f"projects/{case}"]]
    pdfs = sum(path.endswith(".pdf") for path in files)
    return Office(target, target / "projects", tuple(CASES), len(files), pdfs)


def _refuse_used(target: Path) -> None:
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return
    number = 2
    while os.path.lexists(f"{target}-{number}"):
        number += 1
    what = "is not empty" if target.is_dir() else "is not a folder"
    raise UsageError(
        f"{target} {what}; the sample office is never built into something that is in use.",
        code="folder-not-empty",
        hint="Name an empty folder, or one that does not exist yet.",
        next=f"treegate demo {shlex.quote(f'{target}-{number}')}",
        path=str(target),
    )


def _rendered(items: tuple[Item, ...]) -> dict[str, bytes]:
    """The bytes of each file of a folder, by path; what repeats or encloses others comes after them."""
    made: dict[str, bytes] = {}
    for item in sorted(items, key=lambda item: isinstance(item.inside, Same | Mail)):
        if not isinstance(item.inside, Link):
            made[item.path] = _bytes(item, made)
    return made


def _bytes(item: Item, made: dict[str, bytes]) -> bytes:
    when = datetime.fromtimestamp(_moment(item) // SECOND, UTC)
    extension = os.path.splitext(item.path)[1]
    match item.inside:
        case Text(text, encoding):
            return text.encode(encoding)
        case Same(path):
            return made[path]
        case Mail() as mail:
            return eml(mail, when, made[mail.attached] if mail.attached else None)
        case Scan() as scan:
            return image(scan, extension)
        case Sheet() as sheet:
            return as_csv(sheet) if extension == ".csv" else xlsx(sheet, when)
        case Letter() as letter if extension == ".docx":
            return docx(letter, when)
        case Paper() as paper:
            return pdf(paper, when)
    raise TypeError(f"nothing makes the file {item.path!r}")


def _moment(item: Item) -> int:
    """The item's time of modification in ns: some moment of its day's office hours (UTC), settled by its path."""
    mark = zlib.crc32(os.fsencode(item.path))
    day = int(datetime.fromisoformat(item.day).replace(tzinfo=UTC).timestamp())
    return (day + 8 * 3600 + mark % 36_000) * SECOND + mark * 7 % SECOND


def _place(path: Path, item: Item, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(item.inside, Link):
        path.symlink_to(item.inside.target)
    else:
        path.write_bytes(content)
        path.chmod(item.mode)
    os.utime(path, ns=(_moment(item), _moment(item)), follow_symlinks=False)


def _date_folders(root: Path) -> None:
    """Give each folder the mode 0755 and the date of the newest thing in it, deepest first."""
    for folder, _, _ in os.walk(root, topdown=False):
        with os.scandir(folder) as entries:
            newest = max(entry.stat(follow_symlinks=False).st_mtime_ns for entry in entries)
        os.chmod(folder, 0o755)
        os.utime(folder, ns=(newest, newest))
