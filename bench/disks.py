"""Where to measure: what the command line says of it, and a new filesystem in a file under a loop device."""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import office

SIZE = 12 << 30  # bytes, of which only what is used is taken


def options(description: str, cases: int, rounds: int) -> argparse.Namespace:
    """The command line of a measurement of many moves; the numbers are those where it says nothing."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--cases", type=int, default=cases)
    made.add_argument("--files", type=int, default=1000, help="files in each case")
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--at", default=".", help="a folder on the filesystem to measure")
    made.add_argument(
        "--on", default="", help="measure on a new filesystem of this type in a file there (wants root)"
    )
    return made.parse_args()


@contextmanager
def room(chosen: argparse.Namespace) -> Iterator[Path]:
    """A folder to measure in, where the command line wants it."""
    with formatted(chosen.on, chosen.at) as place, office.scratch(str(place)) as root:
        yield root


@contextmanager
def formatted(kind: str, at: str) -> Iterator[Path]:
    """A folder on a new filesystem of this type (ext4, xfs, btrfs), its image in the folder `at`; or `at` itself."""
    if not kind:
        yield Path(at)
        return
    with tempfile.TemporaryDirectory(prefix="disk-", dir=at) as folder:
        image, place = Path(folder) / "image", Path(folder) / "mount"
        place.mkdir()
        with image.open("wb") as file:
            file.truncate(SIZE)
        subprocess.run([f"mkfs.{kind}", "-q", str(image)], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True)
        try:
            yield place
        finally:
            subprocess.run(["umount", str(place)], check=True)
