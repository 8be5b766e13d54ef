"""The helper: a process that holds the Docker socket for a service whose web process must not have it.

It has commands run whose order comes over a socket of its own, and takes nothing from an order but what it can check:
cases by their names in its own workspace, the image and the engine that its own configuration names, limits that are
not above its own. No path is taken from anybody. Runners and their frames are those of `session`; one order comes
over one connection.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import stat as st
import threading
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from treegate.engine.sandbox import leftovers, session, toolbox
from treegate.engine.sandbox.configured import Sandbox
from treegate.engine.sandbox.order import Case, Failed, Limits, Order
from treegate.engine.sandbox.session import Ready
from treegate.engine.sandbox.wire import Cancel, Line, Prepare, Release, Run
from treegate.engine.workspace import Workspace
from treegate.errors import Denied, TreegateError, UsageError
from treegate.model.names import visible

_ID = re.compile(r"sb_[A-Za-z0-9]{1,64}")
_PATIENCE = 10.0  # seconds in which what runs has to be gone
_MORE = 4  # connections besides those of commands that may run: runners that are ready


class Known(NamedTuple):
    """What the helper knows by itself, and never from an order."""

    workspace: Workspace
    state: Path
    config: Sandbox


class Helper:
    """Listens, and has one command run for each that connects; `close` ends all of them."""

    def __init__(self, known: Known, path: str) -> None:
        """Raises UsageError where another helper is listening there already, OSError."""
        self._known, self._path = known, path
        self._places = threading.BoundedSemaphore(known.config.at_once + _MORE)
        self._folder = known.state / leftovers.HELPED
        self._folder.mkdir(mode=0o700, exist_ok=True)
        leftovers.sweep(str(self._folder))
        for empty in self._folder.glob("[0-9a-f]*"):
            with contextlib.suppress(OSError):
                empty.rmdir()
        self._listening = _listen(path)
        self._serving: dict[threading.Thread, Line] = {}

    def serve(self) -> None:
        """Takes connections until it is closed."""
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # closed
                return
            line = Line(connection)
            thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
            self._serving[thread] = line
            thread.start()

    def close(self) -> None:
        """Takes no more; ends commands under way, and what is left of them."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        for line in list(self._serving.values()):
            line.hang_up()
        for thread in list(self._serving):
            thread.join(_PATIENCE)

    def _serve(self, line: Line) -> None:
        try:
            self._run_for(line)
        finally:
            self._serving.pop(threading.current_thread(), None)

    def _run_for(self, line: Line) -> None:
        with contextlib.closing(line), contextlib.suppress(EOFError, OSError):
            if not self._places.acquire(blocking=False):
                line.send(Failed("too-many-sandboxes", "the helper runs as many commands as it may", "ask again"))
                return
            try:
                self._run(line)
            except TreegateError as error:
                line.send(Failed(error.code, error.message, error.hint))
            finally:
                self._places.release()

    def _run(self, line: Line) -> None:
        prepare = line.word()
        if not isinstance(prepare, Prepare):
            raise _refused("it begins with something else than what to prepare")
        limits = _bounded(prepare.limits, self._known.config)
        scratch = self._folder / secrets.token_hex(8) / "scratch"
        elsewhere = bool(self._known.config.known_to_docker("here")[1])
        ready = session.make_ready("docker", str(scratch), limits, elsewhere=elsewhere)
        try:
            run = line.word()
            if not isinstance(run, Run):
                raise _refused("it is no order")
            ready.line.send(Run(order=checked(run.order, self._known, ready)))
            threading.Thread(target=_pass_on, args=(line, ready), daemon=True).start()
            _tell(line, ready)
        finally:
            ready.close()
            with contextlib.suppress(OSError):
                scratch.parent.rmdir()


def _tell(line: Line, ready: Ready) -> None:
    """What the runner tells, to whoever asked; ends with the runner, which whoever asked has let go of by then."""
    while True:
        try:
            frame = ready.line.frame()
        except (EOFError, OSError):
            return
        line.send(frame)


