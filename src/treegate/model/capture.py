"""Capture: what a command did to a view of its cases, as the operations of a plan that does the same to the cases.

Whoever looked at the view says of each entry that differs where it is now and where it was; what is told by two
numbers alone, a mode or a time, is a difference, too. Entries that went along with a folder that moved are not
spoken of unless they themselves differ.
"""

from __future__ import annotations

from typing import NamedTuple

from treegate.model.tree import Kind


class Entry(NamedTuple):
    """One entry that differs from the cases as they were: `path` is where it is in the view, from projects/.

    `home` is where it was; "" where the command made it. An entry whose `home` is not its path moved with its folder
    or by itself: the folders above say which. Times are in nanoseconds, modes the lower twelve bits.
    """

    path: str
    kind: Kind
    mode: int
    mtime: int
    home: str = ""
    was_mode: int = 0  # of the entry at `home`, and so is `was_mtime`
    was_mtime: int = 0
    sha256: str = ""  # of a file that was made, or written anew: its content, which is among the blobs
    size: int = 0
    target: str = ""  # of a link that was made: where it points
    copied: str = ""  # of a file that was made: a file of the cases as they were that has the same content


class Gone(NamedTuple):
    """A place of the cases as they were at which its entry is no more: it moved (some Entry's home) or was deleted."""

    path: str
    is_dir: bool
