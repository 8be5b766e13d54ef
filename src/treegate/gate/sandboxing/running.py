"""Running a command: once, as it was allowed; what it did is kept as it comes, and becomes a plan in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from treegate.engine import sandboxes
from treegate.engine.locks import passing_lock
from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import Captured, Exited, Failed, Frame
from treegate.engine.sandbox.session import Ready, Session
from treegate.engine.sandboxes import Sandbox
from treegate.errors import Busy, Denied, TreegateError, of_system
from treegate.gate.core import Core
from treegate.gate.queue import scripts
from treegate.gate.sandboxing import asking, deciding, landing, looking, ordering, readiness, report
from treegate.gate.sandboxing.events import Event, Events, Finished
from treegate.model import commands
from treegate.model.commands import State

_LOOK = 0.1  # seconds between two looks whether somebody wants it to end
_PLACE = 0.1  # seconds between two looks for a free place


def carry_out(core: Core, id: str) -> Iterator[Event]:
    """Runs a command that may run, on behalf of whoever asked; what it does, as it does it, until `Finished`.

    Raises Busy where another process has it, or too many run; Expired, Stale or Denied where it may not run any more.
    Whoever stops listening ends it.
    """
    asker = core.acting_as(sandboxes.sandbox(core.store, id).asker)
    asker.progress, asker.cancelled = core.progress, core.cancelled
    with passing_lock(core.state / "locks", id), _place(core), readiness.lent(core) as ready:
        if ready is None:  # else whoever keeps runners ready sweeps, and nobody waits for it
            looking.sweep(core, at_leisure=False)
        _refuse_ended(asker, id)
        found = _begun(asker, id)
        run = _Run(asker, found, ready)
        try:
            yield from run.events()
        finally:
            run.close()


def _refuse_ended(asker: Core, id: str) -> None:
    """Raises Denied where whoever asked had a token, and has none that holds: what it allowed ended with it.

    The command has failed then: nobody is to try it again and again.
    """
    if deciding.still_holds(asker):
        return
    text = f"the token of {asker.actor.name}, who asked for it, was revoked or has expired"
    error = Denied(text, code="token-ended", hint="ask for the command with a token that holds")
    found = sandboxes.sandbox(asker.store, id)
    if found.state is State.APPROVED:
        landing.fail(asker, found, None, error)
        scripts.bring(asker, sandboxes.sandbox(asker.store, id))
    raise error


@contextmanager
def _place(core: Core) -> Iterator[None]:
    """One of the places that there are for commands, waited for as long as for a case."""
    until = time.monotonic() + core.config.lock_wait / 1000
    with ExitStack() as held:
        while True:
            for number in range(core.config.sandbox.at_once):
                with suppress(Busy):
                    held.enter_context(passing_lock(core.state / "locks", f"sandbox place {number}"))
                    yield
                    return
            if time.monotonic() >= until or core.cancelled():
                raise Busy(
                    f"{core.config.sandbox.at_once} commands run already, and no more do at a time",
                    code="too-many-sandboxes",
                    hint="ask again once one has ended; sandbox.at_once says how many may run",
                    next="treegate status",
                )
            time.sleep(_PLACE)


def _begun(core: Core, id: str) -> Sandbox:
    """The command, noted as running; raises what keeps it from that."""
    with core.store.write() as transaction:
        looking.expire(core, transaction, sandboxes.sandbox(transaction, id))
        found = sandboxes.sandbox(transaction, id)
        if found.state is State.APPROVED:
            started_at = max(core.clock(), sandboxes.last_begun(transaction) + 1)  # it names the report
            sandboxes.change(transaction, id, state=State.RUNNING.value, started_at=started_at)
            sandboxes.log(transaction, "sandbox-begun", core.by(), id, {"digest": found.digest})
    if found.state is not State.APPROVED:
        raise deciding.not_in_state(found)
    return sandboxes.sandbox(core.store, id)


class _Run:
    """One command under way."""

    def __init__(self, core: Core, found: Sandbox, ready: Ready | None = None) -> None:
        self._core, self._found, self._ready = core, found, ready
        self._folder = looking.folder(core, found.id)
        self._folder.mkdir(mode=0o700, parents=True)
        self._events = Events(self._folder)
        self._session: Session | None = None
        self._over = threading.Event()
        self._finished = False

    def events(self) -> Iterator[Event]:
        """What happens, each noted before it is told."""
        exited: Exited | None = None
        try:
            self._session = self._started()
            for frame in self._session:
                yield self._note(frame)
                if isinstance(frame, Exited):
                    exited = frame
                elif isinstance(frame, Captured):
                    finished = landing.land(self._core, self._found, exited, frame, self._folder)
                elif isinstance(frame, Failed):
                    finished = landing.fail(self._core, self._found, exited, ordering.error_of(frame))
        except (TreegateError, OSError) as error:
            ours = error if isinstance(error, TreegateError) else of_system(error)
            finished = landing.fail(self._core, self._found, exited, ours)
        self._finished = True
        event = self._note(finished)
        over = sandboxes.sandbox(self._core.store, self._found.id)
        report.bring(self._core, over)
        scripts.bring(self._core, over)
        yield event

    def _note(self, what: Frame | Finished) -> Event:
        return self._events.add(what, self._core.clock())

    def _started(self) -> Session:
        """The command, begun as it was allowed: on the tools that it was allowed on, under policy as it is now."""
        core, found = self._core, self._found
        config = core.config.sandbox
        asking.refuse(commands.refusal(found.command, found.seen_tools, config.interpreters, config.tools))
        order = ordering.order_of(core, found, self._folder)
        begun = session.start(order, self._ready, config.helper)
        threading.Thread(target=self._watch, args=(begun,), daemon=True).start()
        return begun

    def _watch(self, begun: Session) -> None:
        """Has the command end once somebody wants it to."""
        flag = self._folder / deciding.CANCEL
        while not self._over.wait(_LOOK):
            if self._core.cancelled() or flag.exists():
                begun.cancel()
                return

    def close(self) -> None:
        """Lets go of all that the run needed; a run that nobody listened to until its end has failed."""
        self._over.set()
        if self._session is not None:
            self._session.close()
        if not self._finished:
            text = "whoever had the command run stopped listening to it"
            error = TreegateError(text, code="sandbox-abandoned", hint="run it again")
            with suppress(TreegateError):
                self._note(landing.fail(self._core, self._found, None, error))
        self._events.close()
        looking.clear(self._core, self._found.id)
