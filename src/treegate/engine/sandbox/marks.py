"""The marks that an overlay leaves in its upper layer: of which entry of the lower one is this what became of it?

See Documentation/filesystems/overlayfs.rst of the kernel, and `struct ovl_fh` of its fs/overlayfs/overlayfs.h for
what `origin` holds. They are extended attributes of the `trusted` kind: to whoever may not see them they read as
absent.
"""

from __future__ import annotations

import errno
import os

from treegate.engine import syscalls

_OPAQUE, _REDIRECT = "trusted.overlay.opaque", "trusted.overlay.redirect"
_METACOPY, _ORIGIN = "trusted.overlay.metacopy", "trusted.overlay.origin"
_TYPE_AT, _HANDLE_AT = 4, 21  # in `origin`: the type of the handle, and the handle itself
_OTHERS = ("trusted.", "security.")  # nobody in a sandbox can set these
_ABSENT = (errno.ENODATA, errno.ENOTSUP)


def names(path: bytes) -> list[str]:
    """The names of all attributes of an entry, by which the others here know what there is to be read."""
    try:
        return os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return []


def _mark(path: bytes, name: str, names: list[str]) -> bytes | None:
    return os.getxattr(path, name, follow_symlinks=False) if name in names else None


def is_new_folder(path: bytes, names: list[str]) -> bool:
    """Whether a folder shows nothing of the lower layer (`y`; `x` says only that there are marked files in it)."""
    return _mark(path, _OPAQUE, names) == b"y"


def redirect(path: bytes, names: list[str]) -> bytes | None:
    """Where an entry was: from the lower root where it begins with `/`, else beside it in the lower layer."""
    return _mark(path, _REDIRECT, names)


def has_lower_content(names: list[str]) -> bool:
    """Whether the content of a file is that of the lower layer: the file here is only its size, in zeros."""
    return _METACOPY in names


def origin(path: bytes, names: list[str]) -> bytes | None:
    """The file handle of the entry in the lower layer that this one was made from: its type, then itself."""
    mark = _mark(path, _ORIGIN, names)
    if not mark:  # empty where the lower filesystem has no handles
        return None
    return mark[_TYPE_AT : _TYPE_AT + 1] + mark[_HANDLE_AT:]


def reach(folder: int, name: bytes) -> bytes:
    """A path by which this process reaches an entry of a folder that it holds: some calls take no handles."""
    return b"/proc/self/fd/%d/%s" % (folder, name)


def attributes(path: bytes, names: list[str]) -> dict[str, bytes]:
    """The extended attributes of an entry that anybody may set, by name."""
    own = (name for name in names if not name.startswith(_OTHERS))
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in own}


def has_others(names: list[str]) -> bool:
    """Whether there are any such."""
    return not all(name.startswith(_OTHERS) for name in names)


def handle(folder: int, name: bytes) -> bytes | None:
    """The same of an entry as it lies on its filesystem; None where that gives no handles."""
    try:
        kind, data = syscalls.file_handle(folder, name)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EOVERFLOW, errno.ENOENT):
            raise
        return None
    return bytes((kind & 0xFF,)) + data
