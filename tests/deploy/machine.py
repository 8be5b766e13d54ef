"""A machine of a test's own: this one's files, never written to, and a systemd that is its process 1.

Namespaces, and an overlay of `/` that ends with them: no image is made, nothing is downloaded. It has no network, no
device, and of the units only those that were laid into it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
UID, AGENT = 61234, 61235
PATIENCE = 60  # seconds
UNITS = "etc/systemd/system"
TARGETS = ("sysinit", "basic", "shutdown", "multi-user", "timers", "paths", "sockets", "network-online")
JOURNAL = {"systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket"}
MOUNT = """[Unit]
DefaultDependencies=no
[Mount]
What=/srv/workspace
Where=/mnt/workspace
Type=none
Options=bind
"""
TIED = ("setpriv", "--pdeathsig", "KILL")  # to us: nothing of it outlives a test that is killed
JOIN = 'echo $$ >"$0/cgroup.procs"; exec "$@"'
APART = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc", "--net")
TRIED = """
mount -t tmpfs tmpfs /mnt
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root
mount -t sysfs -o ro sysfs /mnt/root/sys
mount -t cgroup2 cgroup2 /mnt/root/sys/fs/cgroup
"""
# By the shell, for all of it is mounts; they are seen by nobody else, and end with the last of its processes.
BUILD = """
here=$1; shift
mount -t tmpfs tmpfs "$here"
mkdir "$here/upper" "$here/work" "$here/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$here/upper,workdir=$here/work" "$here/root"
cd "$here/root"
rm -rf etc/systemd/system/* etc/systemd/system.conf.d etc/cron.d/* etc/crontab opt/treegate var/lib/treegate
mount -t proc proc proc
mount -o bind,ro proc/sys proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
while [ "$1" != -- ]; do mkdir -p "./$2"; mount --bind "$1" "./$2"; shift 2; done; shift
cp -a "$1/." .; shift
chroot . ldconfig 2>/dev/null
ip link set lo up 2>/dev/null || true
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test SYSTEMD_UNIT_PATH=/etc/systemd/system chroot . "$@"
"""


class Machine:
    """One machine, whose workspace is a folder of the test's."""

    def __init__(self, place: Path) -> None:
        self.place, self.workspace = place, place / "workspace"
        self.laid = place / "laid"
        self._cgroup = _cgroups() / f"treegate-test-{os.getpid()}-{place.name}"
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0  # its process 1, by its number here

    def lay(self, path: str, text: str, mode: int = 0o644) -> None:
        """Puts a file into it, before it starts."""
        file = self.laid / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    def lay_ours(self) -> None:
        """All that docs/deploy.md puts in place, but for what is enabled."""
        for target in TARGETS:
            self.lay(f"{UNITS}/{target}.target", "[Unit]\nDefaultDependencies=no\n")
        for name in JOURNAL | {"cron.service"}:
            if (unit := Path("/lib/systemd/system", name)).exists():
                self.lay(f"{UNITS}/{name}", unit.read_text())
        self.lay(f"{UNITS}/mnt-workspace.mount", MOUNT)
        for unit in (TOP / "deploy/systemd").glob("treegate*.*"):
            self.lay(f"{UNITS}/{unit.name}", unit.read_text())
        for name in ("treegate-admin", "treegate-backup"):
            self.lay(f"usr/local/bin/{name}", (TOP / "deploy/systemd" / name).read_text(), 0o755)
        for name, uid in (("treegate", UID), ("agent", AGENT)):
            self._user(name, uid)
        self._program()

    def _user(self, name: str, uid: int) -> None:
        for file, row in (
            ("passwd", f"{name}:x:{uid}:{uid}::/var/lib/{name}:/usr/sbin/nologin"),
            ("group", f"{name}:x:{uid}:"),
            ("shadow", f"{name}:!:19000::::::"),
        ):
            kept = self.laid / "etc" / file
            text = (kept if kept.exists() else Path("/etc", file)).read_text()
            rows = [line for line in text.splitlines() if not line.startswith(f"{name}:")]
            self.lay(f"etc/{file}", "\n".join([*rows, row, ""]), 0o600 if file == "shadow" else 0o644)

    def _program(self) -> None:
        """/opt/treegate, a venv of the Python that runs the tests, and what that one has installed."""
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        self.lay("opt/treegate/pyvenv.cfg", "home = /opt/python/bin\ninclude-system-site-packages = false\n")
        self.lay(f"opt/treegate/lib/{version}/site-packages/ours.pth", "/opt/installed\n/opt/source\n")
        script = Path(sys.executable).with_name("treegate").read_text().partition("\n")[2]
        self.lay("opt/treegate/bin/treegate", f"#!/opt/treegate/bin/python\n{script}", 0o755)
        self.lay("etc/ld.so.conf.d/0-python.conf", "/opt/python/lib\n")  # where it is one that a user built
        (self.laid / "opt/treegate/bin/python").symlink_to(f"/opt/python/bin/{version}")

    def start(self) -> None:
        """Starts it, and waits until its systemd answers."""
        import treegate

        binds = {
            Path(sys.base_prefix): "opt/python",
            Path(pytest.__file__).parents[1]: "opt/installed",
            Path(treegate.__file__).parents[1]: "opt/source",
            self.workspace: "srv/workspace",
        }
        (self.place / "root").mkdir()
        self._cgroup.mkdir()
        command = [*TIED, "sh", "-euc", JOIN, str(self._cgroup)]
        command += [*APART, "sh", "-euc", BUILD, "build", str(self.place / "root")]
        command += [part for pair in binds.items() for part in map(str, pair)]
        command += ["--", str(self.laid), "/lib/systemd/systemd", "--unit=multi-user.target", "--show-status=0"]
        with (self.place / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.until(self._up)
        self.run("systemctl", "start", *sorted(JOURNAL))

    def _up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.place / "log").read_text()
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        self._first = int(children[0]) if children else 0
        return bool(self._first) and self.asked("systemctl", "is-active", "multi-user.target") == "active"

    def run(self, *command: str, check: bool = True, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """A command of root's there."""
        enter = ["nsenter", "-t", str(self._first), "-m", "-p", "-C", "-u", "-i", "-n", "-r"]
        clean = ["env", "-i", "-C", "/", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"]
        done = subprocess.run([*enter, *clean, *command], capture_output=True, text=True, timeout=120, input=stdin)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def control(self, unit: str, text: str) -> str:
        """Gives a service a drop-in, as `systemctl edit` does; where it is."""
        path = f"/{UNITS}/{unit}.service.d/override.conf"
        self.run("mkdir", "-p", str(Path(path).parent))
        self.run("tee", path, stdin=text)
        self.run("systemctl", "daemon-reload")
        return path

    def asked(self, *command: str) -> str:
        """What a command says, whatever its exit status."""
        return self.run(*command, check=False).stdout.strip()

    def until(self, true: Callable[[], bool], patience: float = PATIENCE) -> None:
        end = time.monotonic() + patience
        while not true():
            assert time.monotonic() < end, f"not in time\n{self.journal()}"
            time.sleep(0.1)

    def journal(self) -> str:
        return self.asked("journalctl", "--no-pager", "-n", "60", "-o", "cat") if self._first else ""

    def stop(self) -> None:
        """Ends it, with all that runs there."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            end = time.monotonic() + PATIENCE
            while "populated 1" in (self._cgroup / "cgroup.events").read_text() and time.monotonic() < end:
                time.sleep(0.05)
        for folder, _, _ in os.walk(self._cgroup, topdown=False) if self._cgroup.exists() else ():
            os.rmdir(folder)


def _cgroups() -> Path:
    """Where the kernel's second kind of control groups is mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    return Path("/sys/fs/cgroup")


def lacking() -> str:
    """Why there can be no such machine here, or nothing."""
    if os.geteuid():
        return "needs root, for a machine of its own"
    if not Path("/lib/systemd/systemd").exists():
        return "needs systemd (Debian: systemd)"
    if not all(map(shutil.which, ("unshare", "nsenter", "setpriv"))):
        return "needs unshare, nsenter and setpriv (Debian: util-linux)"
    done = subprocess.run([*APART, "sh", "-ec", TRIED], capture_output=True, text=True)
    if done.returncode:
        return f"needs namespaces, an overlay and control groups: {done.stderr.strip()}"
    if not os.access(_cgroups(), os.W_OK) or not (_cgroups() / "cgroup.procs").exists():
        return "needs control groups of its own (cgroup v2) to give systemd"
    return ""