def _pass_on(line: Line, ready: Ready) -> None:
    """What may still be said of a command that runs: that it is to end, and that all is safe."""
    with contextlib.suppress(OSError):
        try:
            while isinstance(word := line.word(), Cancel | Release):
                ready.line.send(word)
        except (EOFError, OSError, ValueError):
            pass
        ready.line.hang_up()


def checked(order: Order, known: Known, ready: Ready) -> Order:
    """The order as the helper gives it, all of whose paths are its own; raises Denied, UsageError."""
    config = known.config
    if not _ID.fullmatch(order.id):
        raise _refused("its name is none of a sandbox")
    if order.engine != "docker" or (order.image and order.image != config.image):
        raise _refused(f"it names another engine or image than {config.image}")
    if order.view not in ("", "overlay", "copy"):
        raise _refused("it names a view that there is not")
    if not order.cases or len({one.name for one in order.cases}) < len(order.cases):
        raise _refused("it names no case, or one twice")
    folder = known.state / "sandboxes" / order.id
    if folder.is_symlink() or not folder.is_dir():
        raise _refused(f"nobody asked for {order.id} in its workspace")
    return Order(
        id=order.id,
        command=order.command,
        cases=tuple(_case(one.name, known.workspace) for one in order.cases),
        engine="docker",
        scratch=ready.scratch,
        blobs=str(known.state / "blobs"),
        document=str(folder / "plan.json"),
        image=config.image,
        view=order.view,
        tools=_tools(folder / "scratch", Path(ready.scratch)) if order.tools else "",
        limits=_bounded(order.limits, config),
        reads=order.reads,
        host_workspace=config.known_to_docker(os.path.realpath(known.workspace.root)),
        title=order.title,
        reason=order.reason,
    )


def _case(name: str, workspace: Workspace) -> Case:
    """A case by its name: a folder directly where cases are, and no link."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise _refused(f"'{visible(name)}' is no case's name")
    folder = os.path.join(os.path.realpath(workspace.projects), "" if name == workspace.single else name)
    try:
        is_folder = st.S_ISDIR(os.lstat(os.path.normpath(folder)).st_mode)
    except OSError:
        is_folder = False
    if not is_folder or name in workspace.reserved:
        raise _refused(f"there is no case '{visible(name)}'")
    return Case(name=name, folder=os.path.normpath(folder), hidden=tuple(sorted(workspace.reserved)))


def _tools(given: Path, scratch: Path) -> str:
    """A copy of the tools that lie ready for a command, followed by no link; they are only ever seen by it."""
    found = toolbox.listed(given, ("tools",))
    toolbox.copy(given, ("tools",), found, scratch / "tools")
    return str(scratch / "tools")


def _bounded(limits: Limits, config: Sandbox) -> Limits:
    """Limits, none of them above what is configured; raises Denied."""
    most = structs.asdict(config.limits.of_order())
    over = [name for name, value in structs.asdict(limits).items() if not 0 < value <= most[name]]
    if over:
        raise _refused(f"its limits are above those that are configured here: {', '.join(over)}")
    return limits


def _refused(why: str) -> Denied:
    hint = "the helper and whoever asks it have to be of one workspace and one configuration"
    return Denied(f"the helper does not run this: {why}", code="helper-refused", hint=hint)


def _listen(path: str) -> socket.socket:
    """A socket for its owner and its group; one that a dead helper left is replaced."""
    listening = socket.socket(socket.AF_UNIX)
    with contextlib.suppress(FileNotFoundError, ConnectionRefusedError), socket.socket(socket.AF_UNIX) as other:
        other.connect(path)
        text = f"a helper listens at {path} already"
        raise UsageError(text, code="helper-running", hint="end it first, or name another --socket")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    before = os.umask(0o117)  # 0660 from its first moment
    try:
        listening.bind(path)
    finally:
        os.umask(before)
    listening.listen()
    return listening
