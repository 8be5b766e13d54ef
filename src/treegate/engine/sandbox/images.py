"""Images for sandboxes: made from this machine, and tried before they are called ready."""

from __future__ import annotations

import os
import secrets
import tempfile
from typing import NamedTuple

from treegate.engine.sandbox import daemon, docker, hostimage
from treegate.engine.sandbox.order import SANDBOX_USER, Limits
from treegate.errors import UsageError

_TRIAL = "import ctypes, hashlib, json, lzma, os, sqlite3, zlib; print('well', os.getuid(), os.listdir('/case'))"
_WELL = f"well {SANDBOX_USER} []".encode()


class Made(NamedTuple):
    """An image: what it is called, its id, and the bytes that went into it."""

    tag: str
    id: str
    size: int


def build_from_host(tag: str = docker.IMAGE) -> Made:
    """A small image of this machine's Python, in the place of one that was called so.

    Raises UsageError where Docker is not, or nothing runs in it.
    """
    with daemon.connect() as engine, tempfile.TemporaryFile() as archive:
        hostimage.write(archive)
        size = archive.tell()
        archive.seek(0)
        before = engine.known(tag)
        made = Made(tag, engine.import_image(archive, tag, hostimage.CHANGES), size)
        if before and before != made.id:
            engine.remove_image(before)
    _try_out(made)
    return made


def _try_out(made: Made) -> None:
    """Runs Python in it once, as a command would be run."""
    command = ("/bin/sh", "-c", 'exec python3 -c "$0"', _TRIAL)
    spec = docker.Spec(
        name=f"treegate-trial-{secrets.token_hex(6)}",
        image=made.id,
        command=command,
        user=f"{SANDBOX_USER}:{SANDBOX_USER}",
        environment={"HOME": "/tmp"},
        limits=Limits(memory=256 << 20, temporary=16 << 20),
    )
    with docker.prepare() as hand:
        hand.go(spec)
        out, err = _all(hand.stdout.fileno()), _all(hand.stderr.fileno())
        status = hand.wait().status
    if status or not out.startswith(_WELL):
        text = f"the image {made.tag} was made, but Python does not run in it: {_text(err or out)}"
        raise UsageError(text, code="image-broken", hint="build deploy/mutator/Dockerfile instead")


def _text(said: bytes) -> str:
    return said.decode(errors="replace").strip()


def _all(fd: int) -> bytes:
    return b"".join(iter(lambda: os.read(fd, 1 << 16), b""))
