"""Bubblewrap as an engine: the machine's own programs, read-only, in namespaces of the command's own (bwrap(1)).

As root the command becomes its own user by setpriv(1) inside, for which two capabilities live until then; an ordinary
user's bubblewrap makes a user namespace and stays who it is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from treegate.engine.sandbox.order import Limits
from treegate.engine.sandbox.view import Owner

_THEIRS = "/usr/local/bin:/usr/bin:/bin"
_OURS = "/opt/treegate/bin"  # `python`, where the machine has only `python3`
_TO_CHANGE_USER = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
# What programs need of /etc, and says nothing of who uses this machine.
_OF_ETC = ("ld.so.cache", "alternatives", "localtime", "mime.types", "magic", "fonts")


class Shown(NamedTuple):
    """Something of this machine that the command sees: where it is here and there, and whether it may write there."""

    here: str
    there: str
    writable: bool = False


class Inside(NamedTuple):
    """What a command finds: what it sees, where it begins, who it is."""

    shown: Sequence[Shown]
    folder: str
    user: Owner
    limits: Limits
    accounts: str  # a folder with files `passwd` and `group`
    first: Sequence[str] = ()  # what goes before the command on its line


def arguments(command: Sequence[str], inside: Inside, told: int, seccomp: int = -1) -> list[str]:
    """The command line that runs a command inside; bubblewrap tells on the handle `told` what it started."""
    made = [shutil.which("bwrap") or "bwrap", *_NAMESPACES, *_privileges(), "--clearenv"]
    for name, value in environment().items():
        made += ["--setenv", name, value]
    made += [*_system(inside.accounts), *_temporary(inside.limits)]
    for shown in inside.shown:
        made += [*_parents(shown.there), "--bind" if shown.writable else "--ro-bind", shown.here, shown.there]
    made += ["--chdir", inside.folder, "--remount-ro", "/", "--info-fd", str(told)]
    if seccomp >= 0:
        made += ["--seccomp", str(seccomp)]
    return [*made, "--", *_as_user(inside.user), *inside.first, *command]


def environment() -> dict[str, str]:
    """What a command finds in its environment: nothing of ours."""
    return {"PATH": f"{_THEIRS}:{_OURS}", "HOME": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


_NAMESPACES = (
    *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
    *("--hostname", "sandbox", "--die-with-parent", "--new-session"),
)


def _privileges() -> Iterator[str]:
    if os.geteuid() != 0:
        yield from ("--unshare-user", "--cap-drop", "ALL")
        return
    yield from ("--cap-drop", "ALL")
    for capability in _TO_CHANGE_USER:
        yield from ("--cap-add", capability)


def _as_user(user: Owner) -> tuple[str, ...]:
    if os.geteuid() != 0:
        return ()
    return (
        *(shutil.which("setpriv") or "/usr/bin/setpriv", "--reuid", str(user.uid), "--regid", str(user.gid)),
        *("--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"),
    )


def _system(accounts: str) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{name}"):
            yield from ("--symlink", os.readlink(f"/{name}"), f"/{name}")
        elif os.path.isdir(f"/{name}"):
            yield from ("--ro-bind", f"/{name}", f"/{name}")
    yield from ("--dir", "/etc")
    for name in _OF_ETC:
        yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for name in ("passwd", "group"):
        yield from ("--ro-bind", f"{accounts}/{name}", f"/etc/{name}")
    yield from ("--proc", "/proc", "--dev", "/dev", *_parents(f"{_OURS}/python"))
    if shutil.which("python", path=_THEIRS) is None:
        yield from ("--symlink", shutil.which("python3", path=_THEIRS) or "/usr/bin/python3", f"{_OURS}/python")


def _temporary(limits: Limits) -> Iterator[str]:
    for place in ("/tmp", "/dev/shm"):
        yield from ("--perms", "1777", "--size", str(limits.temporary), "--tmpfs", place)


def _parents(path: str) -> Iterator[str]:
    """The folders above a place, which would else be for their maker only."""
    above = os.path.dirname(path)
    if above not in ("", "/"):
        yield from _parents(above)
        yield from ("--dir", above)


def write_accounts(folder: str, user: Owner) -> None:
    """Writes the lists of users and groups that a command sees: itself, and nobody."""
    os.makedirs(folder, mode=0o755, exist_ok=True)
    lines = {
        "passwd": f"sandbox:x:{user.uid}:{user.gid}::/tmp:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
        "group": f"sandbox:x:{user.gid}:\nnogroup:x:65534:\n",
    }
    for name, text in lines.items():
        with open(os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), "w") as file:
            file.write(text)
