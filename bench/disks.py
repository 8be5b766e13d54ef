"""A new filesystem to measure on, in a file under a loop device."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 12 << 30  # bytes, of which only what is used is taken


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
