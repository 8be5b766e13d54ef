"""Commands in sandboxes over the wire: the service runs them; what they do is told as they do it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from treegate.client import answers
from treegate.client.base import Far
from treegate.client.wire import PATIENCE, PAUSES, segment
from treegate.errors import Busy, TreegateError, Unreachable
from treegate.gate.sandboxing import streaming
from treegate.gate.sandboxing.events import Event, Finished
from treegate.gate.sandboxing.telling import Command
from treegate.model.commands import State
from treegate.model.effects import tagged

COMMANDS = 500  # of one page
_LOOK = 0.1  # seconds between two looks whether somebody wants it to end


class Sandboxing(Far):
    """Commands in sandboxes over the wire: the service runs them; what they do is told as they do it."""

    def run(
        self,
        cases: str | Sequence[str],
        command: Sequence[str],
        tools: Iterable[str] = (),
        *,
        engine: str = "",
        direct: bool = False,
        timeout: float | None = None,
        reads: bool = False,
    ) -> Iterator[Event]:
        """Runs a command on a view of one case or several, and tells what it does; the last event is `Finished`.

        Raises Waiting where somebody has to approve the command first; whoever stops listening ends it.
        """
        how = {"engine": engine, "direct": direct, "timeout": timeout, "reads": reads}
        return self.follow_sandbox(self._asked(cases, command, tools, how).id)

    def ask_sandbox(
        self,
        cases: str | Sequence[str],
        command: Sequence[str],
        tools: Iterable[str] = (),
        *,
        engine: str = "",
        direct: bool = False,
        timeout: float | None = None,
        reads: bool = False,
    ) -> Command:
        """Asks for a command: `approved`, so that it runs soon, or `waiting` for somebody to approve it first."""
        how = {"engine": engine, "direct": direct, "timeout": timeout, "reads": reads}
        return self._asked(cases, command, tools, how)

    def _asked(
        self, cases: str | Sequence[str], command: Sequence[str], tools: Iterable[str], how: dict[str, object]
    ) -> Command:
        named = (cases,) if isinstance(cases, str) else cases
        words = {"cases": named, "command": command, "tools": tools}
        given = {key: value for key, value in how.items() if value not in ("", None)}
        body = {key: [tagged(word) for word in value] for key, value in words.items()} | given
        return self._wire.post("/sandboxes", Command, body)

    def follow_sandbox(self, sandbox: str) -> Iterator[Event]:
        """Has a command run that was asked for and may run, if it does not yet, and tells what it does."""
        found: Command = self._wire.post(f"/sandboxes/{segment(sandbox)}/run", Command)
        return self._watched(found.id)

    def _watched(self, id: str) -> Iterator[Event]:
        with self._stopping(id):
            yield from self.sandbox_events(id)

    @contextmanager
    def _stopping(self, id: str) -> Iterator[None]:
        """While inside, the command is ended once somebody wants that (`watch`), or the block is left early."""
        over = threading.Event()
        threading.Thread(target=self._watch, args=(id, over), daemon=True).start()
        try:
            yield
        except BaseException:
            with suppress(TreegateError):
                self.cancel_sandbox(id)
            raise
        finally:
            over.set()

    def _watch(self, id: str, over: threading.Event) -> None:
        while not over.wait(_LOOK):
            if self._cancelled():
                with suppress(TreegateError):
                    self.cancel_sandbox(id)
                return

    def sandbox_events(self, sandbox: str, after: int = 0) -> Iterator[Event]:
        """What a command did, from the event behind the number `after` on; ends once nothing more can come.

        It bears with a service that is started anew, once it has seen anything.
        """
        last, seen = after, None
        while True:
            try:
                for number, data in self._wire.events(f"/sandboxes/{segment(sandbox)}/events", last):
                    last, seen = number, time.monotonic()
                    event = streaming.read(number, answers.read(data, streaming.AnyTold))
                    yield event
                    if isinstance(event.what, Finished):
                        return
            except (Unreachable, Busy):
                if seen is None or time.monotonic() - seen > PATIENCE:
                    raise
            time.sleep(PAUSES[1])

    def sandbox_outcome(self, sandbox: str) -> Finished:
        """What came of a command; raises Waiting while that is not said yet."""
        return self._wire.get(f"/sandboxes/{segment(sandbox)}/outcome", Finished)

    def sandbox_log(self, sandbox: str) -> bytes:
        """The report of a command: what it was, what it wrote, what came of it; each line is inert."""
        return self._wire.raw("GET", f"/sandboxes/{segment(sandbox)}/log")

    def sandbox(self, sandbox: str) -> Command:
        """A command (by id or unique prefix) as it stands."""
        return self._wire.get(f"/sandboxes/{segment(sandbox)}", Command)

    def sandboxes(
        self, states: Iterable[State] = (), case: str | None = None, limit: int = 50, cursor: int | None = None
    ) -> list[Command]:
        """Commands, newest first; the next page begins behind the `seq` of the last."""
        query = {"state": list(states), "case": case, "limit": min(limit, COMMANDS), "cursor": cursor}
        return self._wire.get("/sandboxes", list[Command], member="sandboxes", query=query)

    def approve_sandbox(self, sandbox: str, digest: str, comment: str = "") -> Command:
        """Lets the command run, once, that a digest names; the service then does."""
        return self._decided_on(sandbox, "approve", {"digest": digest, "comment": comment})

    def reject_sandbox(self, sandbox: str, digest: str, comment: str) -> Command:
        """Turns down the command that a digest names."""
        return self._decided_on(sandbox, "reject", {"digest": digest, "comment": comment})

    def cancel_sandbox(self, sandbox: str, comment: str = "") -> Command:
        """Ends a command that runs, or takes back one that does not yet."""
        return self._decided_on(sandbox, "cancel", {"comment": comment})

    def _decided_on(self, sandbox: str, verdict: str, body: dict[str, str]) -> Command:
        return self._wire.post(f"/sandboxes/{segment(sandbox)}/{verdict}", Command, body)
