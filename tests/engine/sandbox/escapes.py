"""Attempts to get out of a sandbox, or to hurt what is outside: what a script tries, and what must be seen of it.

Each is Python that runs inside. `attempt` says "refused" or "DONE" of one thing tried; {secret} and the like are told
to it from outside, for a script that knows everything must not get further than one that has to guess.
"""

from __future__ import annotations

from typing import NamedTuple

PRELUDE = """
import ctypes, errno, os, signal, socket, stat, struct, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def attempt(act, *given, **named):
    try:
        found = act(*given, **named)
    except (OSError, ValueError) as error:
        print("refused", type(error).__name__, flush=True)
    else:
        print("DONE", given, repr(found)[:300], flush=True)
def call(name, *given):
    if getattr(libc, name)(*given) < 0:
        raise OSError(ctypes.get_errno(), name)
def read(path):
    with open(path, "rb") as file:
        return file.read(4096)
def write(path, data=b"x"):
    with open(path, "wb", 0) as file:
        return file.write(data)
"""


class Attempt(NamedTuple):
    """Something that must not be had: `times` things are tried, and each is refused."""

    script: str
    times: int


REACHING = {
    "another case": Attempt(
        """
for path in ("{other}", "{other}/secret", "/case/../Other/secret", "/cases/Other/secret", "/case/../../projects"):
    attempt(read if path.endswith("secret") else os.listdir, path)
os.chdir("/case")
attempt(read, "../Other/secret")
""",
        6,
    ),
    "the state directory, its keys and tokens": Attempt(
        """
for path in ("{state}/treegate.db", "{state}/key", "{place}/state/key", "/var/lib/treegate/key"):
    attempt(read, path)
attempt(os.listdir, "{state}")
attempt(os.listdir, "/var/lib/treegate")
""",
        6,
    ),
    "what the machine keeps for root": Attempt(
        """
for path in ("/etc/shadow", "/etc/gshadow", "/root/.bashrc", "/proc/kcore", "/proc/kmsg", "/dev/kmsg", "/dev/mem"):
    attempt(read, path)
attempt(os.listdir, "/root")
""",
        8,
    ),
    "other processes' places": Attempt(
        """
for name in ("root", "cwd"):
    attempt(os.listdir, "/proc/{runner}/" + name)
for name in ("environ", "mem", "cmdline"):
    attempt(read, "/proc/{runner}/" + name)
attempt(os.listdir, "/proc/{runner}/fd")
""",
        6,
    ),
    "other processes, by signals": Attempt(
        """
for number in (0, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP):
    attempt(os.kill, {victim}, number)
attempt(os.pidfd_open, {victim})
attempt(os.setpriority, os.PRIO_PROCESS, {victim}, 19)
""",
        6,
    ),
    "other processes, by their memory": Attempt(
        """
attempt(call, "ptrace", 16, {victim}, 0, 0)
attempt(call, "ptrace", 16, 1, 0, 0)
attempt(call, "ptrace", 0, 0, 0, 0)
part = (ctypes.c_size_t * 2)(ctypes.addressof(ctypes.create_string_buffer(64)), 64)
attempt(call, "process_vm_readv", 1, part, 1, part, 1, 0)
attempt(write, "/proc/1/mem")
attempt(write, "/proc/1/oom_score_adj", b"-1000")
""",
        6,
    ),
    "the Docker socket": Attempt(
        """
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "{place}/socket"):
    attempt(socket.socket(socket.AF_UNIX).connect, path)
""",
        4,
    ),
    "abstract sockets of others": Attempt(
        """
attempt(socket.socket(socket.AF_UNIX).connect, "\\0{abstract}")
attempt(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).connect, "\\0{abstract}")
""",
        2,
    ),
    "the network": Attempt(
        """
attempt(lambda: socket.create_connection(("127.0.0.1", {port}), 2))
attempt(lambda: socket.create_connection(("localhost", {port}), 2))
attempt(lambda: socket.create_connection(("::1", {port}), 2))
attempt(lambda: socket.create_connection(("192.0.2.1", 80), 2))
attempt(lambda: socket.getaddrinfo("example.com", 80))
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET, 38, 40):
    attempt(socket.socket, family, socket.SOCK_DGRAM)
""",
        11,
    ),
    "settings of the kernel": Attempt(
        """
for path in (
    "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches",
    "/sys/module/overlay/parameters/redirect_max", "/sys/kernel/uevent_helper", "/sys/fs/cgroup/memory/cgroup.procs",
    "/sys/fs/cgroup/cgroup.procs", "/sys/power/state",
):
    attempt(write, path, b"1")
""",
        9,
    ),
    "disks and other devices": Attempt(
        """
for name in ("vda", "sda", "loop0", "loop-control", "fuse", "kvm", "net/tun", "tty0"):
    attempt(read, "/dev/" + name)
for where in ("/tmp", "/case", "/dev/shm"):
    attempt(os.mknod, where + "/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    attempt(os.mknod, where + "/disk", stat.S_IFBLK | 0o666, os.makedev(7, 0))
    attempt(os.mknod, where + "/gone", stat.S_IFCHR | 0o666, os.makedev(0, 0))
attempt(read, "/case/device")
attempt(read, "/case/disk")
""",
        19,
    ),
    "keys of the kernel": Attempt(
        """
KEYCTL = {{"x86_64": (250, 248, 249), "aarch64": (219, 217, 218)}}[os.uname().machine]
def keys(number, *given):
    if libc.syscall(number, *given) < 0:
        raise OSError(ctypes.get_errno(), "keys")
attempt(keys, KEYCTL[0], 0, -3, 0)
attempt(keys, KEYCTL[0], 11, -4, None, 0)
attempt(keys, KEYCTL[1], b"user", b"name", b"value", 5, -3)
attempt(keys, KEYCTL[2], b"user", b"name", None, -3)
""",
        4,
    ),
    "writing anywhere but in the case and /tmp": Attempt(
        """
for path in (
    "/x", "/tools/x", "/tools/tool.py", "/usr/x", "/usr/bin/python3", "/bin/sh", "/etc/passwd", "/etc/x", "/opt/x",
    "/var/x", "/home/x", "/proc/x", "/sys/x", "/lib/x", "/cases/x", "/mnt/x",
):
    attempt(write, path)
attempt(os.mkdir, "/new")
attempt(os.rename, "/tools/tool.py", "/tools/other.py")
attempt(os.unlink, "/tools/tool.py")
attempt(os.chmod, "/tools/tool.py", 0o777)
""",
        20,
    ),
    "mounts and namespaces": Attempt(
        """
attempt(call, "mount", b"none", b"/tmp", b"tmpfs", 0, None)
attempt(call, "mount", None, b"/tools", None, 32, None)
attempt(call, "mount", b"/case", b"/tmp", None, 4096, None)
attempt(call, "mount", b"proc", b"/proc", b"proc", 0, None)
for place in (b"/case", b"/tools", b"/proc", b"/"):
    attempt(call, "umount2", place, 2)
attempt(call, "pivot_root", b"/tmp", b"/tmp") if hasattr(libc, "pivot_root") else attempt(call, "umount2", b"/", 0)
attempt(os.chroot, "/tmp")
for flag in (0x10000000, 0x00020000, 0x20000000, 0x40000000, 0x02000000):
    attempt(call, "unshare", flag)
for name in ("mnt", "user", "pid", "net"):
    fd = os.open("/proc/self/ns/" + name, os.O_RDONLY)
    attempt(call, "setns", fd, 0)
attempt(call, "sethostname", b"x", 1)
""",
        20,
    ),
    "being somebody else": Attempt(
        """
for change in (os.setuid, os.seteuid, os.setgid, os.setegid):
    attempt(change, 0)
    attempt(change, 1000)
attempt(os.setgroups, [0])
attempt(os.setresuid, 0, 0, 0)
attempt(os.chown, "/case/file", 0, 0)
attempt(os.chown, "/case/file", 1000, 1000)
class Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]
attempt(call, "capset", ctypes.byref(Header(0x20080522, 0)), (ctypes.c_uint32 * 6)(*[0xFFFFFFFF] * 6))
""",
        13,
    ),
    "clocks, and the machine's end": Attempt(
        """
attempt(time.clock_settime, time.CLOCK_REALTIME, 0)
attempt(call, "settimeofday", (ctypes.c_long * 2)(0, 0), None)
attempt(call, "reboot", 0x4321FEDC)
attempt(call, "swapoff", b"/swap")
attempt(call, "acct", None)
attempt(call, "personality", 0x0040000)
""",
        6,
    ),
    "marks that an overlay reads": Attempt(
        """
for name in ("trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.overlay.metacopy", "security.capability"):
    attempt(os.setxattr, "/case/file", name, b"y")
    attempt(os.setxattr, "/case/folder", name, b"/secret")
""",
        8,
    ),
    "the case's own place": Attempt(
        """
attempt(os.rename, "/case", "/tmp/case")
attempt(os.rmdir, "/case")
attempt(os.rename, "/tmp", "/case/tmp")
attempt(os.link, "/etc/passwd", "/case/passwd")
attempt(os.link, "/tools/tool.py", "/case/tool.py")
attempt(os.rename, "/tools/tool.py", "/case/tool.py")
""",
        6,
    ),
}  # fmt: skip


