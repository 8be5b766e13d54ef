"""Lists every file of a case: its path, size, day and SHA-256, and which files hold the same.

    python /tools/create_file_inventory.py --root /case [--format text|csv|json] [--output INVENTORY.csv]

Writes nothing but the list, and that only where --output says so; else it is printed.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

CHUNK = 1 << 20


class Row(NamedTuple):
    """One file."""

    path: str
    size: int
    modified: str
    sha256: str


def rows(root: str, left_out: str) -> Iterator[Row]:
    """Every regular file below a folder, by path; links are not followed."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path) and path != left_out:
                facts = os.stat(path)
                modified = datetime.fromtimestamp(facts.st_mtime, UTC).strftime("%Y-%m-%d %H:%M")
                yield Row(shown(os.path.relpath(path, root)), facts.st_size, modified, digest(path))


def shown(path: str) -> str:
    """A path as text: bytes that are not UTF-8 as \\xNN, line breaks and the like as escapes."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def digest(path: str) -> str:
    """The SHA-256 of a file's content, hex."""
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while data := file.read(CHUNK):
            found.update(data)
    return found.hexdigest()


def same(found: Sequence[Row]) -> list[list[str]]:
    """The paths of files that hold the same, empty ones not counted."""
    by_content: dict[str, list[str]] = {}
    for row in found:
        if row.size:
            by_content.setdefault(row.sha256, []).append(row.path)
    return [paths for paths in by_content.values() if len(paths) > 1]


def as_text(found: Sequence[Row]) -> str:
    """The list as people read it."""
    lines = [f"{row.size:>12,}  {row.modified}  {row.sha256[:12]}  {row.path}" for row in found]
    lines += ["", f"{len(found):,} files, {sum(row.size for row in found):,} bytes"]
    for paths in same(found):
        lines += ["", "These hold the same:", *(f"  {path}" for path in paths)]
    return "\n".join(lines) + "\n"


def as_csv(found: Sequence[Row]) -> str:
    """The list as a table."""
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(Row._fields)
    writer.writerows(found)
    return table.getvalue()


def as_json(found: Sequence[Row]) -> str:
    """The list as a document."""
    document = {"files": [row._asdict() for row in found], "same": same(found)}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


FORMATS = {"text": as_text, "csv": as_csv, "json": as_json}


def main() -> int:
    """Prints the list, or writes it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--root", default=".", help="the folder of the case")
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument("--output", help="write to this file, below the root, instead of printing")
    given = parser.parse_args()
    output = os.path.join(given.root, given.output) if given.output else ""
    text = FORMATS[given.format](list(rows(given.root, output)))
    if output:
        with open(output, "w", encoding="utf-8") as file:
            file.write(text)
    else:
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        sys.stdout.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
