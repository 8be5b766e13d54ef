"""Paths of a plan, parsed once at the door.

Inside, a path is a plain `str` relative to `projects/`, components joined by
single slashes, bytes that are not UTF-8 as lone surrogates (PEP 383).
"""

from __future__ import annotations

import posixpath
import re
from urllib.parse import quote_from_bytes, unquote_to_bytes

RESERVED = ".treegate"
LONGEST = 4096  # bytes, PATH_MAX of Linux (limits.h); no path of any mount is longer


_ODD_STARTS = ("", "/", ".")


class Malformed(ValueError):
    """A path that cannot be one: `code` is a problem's code, `better` a repaired path or ''."""

    def __init__(self, code: str, message: str, better: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.better = better


def check(path: str) -> None:
    """Raises Malformed unless every component is plain; '' is malformed too."""
    plain = path[:1] not in _ODD_STARTS and path[-1] != "/" and len(path) <= LONGEST
    if plain and "//" not in path and "/." not in path and "\0" not in path:
        return  # the way that nearly all take
    if len(path) > LONGEST:
        raise Malformed("path-too-long", f"the path {path[:40]!r}… has {len(path):,} characters")
    if path.startswith("/"):
        raise Malformed("path-malformed", f"{path!r} is absolute", path.strip("/"))
    if "\0" in path:
        raise Malformed("path-malformed", f"{path!r} holds a NUL")
    parts = path.split("/")
    if "" in parts:
        found = "is empty" if not path else "has an empty component"
        raise Malformed("path-malformed", f"{path!r} {found}", "/".join(part for part in parts if part))
    if "." in parts or ".." in parts:
        better = "/".join(part for part in parts if part != ".") if ".." not in parts else ""
        raise Malformed("path-escapes", f"{path!r} has a `.` or `..` component", better)
    if RESERVED in parts:
        raise Malformed("path-reserved", f"{path!r} leads into `{RESERVED}`")


def pointed_at(path: str, target: str) -> str:
    """Where a link at a path points by its words; an absolute path where it points at one."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), target))


def leads_out(path: str, target: str) -> bool:
    """Whether a link at a path, which begins with its case, points out of that case by its words."""
    case, place = path.partition("/")[0], pointed_at(path, target)
    return place != case and not place.startswith(f"{case}/")


def is_plain_name(name: str) -> bool:
    """Whether what follows the last slash of a path is fine by `check`, where all before it is known to be."""
    return name[:1] not in "/." and "\0" not in name and len(name) <= LONGEST  # nothing is in any text


_ESCAPED = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")


def from_raw(text: str) -> str:
    """A path written as percent-encoded bytes (RFC 3986 section 2.1), as the operating system would give it."""
    if not _ESCAPED.fullmatch(text):
        raise Malformed("raw-malformed", f"{text!r} has a % that two hexadecimal digits do not follow")
    return unquote_to_bytes(text).decode("utf-8", "surrogateescape")


def to_raw(path: str) -> str:
    """The reverse of `from_raw`."""
    return quote_from_bytes(raw_bytes(path), safe="/ ")


def is_utf8(text: str) -> bool:
    """Whether a name can be written in a document as it is."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_ROOTED = re.compile(r"(?:.*/)?projects/")


def from_case(path: str, case: str) -> str:
    """A path as it is written from the case on, where it was written from `projects/` or the root on."""
    path = _ROOTED.sub("", path, count=1) if _ROOTED.match(path) else path
    return path.removeprefix(f"{case}/") if case else path


def split(path: str) -> tuple[str, str]:
    """(folder, name) of a path; the folder of a path without a slash is ''."""
    folder, _, name = path.rpartition("/")
    return folder, name


def joined(folder: str, name: str) -> str:
    """The path of a name in a folder."""
    return f"{folder}/{name}" if folder else name


def raw_bytes(name: str) -> bytes:
    """The bytes that the filesystem holds for a name."""
    return name.encode("utf-8", "surrogateescape")


def in_byte_order(names: list[str]) -> list[str]:
    """Names sorted by the bytes they are on disk."""
    if all(map(str.isascii, names)):
        return sorted(names)
    return sorted(names, key=raw_bytes)


def extension(name: str) -> str:
    """The extension with its dot, as `os.path.splitext` sees it: '' for `.bashrc` and `README`."""
    dot = name.rfind(".")
    if dot > 0 and (name[0] != "." or name[:dot].strip(".")):
        return name[dot:]
    return ""
