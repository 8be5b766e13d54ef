"""Buckets mounted through FUSE, as offices mount them: an S3 server, `rclone mount` and `s3fs`, and their ends.

The options are those of a careful user: what is written goes to the bucket at once, little is remembered of what
others may have changed, and what the mount has not sent yet lies where the next mount finds it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from select import select

import fusekill
import pytest

sys.path.append(str(Path(__file__).parents[1] / "gate"))

from gatework import Office
from tests.faults.loops import everywhere

from treegate.engine import mounts

SERVER = Path(__file__).with_name("bucketserver.py")
PATIENCE = 60  # seconds that a mount may take to come or to go
_HEADERS = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request",
    "Content-Type": "application/octet-stream",
}
XMLNS = "{http://s3.amazonaws.com/doc/2006-03-01/}"


def rclone(store: Store, at: Path, work: Path) -> tuple[list[str], dict[str, str]]:
    """The command that mounts the bucket through rclone, and its environment."""
    named = {
        "TYPE": "s3",
        "PROVIDER": "Other",
        "ENDPOINT": f"http://127.0.0.1:{store.port}",
        "ACCESS_KEY_ID": "k",
        "SECRET_ACCESS_KEY": "s",
        "FORCE_PATH_STYLE": "true",
    }
    command = [
        *("rclone", "mount", f"store:{store.bucket}", str(at), "--config", "/dev/null"),
        *("--vfs-cache-mode", "writes", "--vfs-write-back", "0s", "--cache-dir", str(work / "cache")),
        *("--dir-cache-time", "1s", "--poll-interval", "0", "--retries", "1", "--low-level-retries", "2"),
    ]
    return command, {f"RCLONE_CONFIG_STORE_{key}": value for key, value in named.items()}


def s3fs(store: Store, at: Path, work: Path) -> tuple[list[str], dict[str, str]]:
    """The command that mounts the bucket through s3fs, and its environment."""
    options = (
        f"url=http://127.0.0.1:{store.port},use_path_request_style,enable_noobj_cache,stat_cache_expire=5,retries=1"
    )
    return ["s3fs", store.bucket, str(at), "-f", "-o", options], {"AWSACCESSKEYID": "k", "AWSSECRETACCESSKEY": "s"}


MOUNTS: dict[str, Callable[[Store, Path, Path], tuple[list[str], dict[str, str]]]] = {"rclone": rclone, "s3fs": s3fs}
NAMES = {"rclone": "rclone mount", "s3fs": "s3fs"}  # in the table of guarantees


def refuse_without(kind: str | None) -> None:
    """Skips where a bucket cannot be served, or not mounted through this program."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/fuse, to mount a bucket")
    if find_spec("moto") is None or find_spec("flask_cors") is None:
        pytest.skip("needs moto, to serve a bucket")
    if kind is not None and shutil.which(kind) is None:
        pytest.skip(f"needs {kind}, to mount a bucket")


