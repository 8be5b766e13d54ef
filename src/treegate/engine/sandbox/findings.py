"""Findings: what a command did that no plan can do, in words; each is a warning of the plan that does the rest."""

from __future__ import annotations

import stat as st

from treegate.engine.sandbox.order import Finding

_KINDS = {st.S_IFIFO: "a FIFO", st.S_IFSOCK: "a socket", st.S_IFCHR: "a device", st.S_IFBLK: "a device"}


def special(path: str, mode: int) -> Finding:
    """Something that is no file, folder or link was made."""
    what = _KINDS.get(st.S_IFMT(mode), "something that is no file")
    return Finding("sandbox-special-file", path, f"the command made {what}; it is left out")


def set_id(path: str) -> Finding:
    """A file was given the set-user-ID or set-group-ID bit."""
    return Finding("sandbox-setuid", path, "the command set its set-user-ID or set-group-ID bit; that is left out")


def attributes(path: str) -> Finding:
    """Extended attributes were set, changed or taken away."""
    return Finding("sandbox-xattr", path, "the command changed its extended attributes; that is left out")


def linked(path: str, other: str) -> Finding:
    """A hard link was made."""
    return Finding("sandbox-hard-link", path, f"the command made it a hard link to {other!r}; it becomes a copy")


def link_broken(path: str) -> Finding:
    """A file that has other names, too, was written anew."""
    text = "it has other names (hard links), at which its old content stays"
    return Finding("sandbox-hard-link", path, text)


def time(path: str) -> Finding:
    """Something was dated in a year that has not four digits."""
    return Finding("sandbox-time", path, "the command gave it a time that no plan can say; the nearest is taken")


def case_folder(case: str) -> Finding:
    """The case itself was given another mode."""
    return Finding("sandbox-case-folder", case, "the command changed the mode of the case folder; that is left out")


def reserved(path: str) -> Finding:
    """Something was put where a name is treegate's own, or taken from there."""
    text = "the name is treegate's own, which no plan touches; what the command did there, or took there, is left out"
    return Finding("sandbox-reserved", path, text)


def outside(path: str) -> Finding:
    """A link was made that leads out of its case."""
    return Finding("sandbox-link-outside", path, "the command made a link that leads out of its case; it is left out")
