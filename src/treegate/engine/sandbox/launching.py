"""Launching: the process that becomes the command is made beforehand, for joining a control group takes its time.

It is alone in its group with what it starts, so that all of it can be counted, limited and ended together.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
from collections.abc import Mapping, Sequence

from treegate.engine import handles
from treegate.engine.sandbox.cgroups import Group

_GONE = 10.0  # seconds in which what was killed has to be gone
_ARGUMENTS = 1 << 20


class Launched:
    """A process in its group that waits to become a command (`go`), and then the command under way."""

    def __init__(self, group: Group, seccomp: int = -1) -> None:
        self._group = group
        waits, self._command = os.pipe()
        (self.stdout, out), (self.stderr, err), (self._told, tell) = os.pipe(), os.pipe(), os.pipe()
        self.tell = tell  # the handle, in the new process, on which it tells what it started
        self._first = -1  # a handle of the first process of the command's own process namespace
        self._status: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._command)  # so that this process ends when the other one does before it has said anything
            _wait_for_command(group, waits, out, err, (tell, seccomp))
        for fd in (waits, out, err, tell):
            handles.close(fd)
        self._pidfd = os.pidfd_open(self.pid)

    def fileno(self) -> int:
        """A handle that can be read from once the command has ended."""
        return self._pidfd

    def go(self, arguments: Sequence[str], bounds: Mapping[str, int]) -> None:
        """Has it become a command, within bounds that `resource` has names for."""
        data = json.dumps([list(arguments), dict(bounds)]).encode()
        with open(self._command, "wb") as pipe:
            pipe.write(data)

    def kill(self) -> None:
        """Ends the command and all that it started."""
        self._look_for_first()
        if self._group:
            self._group.kill_all()
        if self._first >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def status(self) -> int:
        """Waits for the end of the command and of all it started; its exit status, 128 and a signal as in a shell.

        Raises TimeoutError where something of it will not end.
        """
        if self._status is None:
            self._look_for_first()
            _, status = os.waitpid(self.pid, 0)
            code = os.waitstatus_to_exitcode(status)
            self._status = code if code >= 0 else 128 - code
        if not self._is_gone():
            raise TimeoutError("some process of the command does not end")
        return self._status

    def _is_gone(self) -> bool:
        if self._group and not self._group.wait_empty(_GONE):
            return False
        # Once the first process of a namespace can be waited for, the kernel has ended all others in it.
        return self._first < 0 or bool(select.select([self._first], [], [], _GONE)[0])

    def _look_for_first(self) -> None:
        """Takes a handle of the namespace's first process, once bubblewrap has told of it."""
        if self._first >= 0 or not select.select([self._told], [], [], 0)[0]:
            return
        with contextlib.suppress(ValueError, KeyError, ProcessLookupError):
            self._first = os.pidfd_open(json.loads(os.read(self._told, 4096))["child-pid"])

    def close(self) -> None:
        """Gives all handles back."""
        for fd in (self.stdout, self.stderr, self._told, self._pidfd, self._first):
            if fd >= 0:
                handles.close(fd)


def _wait_for_command(group: Group, command: int, out: int, err: int, kept: tuple[int, ...]) -> None:
    """The new process: enters its group, waits for what to become, becomes it. Never returns."""
    try:
        if group:
            group.enter()
        with contextlib.suppress(OSError):
            os.setsid()
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        for fd in map(int, os.listdir("/proc/self/fd")):  # the runner's own wire is not for the command
            with contextlib.suppress(OSError):
                os.set_inheritable(fd, fd < 3 or fd in kept)
        with open(command, "rb") as pipe:
            data = pipe.read(_ARGUMENTS)
        if data:
            arguments, bounds = json.loads(data)
            for name, most in bounds.items():
                resource.setrlimit(getattr(resource, name), (most, most))
            os.chdir("/")
            os.execve(arguments[0], arguments, {})
    except BaseException as error:
        os.write(2, f"treegate: {error}\n".encode("utf-8", "replace"))
    finally:
        os._exit(125)