class Shown(NamedTuple):
    """Something that is seen as it should be: what a script prints."""

    script: str
    printed: str


SEEING = {
    "nobody but itself": Shown(
        """
print(len([name for name in os.listdir("/proc") if name.isdecimal()]) <= 3)
""",
        "True",
    ),
    "no privilege that could be had back": Shown(
        """
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    assert int(status[name], 16) == 0, (name, status[name])
print(status["NoNewPrivs"].strip(), status["Seccomp"].strip(), set(status["Groups"].split()) <= {{"{user}"}})
print(set(status["Uid"].split() + status["Gid"].split()))
""",
        "1 2 True\n{{'{user}'}}",
    ),
    "no handle but the three it was given": Shown(
        """
held = [int(name) for name in os.listdir("/proc/self/fd")]
print([fd for fd in held if os.path.lexists("/proc/self/fd/%d" % fd)])
print(os.read(0, 1))
""",
        "[0, 1, 2]\nb''",
    ),
    "an environment that says nothing": Shown(
        """
print(sorted(set(os.environ) - {{"HOME", "HOSTNAME", "LANG", "LC_CTYPE", "PATH", "PWD", "PYTHONDONTWRITEBYTECODE"}}))
""",
        "[]",
    ),
    "devices that harm nobody": Shown(
        """
harmless = "null zero full random urandom tty console ptmx pts shm mqueue fd core stdin stdout stderr"
print(sorted(set(os.listdir("/dev")) - set(harmless.split())))
""",
        "[]",
    ),
    "set-user-ID programs that give nothing": Shown(
        """
for name in ("id-of-root", "id-of-another"):
    print(subprocess.run(["/case/" + name, "-u"], capture_output=True, text=True).stdout.strip())
import shutil
shutil.copy("/case/id-of-root", "/case/mine"); os.chmod("/case/mine", 0o6755)
print(subprocess.run(["/case/mine", "-u"], capture_output=True, text=True).stdout.strip())
""",
        "{user}\n{user}\n{user}",
    ),
    "the case as its own, whoever's it is": Shown(
        """
print({{entry.stat().st_uid for entry in os.scandir("/case") if entry.name in ("file", "folder")}})
write("/case/file", b"changed"); os.chmod("/case/file", 0o600); os.rename("/case/folder", "/case/moved")
print(read("/case/file"))
""",
        "{{{user}}}\nb'changed'",
    ),
}  # fmt: skip

FORKS = """
pids = []
try:
    while True:
        pid = os.fork()
        if not pid: time.sleep(60)
        pids.append(pid)
except OSError as error:
    print(len(pids), error.errno == errno.EAGAIN)
"""
