"""Docker as an engine: the runner's side of a container, which a process beside it holds.

That process (`dockerhand`) is started before the command is known, so that starting Python and importing Docker's
SDK cost nobody any time; `Hand.go` tells it what to run. It passes on what the command writes as it comes, and
removes the container whatever happens: when the command ends, when it is told to, and when its runner is gone.
Nothing here imports the SDK.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from typing import IO, cast

import msgspec

from treegate.engine.handles import close
from treegate.engine.sandbox.order import Limits
from treegate.errors import TreegateError, UsageError

IMAGE = "treegate-mutator:latest"
SANDBOX_LABEL, STATE_LABEL = "treegate.sandbox", "treegate.state"
BUILD = "treegate sandbox build-image --from-host"
VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")  # of the environment: which daemon is meant
LENGTH = 4  # bytes, the highest first, that say how long an order is
_PATIENCE = 15.0  # seconds in which a hand that is told to end has removed its container


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """Something of the host that a container sees: a folder or file, or a volume by its name."""

    source: str
    inside: str
    read_only: bool = True
    volume: bool = False
    inner: bool = False  # a folder inside a volume, by where the daemon has it


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """One container: everything that a hand has to know of it."""

    name: str
    image: str
    command: tuple[str, ...]
    user: str  # "uid:gid"; 0 is refused to whoever has no capabilities besides
    folder: str = "/"  # that the command starts in
    mounts: tuple[Mount, ...] = ()
    environment: dict[str, str] = {}
    labels: dict[str, str] = {}
    limits: Limits = Limits()
    seccomp: str = ""  # a profile as Docker takes it; "" is Docker's own
    capabilities: tuple[str, ...] = ()  # of our own helpers; a command has none
    asked: bool = False  # whether what comes in by `Hand.ask` is passed on to it


class Started(msgspec.Struct, frozen=True, tag=True):
    """The command runs, in this very image."""

    image: str


class Done(msgspec.Struct, frozen=True, tag=True):
    """Everything in the container has ended; `status` is as in a shell, 128 and the signal where one ended it."""

    status: int
    out_of_memory: bool = False


class Cleared(msgspec.Struct, frozen=True, tag=True):
    """Nothing of the container is left."""


class Undone(msgspec.Struct, frozen=True, tag=True):
    """The command could not be run, or Docker lost it: in the words of an error of treegate."""

    code: str
    message: str
    hint: str = ""
    next: str = ""


Told = Started | Done | Cleared | Undone
_tellings = msgspec.json.Decoder(Told)


class Hand:
    """A process that holds one container; to be had beforehand, and to be ended in any case.

    `stdout` and `stderr` are what the command writes; `status` is a descriptor from which `told` can be read.
    """

    def __init__(self) -> None:
        self.status, theirs = os.pipe()
        command = [sys.executable, "-m", "treegate.engine.sandbox.dockerhand", str(theirs)]
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(theirs,),
                start_new_session=True,  # Ctrl-C at a terminal is the runner's to understand
            )
        except OSError:
            close(self.status)
            raise
        finally:
            close(theirs)
        self._control, self.stdout, self.stderr = _pipes(self.process)
        self._name, self._heard, self._cleared, self._closed = "", b"", True, False

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def control(self) -> int:
        """The handle by which a helper of ours is spoken to (`Spec.asked`)."""
        return self._control.fileno()

    def go(self, spec: Spec) -> None:
        """Has a container made and the command run in it; what becomes of that is told."""
        self._name, self._cleared = spec.name, False
        try:
            order = msgspec.json.encode(spec)
            self.ask(len(order).to_bytes(LENGTH) + order)
        except BrokenPipeError:  # it could not reach the daemon, and has said so
            return
        except UnicodeEncodeError as error:
            text = f"Docker takes text only, and {error.object!r} holds bytes that are none"
            raise UsageError(text, code="not-text", hint="name it otherwise, or use the engine bwrap") from None

    def ask(self, data: bytes) -> None:
        """Bytes for the standard input of a helper of ours (`Spec.asked`)."""
        while data:
            data = data[self._control.write(data) or 0 :]

    def told(self, timeout: float | None = None) -> Told | None:
        """The next thing that it says; None where it says nothing for so many seconds.

        A hand that ended without a word counts as Undone.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._heard:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self.status], [], [], left)[0]:
                return None
            got = os.read(self.status, 1 << 16)
            if not got:
                return self._silent()
            self._heard += got
        line, _, self._heard = self._heard.partition(b"\n")
        told: Told = _tellings.decode(line)
        self._cleared = self._cleared or isinstance(told, Cleared)
        return told

    def wait(self) -> Done:
        """Until nothing of the command is left; raises what kept it from being run."""
        while True:
            match self.told():
                case Done() as done:
                    return done
                case Undone() as undone:
                    raise as_error(undone)

    def end(self) -> bool:
        """Ends whatever is left of the container, and the hand; may be called at any time, and again.

        Whether nothing is left for certain: else it is for a sweep.
        """
        if self._closed:
            return self._cleared
        self._closed = True
        self._control.close()
        _drain(self.process, _PATIENCE)
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait()
        while not self._cleared and not isinstance(self.told(0), Undone | None):
            pass
        for stream in (self.stdout, self.stderr):
            stream.close()
        close(self.status)
        self._cleared = self._cleared or remove(self._name)  # somebody killed it before it could clear away
        return self._cleared

    def _silent(self) -> Undone:
        status = self.process.wait()
        text = f"the process that held the container ended before the command did (status {status})"
        return Undone("docker-lost", text, "run the command again; what is left of it is cleared away")

    def __enter__(self) -> Hand:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def prepare() -> Hand:
    """A hand that is ready by the time a command is known, or nearly so."""
    return Hand()


def remove(name: str) -> bool:
    """Removes a container of ours that nobody holds any more; False where no daemon answers."""
    from treegate.engine.sandbox import daemon

    try:
        with daemon.connect() as docker:
            docker.remove(name)
        return True
    except TreegateError:  # the next sweep finds it
        return False


def as_error(undone: Undone) -> TreegateError:
    """What a hand said, as an error to raise."""
    return UsageError(undone.message, code=undone.code, hint=undone.hint, next=undone.next)


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    pipes = (process.stdin, process.stdout, process.stderr)
    assert all(pipes)
    return cast(tuple[IO[bytes], IO[bytes], IO[bytes]], pipes)


def _drain(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Waits for a process that may still be writing to whoever no longer wants to know."""
    deadline = time.monotonic() + seconds
    streams = [one for one in (process.stdout, process.stderr) if one is not None]
    while process.poll() is None and (left := deadline - time.monotonic()) > 0:
        for stream in select.select(streams, [], [], min(left, 0.05))[0]:
            if not os.read(stream.fileno(), 1 << 16):
                streams.remove(stream)
        if not streams:
            _wait(process, left)


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