class Store:
    """An S3 server, and one bucket of it at a time, asked in plain HTTP."""

    def __init__(self) -> None:
        self.bucket = ""
        self._process = subprocess.Popen(
            [sys.executable, str(SERVER)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        self.anew()

    def anew(self) -> None:
        """Go on with a bucket in which there is nothing."""
        self.bucket = f"cases-{secrets.token_hex(8)}"
        self.ask(f"/{self.bucket}", "PUT")

    def ask(self, path: str, method: str = "GET", data: bytes | None = None, **headers: str) -> bytes:
        """One request; the answer's body."""
        where, headers = f"http://127.0.0.1:{self.port}{path}", _HEADERS | headers
        request = urllib.request.Request(where, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return bytes(answer.read())

    def keys(self) -> list[str]:
        """The names of all objects."""
        found, after = [], ""
        while True:
            query = urllib.parse.urlencode({"list-type": "2", "encoding-type": "url", "start-after": after})
            listing = ElementTree.fromstring(self.ask(f"/{self.bucket}?{query}"))
            found += [urllib.parse.unquote_plus(key.text or "") for key in listing.iter(f"{XMLNS}Key")]
            if listing.findtext(f"{XMLNS}IsTruncated") != "true":
                return found
            after = found[-1]

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """The content of every object below a prefix that is no marker of a folder."""
        keys = [key for key in self.keys() if key.startswith(prefix) and not key.endswith("/")]
        return {key.removeprefix(prefix): self.ask(f"/{self.bucket}/{urllib.parse.quote(key)}") for key in keys}

    def put(self, key: str, content: bytes, *, dated: int | None = None) -> None:
        """An object made behind the mount's back; with a date of its own, in nanoseconds since 1970, or without."""
        own = {} if dated is None else {"x-amz-meta-mtime": str(dated // 10**9)}
        self.ask(f"/{self.bucket}/{urllib.parse.quote(key)}", "PUT", content, **own)

    def changes(self) -> int:
        """How many changes were carried out so far."""
        return int(self.ask("/-/changes"))

    def kill_at(self, mount: Mount, change: int) -> int:
        """Have a mount killed once so many more changes are carried out, before the last one is answered.

        Which of all changes that one is: `changes()` says whether it was reached.
        """
        return change + int(self.ask(f"/-/kill/{mount.pid}/{change}", "POST", str(mount.switch).encode()))

    def spare(self) -> None:
        """Have nothing killed any more."""
        self.ask("/-/kill/0/0", "POST", b"")

    def close(self) -> None:
        end(self._process)


class Mount:
    """The bucket of a store, mounted in a folder of its own through one of the programs."""

    def __init__(self, kind: str, store: Store, folder: Path, listed: Path) -> None:
        self.kind, self.store = kind, store
        self.root, self._work = folder / "office", folder / "mount"
        self.root.mkdir(parents=True)
        self._work.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self._listed = listed
        self.switch = Path()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def mount(self) -> None:
        """Mount, and wait until it is there."""
        command, environ = MOUNTS[self.kind](self.store, self.root, self._work)
        with open(self._work / "log", "ab") as log:
            environ |= {"PATH": os.environ["PATH"], "HOME": str(self._work)}
            self._process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        self._wait(mounted=True)
        self.switch = fusekill.switch(self._listed, self.root)

    def kill(self) -> None:
        """What a crash of the mount does: the process is gone, and every call into the folder fails."""
        assert self._process is not None
        fusekill.kill(self.pid, self.switch)
        self._process.wait(PATIENCE)

    def ended(self) -> None:
        """Wait until the process was killed by somebody else."""
        assert self._process is not None
        self._process.wait(PATIENCE)

    def unmount(self) -> None:
        """Unmount in good order, what was written being sent first; afterwards only the empty folder is there."""
        subprocess.run(["fusermount3", "-u", str(self.root)], check=True, timeout=PATIENCE, capture_output=True)
        everywhere(self.root)
        self.ended()

    def detach(self) -> None:
        """Take away a mount, or what is left of it, whatever its process does; nothing is to be killed any more."""
        self.store.spare()
        while self.mounted():
            subprocess.run(["umount", "-l", str(self.root)], check=True, timeout=PATIENCE, capture_output=True)
        if self._process is not None:
            fusekill.kill(self.pid, self.switch)
            end(self._process)

    def again(self) -> None:
        """What somebody does after a crash of the mount: take away what is left, and mount anew."""
        self.detach()
        self.mount()

    def mounted(self) -> bool:
        """Whether anything is mounted on the folder, its process alive or not."""
        return any(mount.point == str(self.root) for mount in mounts.mounted())

    def _wait(self, mounted: bool) -> None:
        """Wait on the kernel's word that its table of mounts has changed (proc(5), mountinfo and poll)."""
        with open("/proc/self/mountinfo") as table:
            while self.mounted() is not mounted:
                changed = select([], [], [table], 1)[2]
                assert changed or self._process is None or self._process.poll() is None, self.said()

    def said(self) -> str:
        """What the program wrote."""
        return (self._work / "log").read_text(errors="replace")


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a process of ours, and wait for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    if process.stdout is not None:
        process.stdout.close()


@contextlib.contextmanager
def mounted(kind: str, store: Store, folder: Path) -> Iterator[Mount]:
    """A store's bucket, mounted below a folder; the mount is gone afterwards, whatever became of it."""
    listed = folder / "connections"
    listed.mkdir(parents=True)
    with fusekill.switches(listed):
        mount = Mount(kind, store, folder, listed)
        try:
            mount.mount()
            yield mount
        finally:
            mount.detach()


class BucketOffice(Office):
    """An office whose workspace is a bucket mount; its policy takes what is weaker there."""

    def __init__(self, mount: Mount, state: Path, *, weak: str = "allow") -> None:
        self.mount = mount
        super().__init__(mount.root, state)
        self.configure(policy_weak_mounts=weak, policy_limits_delete_share="1")

    def kept(self) -> dict[str, bytes]:
        """What the cases hold, as the store has it: of the mount's own word nothing is believed."""
        return self.mount.store.objects("projects/")

    def again(self) -> None:
        """Mount anew after a crash of the mount, and open the gate anew."""
        self.close()
        self.mount.again()
        self.reopen()

    def close(self) -> None:
        super().close()
        self.gates.clear()
