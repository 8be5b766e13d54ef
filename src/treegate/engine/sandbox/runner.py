"""The runner of one command: `python -m treegate.engine.sandbox.runner FD`, a process of its own.

It owns all that a sandbox is made of: the mounts (in a namespace of its own, so that they end with it), the control
group, the limits, and the capture. When the other end of its wire is gone, so is whoever asked for the command: it
ends the command and itself. It has one thread, which the command is tied to: no thread of a service ends a sandbox.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

from treegate.engine.sandbox import dating, document, leftovers, mounting, scratch, userspace
from treegate.engine.sandbox.difference import Difference, Keeper
from treegate.engine.sandbox.engines import Bubblewrap, Container, Engine
from treegate.engine.sandbox.order import Captured, Ended, Exited, Failed, Order, Started
from treegate.engine.sandbox.pump import Pump
from treegate.engine.sandbox.view import Unfit, make_folders
from treegate.engine.sandbox.views import View, best
from treegate.engine.sandbox.wire import Line, Prepare, Release, Run
from treegate.errors import FULL, TreegateError

_LOOK = 64  # differences that are told between two looks whether anybody still waits for them


class Runner:
    """One command, from what can be done beforehand to what it did."""

    def __init__(self, line: Line, prepare: Prepare) -> None:
        self._line = line
        self._area = prepare.scratch
        self._below = os.path.join(self._area, "fs")
        self._apart = prepare.engine == "bwrap"  # in a namespace of mounts of its own
        self._held = ExitStack()
        self.exited = False
        os.makedirs(self._below, mode=0o711, exist_ok=True)
        with self._held:  # what was made is let go where the next thing cannot be made
            self._held.enter_context(leftovers.held(self._area))
            self._make_room(prepare)
            self._engine: Engine = _engine(prepare)
            self._held = self._held.pop_all()

    def _make_room(self, prepare: Prepare) -> None:
        """A place of limited size for what the command writes, in namespaces of our own where the engine lets us."""
        if os.geteuid() == 0 and not prepare.elsewhere:
            if self._apart:
                mounting.unshare(mounting.NEW_MOUNTS)
                mounting.make_slave()
            scratch.make(self._below, prepare.limits)
            self._held.callback(mounting.unmount, self._below, lazily=True)
            make_folders(self._area, self._below)
        elif self._apart:
            userspace.enter(self._below, prepare.limits)

    def run(self, order: Order) -> None:
        """Runs the command, and tells what it did. Raises EOFError once nobody listens."""
        engine, came = self._engine, time.time_ns()
        if self._apart:
            mounting.make_private()  # a disk that is mounted while the command runs is none of what it was to see
        view = self._held.enter_context(closing(self._view(order)))
        since = dating.after(came)
        began = time.monotonic()
        self._line.send(Started(order.engine, view.name, (*view.warnings, *engine.weaker)))
        engine.begin(order, view)
        pump = Pump(engine.child, self._line, order.limits, view.watched(), engine.out_of_memory)
        pump.run()
        status, ended = engine.child.status(), pump.ended
        if ended is Ended.ITSELF and engine.out_of_memory():  # Docker tells of it at the end only
            ended = Ended.MEMORY
        self._line.send(Exited(status, ended, time.monotonic() - began, pump.cut))
        self.exited = True
        self._line.send(self._captured(order, view, since))

    def _view(self, order: Order) -> View:
        if order.elsewhere:
            from treegate.engine.sandbox.daemonview import DaemonView

            return DaemonView(order, self._area)
        return best(order.cases, order.view, self._area, self._below, order.limits, reads=order.reads)

    def _captured(self, order: Order, view: View, since: int) -> Captured:
        def found(keeper: Keeper) -> Iterator[Difference]:
            return self._while_wanted(view.capture(keeper, since, reads=order.reads))

        return document.write_down(order, found, since)

    def _while_wanted(self, found: Iterator[Difference]) -> Iterator[Difference]:
        """Passes on what is found for as long as somebody waits for it. Raises EOFError once nobody does."""
        for number, difference in enumerate(found):
            if number % _LOOK == 0 and self._is_released():
                raise EOFError
            yield difference

    def _is_released(self) -> bool:
        while self._line.has_come() or select.select([self._line], [], [], 0)[0]:
            if isinstance(self._line.word(), Release):
                return True
        return False

    def close(self) -> None:
        """Ends what still runs, and lets everything go: first the command, then what it saw."""
        self._engine.close()
        self._held.close()


def _engine(prepare: Prepare) -> Engine:
    return Bubblewrap(prepare.scratch, prepare.limits) if prepare.engine == "bwrap" else Container(prepare.scratch)


def _failure(error: Exception, *, exited: bool) -> Failed:
    what = "what the command did could not be kept" if exited else "the sandbox could not be made"
    if (isinstance(error, OSError) and error.errno in FULL) or getattr(error, "code", "") == "disk-full":
        text = f"the disk of treegate's state directory is full, so {what}"
        return Failed("disk-full", text, "make room there, and run the command again; its cases are as they were")
    if isinstance(error, TreegateError):
        return Failed(error.code, error.message, error.hint)
    if isinstance(error, Unfit):
        return Failed("sandbox-unfit", str(error), "treegate doctor says what works here")
    if isinstance(error, OSError):
        return Failed("sandbox-failed", f"{what}: {error}", "treegate doctor says what works here")
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = f"this went wrong here, and not in the command: {type(error).__name__} ({where.name}, line {where.lineno})"
    return Failed("internal", text, "report it")


def _serve(line: Line) -> None:
    prepare = line.word()
    assert isinstance(prepare, Prepare)
    runner = None
    try:
        runner = Runner(line, prepare)
        word = line.word()
        assert isinstance(word, Run)
        runner.run(word.order)
        while not isinstance(line.word(), Release):
            pass
    except EOFError:
        pass
    except Exception as error:
        line.send(_failure(error, exited=runner is not None and runner.exited))
    finally:
        if runner is not None:
            runner.close()


def main() -> None:
    """Serves the one who holds the other end of the handle that is named."""
    wire = int(sys.argv[1])
    os.umask(0o022)  # what is made for the command is for another user to see
    os.set_inheritable(wire, False)  # nothing that is started here is to speak in our name
    line = Line(socket.socket(fileno=wire))
    with closing(line), suppress(BrokenPipeError, ConnectionResetError):  # nobody listens any more
        _serve(line)


if __name__ == "__main__":
    main()
    os._exit(0)  # whoever waits for this end need not wait until all modules are taken apart
