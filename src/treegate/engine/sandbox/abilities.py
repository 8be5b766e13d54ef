"""Abilities: which engines and views work here, found out by doing, and in words why the others do not.

What the kernel and the programs of a machine can do stays as it is while a process lives and is tried once; a Docker
daemon comes and goes, and is asked each time.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from urllib.parse import quote

import msgspec

from treegate.engine import handles
from treegate.engine.probe import Finding
from treegate.engine.sandbox import bounds, bubblewrap, seccomp
from treegate.engine.sandbox.cgroups import Group
from treegate.engine.sandbox.docker import BUILD, IMAGE
from treegate.engine.sandbox.order import SANDBOX_USER, EngineName, Limits, ViewName
from treegate.engine.sandbox.trial import Found
from treegate.engine.sandbox.view import Owner
from treegate.errors import UsageError
from treegate.model.names import visible

_SOCKET = "/var/run/docker.sock"
_PATIENCE = 5.0  # seconds for a daemon to answer
_TRIAL = 30.0  # seconds for a trial
_REDIRECTS = "/sys/module/overlay/parameters/redirect_max"
_ENOUGH = 4096  # bytes of a path that the kernel is to remember for a renamed folder
_OK, _NOT_FOUND = 200, 404
_MOST = 1 << 20  # bytes of an answer


class Lacking(msgspec.Struct, frozen=True):
    """Why something does not work here, and what would help; false where it works."""

    why: str = ""
    hint: str = ""

    def __bool__(self) -> bool:
        return bool(self.why)


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What works for commands on one case."""

    bubblewrap: Lacking
    docker: Lacking
    overlay: Lacking
    weaker: tuple[Finding, ...] = ()  # what works less well than it could

    @property
    def engine(self) -> EngineName | None:
        """What a command is run on unless somebody says otherwise: Docker where it works, else bubblewrap."""
        if not self.docker:
            return "docker"
        return None if self.bubblewrap else "bwrap"

    @property
    def view(self) -> ViewName:
        """What a command is shown of its case."""
        return "copy" if self.overlay else "overlay"


def abilities(case: str, image: str) -> Abilities:
    """What works for a case, by its folder, with this image of Docker's. The first time it takes some 0.2 s."""
    overlay, weaker = _overlay(case)
    return Abilities(bubblewrap=without_bubblewrap(), docker=without_docker(image), overlay=overlay, weaker=weaker)


def engine(wanted: str, image: str) -> EngineName:
    """The engine that is wanted ("bwrap", "docker"), or for "auto" the first that works.

    Raises UsageError "no-sandbox".
    """
    reasons: dict[str, Lacking] = {}
    for name, lacking in _asked(image).items():
        if wanted in ("auto", name):
            reasons[name] = lacking()
            if not reasons[name]:
                return name
    text = "; ".join(f"{_NAMES[name]}: {one.why}" for name, one in reasons.items())
    hint = next(reversed(reasons.values())).hint if reasons else ""
    raise UsageError(f"no command can be run here. {text}", code="no-sandbox", hint=hint, next="treegate doctor")


def _asked(image: str) -> dict[EngineName, Callable[[], Lacking]]:
    """What says why an engine cannot be used, the one to be preferred first."""
    return {"docker": lambda: without_docker(image), "bwrap": without_bubblewrap}


def findings(found: Abilities, wanted: str = "auto") -> Iterator[Finding]:
    """What doctor says: what a command would be run on, what else works or why not, and what is weaker."""
    lacking = {"docker": found.docker, "bwrap": found.bubblewrap}
    for name, one in lacking.items():
        if one:
            title = f"commands cannot be run with {_NAMES[name]}: {one.why}"
            yield Finding("warning" if wanted == name else "note", title, one.hint)
    taken = found.engine if wanted == "auto" else wanted
    if taken is not None and not lacking[taken]:
        yield _best(found, taken)
        if _is_dockers(taken):
            yield Finding(
                "note", "of a command: what it writes is counted ten times a second, and held by nothing", _COUNTED
            )
            return
        if found.overlay:
            yield Finding("note", f"there is no copy-on-write view: {found.overlay.why}", found.overlay.hint)
        yield from found.weaker


def of_helper(path: str) -> Finding:
    """What doctor says where a helper has commands run: whether one answers at its socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        try:
            connection.connect(path)
        except OSError as error:
            why = error.strerror or str(error)
            title = f"commands cannot be run: the helper does not answer at {path}: {why}"
            return Finding("warning", title, "start the sandbox helper on that socket, as the user of the service")
    return Finding("note", f"commands are run by the helper that answers at {path}", "")


def _best(found: Abilities, taken: str) -> Finding:
    other, lacking = ("bwrap", found.bubblewrap) if taken == "docker" else ("docker", found.docker)
    also = "" if lacking else f"; {_NAMES[other]} works, too"
    seen = "a copy-on-write view" if found.view == "overlay" or _is_dockers(taken) else "a private copy"
    return Finding("note", f"commands run with {_NAMES[taken]}, on {seen} of their case{also}", "")


def _is_dockers(taken: str) -> bool:
    """Whether the daemon makes the views, and keeps the limits: it is root, and whoever asks it is not."""
    return taken == "docker" and os.geteuid() != 0


_COUNTED = "as root treegate gives each a filesystem that is no larger than its limit"
_NAMES = {"docker": "Docker", "bwrap": "bubblewrap"}


# -- bubblewrap


@functools.cache
def without_bubblewrap() -> Lacking:
    """Why bubblewrap cannot be used: a command is run as all are, except that it sees no case."""
    needed = ("bwrap", "setpriv") if os.geteuid() == 0 else ("bwrap",)
    packages = {"bwrap": "bubblewrap", "setpriv": "util-linux"}
    for tool in needed:
        if shutil.which(tool) is None:
            return Lacking(f"there is no {tool} on the PATH", f"install it: apt install {packages[tool]}")
    done = _try_bubblewrap()
    if done.returncode == 0:
        return Lacking()
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    return Lacking(visible(said[-1]) if said else f"it ended with status {done.returncode}", _namespaces())


def _try_bubblewrap() -> subprocess.CompletedProcess[bytes]:
    user = Owner(SANDBOX_USER, SANDBOX_USER) if os.geteuid() == 0 else Owner(os.geteuid(), os.getegid())
    with tempfile.TemporaryDirectory(prefix="treegate-") as accounts, contextlib.ExitStack() as held:
        bubblewrap.write_accounts(accounts, user)
        told = held.enter_context(handles.closing(os.open("/dev/null", os.O_WRONLY)))
        filters = seccomp.opened()
        if filters >= 0:
            held.enter_context(handles.closing(filters))
        inside = bubblewrap.Inside((), "/", user, Limits(), accounts)
        command = bubblewrap.arguments(("true",), inside, told, filters)
        kept = [fd for fd in (told, filters) if fd >= 0]
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, pass_fds=kept, timeout=_TRIAL, env={}
        )


_USER_NAMESPACES = {  # files that say why an ordinary user has no namespaces, what they say then, and what to do
    "/proc/sys/kernel/unprivileged_userns_clone": ("0", "sysctl kernel.unprivileged_userns_clone=1"),
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": (
        "1",
        "sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile for bwrap",
    ),
    "/proc/sys/user/max_user_namespaces": ("0", "sysctl user.max_user_namespaces=10000"),
}


def _namespaces() -> str:
    for path, (value, advice) in _USER_NAMESPACES.items():
        if _said(path) == value:
            return f"this machine lets nobody but root make namespaces: {advice}"
    return "where treegate itself runs in a container, that has to allow namespaces and mounts; or use Docker"


def _said(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


# -- Docker


def without_docker(image: str) -> Lacking:
    """Why Docker cannot be used: asked over its socket, without its SDK."""
    named = os.environ.get("DOCKER_HOST", "") or f"unix://{_SOCKET}"
    if not named.startswith("unix://"):
        text = f"DOCKER_HOST names {visible(named)}, and only a daemon of this machine can show a command its case"
        return Lacking(text, "set it to unix:// and the path of a socket")
    path = named.removeprefix("unix://")
    try:
        if _status(path, "/_ping") != _OK:
            return Lacking(f"what answers at {visible(path)} is no Docker daemon", "look at DOCKER_HOST")
        return _without_image(image, _status(path, f"/images/{image}/json"))
    except PermissionError:
        text = f"{visible(path)} may not be used by this user"
        return Lacking(text, "run treegate as root; whoever may use that socket is as good as root")
    except OSError as error:
        text = f"no daemon answers at {visible(path)}: {error.strerror or error}"
        return Lacking(text, "start Docker, or use bubblewrap")


def image_id(image: str) -> str:
    """What a name of an image stands for by now: its id, which no other image ever has; "" if nobody knows."""
    path = (os.environ.get("DOCKER_HOST", "") or f"unix://{_SOCKET}").removeprefix("unix://")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        head, _, body = _answer(path, f"/images/{image}/json").partition(b"\r\n\r\n")
        if head.split()[1:2] == [str(_OK).encode()]:
            return str(json.loads(body)["Id"])
    return ""


def _without_image(image: str, status: int) -> Lacking:
    if status == _NOT_FOUND:
        text = f"the daemon has no image {visible(image)} (sandbox.image)"
        tag = "" if image == IMAGE else f" --tag {visible(image)}"
        return Lacking(text, f"make one without a registry: {BUILD}{tag}")
    return Lacking() if status == _OK else Lacking(f"asked for its image, it answers with status {status}")


def _status(path: str, asked: str) -> int:
    """What a daemon answers to one question: the number in "HTTP/1.1 200 OK"; 0 for what is no answer."""
    line = _answer(path, asked).partition(b"\n")[0].split()
    return int(line[1]) if len(line) > 1 and line[0].startswith(b"HTTP/") and line[1].isdigit() else 0


def _answer(path: str, asked: str) -> bytes:
    """All that a daemon says to one question; of HTTP/1.0, so that it ends with it."""
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(_PATIENCE)
        peer.connect(path)
        peer.sendall(f"GET {quote(asked)} HTTP/1.0\r\nHost: docker\r\n\r\n".encode())
        with peer.makefile("rb") as answer:
            return answer.read(_MOST)


# -- views


@functools.cache
def _overlay(case: str) -> tuple[Lacking, tuple[Finding, ...]]:
    """Why a command sees a private copy of a case instead of an overlay, and what else is less than it could be."""
    limits = Limits()
    group = Group.make("trial", limits)
    group.remove()
    weaker = [Finding("note", f"of a command: {text}", _LIMITED) for text in bounds.weaker(limits, group)]
    if os.geteuid() != 0:
        return Lacking("only root can mount one", "run treegate as root, or use Docker as root"), tuple(weaker)
    found = _tried(case)
    lacking = _lacking(found)
    if not lacking:
        weaker += _less(found)
    return lacking, tuple(weaker)


_LIMITED = "limits on memory, processes and processors together need control groups, which root makes"


def _tried(case: str) -> Found:
    with tempfile.TemporaryDirectory(prefix="treegate-") as area:
        command = [sys.executable, "-I", "-m", "treegate.engine.sandbox.trial", area, case]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRIAL, env={})
        except subprocess.TimeoutExpired:
            return Found(namespace=f"a trial has not ended within {_TRIAL:.0f} s")
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no word"]
        return Found(namespace=f"a trial has failed: {visible(lines[-1])}")
    return msgspec.json.decode(done.stdout, type=Found)


def _lacking(found: Found) -> Lacking:
    if found.namespace:
        return Lacking(f"mounts cannot be made: {found.namespace}", "where treegate runs in a container, let it")
    if found.scratch:
        text = f"no filesystem of a limited size can be made: {found.scratch}"
        return Lacking(text, "it needs mkfs.ext4 (apt install e2fsprogs) and loop devices")
    if found.overlay:
        return Lacking(found.overlay, "it needs a kernel with overlayfs (modprobe overlay)")
    return Lacking(found.case, "copies are made instead, up to sandbox.limits.copied") if found.case else Lacking()


def _less(found: Found) -> Iterator[Finding]:
    if found.owners:
        text = f"a case that is root's can only be shown as a private copy: {found.owners}"
        yield Finding("note", text, "its filesystem has no id-mapped mounts; give the case to another user")
    if found.opened:
        text = f"copies are not told as copies, nor what a command read: {found.opened}"
        yield Finding("note", text, "it needs a kernel with fanotify")
    most = _said(_REDIRECTS)
    if most.isdecimal() and int(most) < _ENOUGH:
        text = f"a command cannot rename what lies deeper than {most} bytes of path (redirect_max of overlayfs)"
        yield Finding("note", text, f"echo {_ENOUGH} > {_REDIRECTS}")
