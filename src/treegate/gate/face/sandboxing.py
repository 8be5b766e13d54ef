"""Commands in sandboxes: asked for, allowed, run, looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager

from treegate.gate.face.base import Face
from treegate.gate.queue import scripts
from treegate.gate.sandboxing import asking, carrying, deciding, looking, output, readiness, report, telling, trying
from treegate.gate.sandboxing.asking import Asked
from treegate.gate.sandboxing.events import Event, Finished, Tail
from treegate.gate.sandboxing.output import Written
from treegate.gate.sandboxing.telling import Command
from treegate.gate.sandboxing.trying import Trial
from treegate.model.commands import State


class Sandboxing(Face):
    """Commands in sandboxes: asked for, allowed, run, looked at."""

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

        What it did is handed in as a plan. `tools` are the only ones that it sees, by their paths in the tools
        folder; `timeout` is in seconds; with `reads`, the plan is stale, too, where others changed what was only
        read. Raises Waiting where somebody has to approve the command first; whoever stops listening ends it.
        """
        return carrying.run(self._core, _asked(cases, command, tools, engine, direct, timeout, reads))

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
        """Asks for a command, for whoever runs them: `approved`, or `waiting` for somebody to approve it first."""
        return telling.told(
            self._core, asking.ask(self._core, _asked(cases, command, tools, engine, direct, timeout, reads))
        )

    def follow_sandbox(self, sandbox: str) -> Iterator[Event]:
        """Runs a command that was asked for and may run, if it does not yet, and tells what it does."""
        return carrying.follow(self._core, looking.one(self._core, sandbox))

    def run_sandbox(self, sandbox: str) -> Finished:
        """Runs a command that was asked for until its end; `sandbox_events` tells what it does meanwhile."""
        return carrying.carry_out(self._core, sandbox)

    def sandbox_events(self, sandbox: str, after: int = 0) -> Iterator[Event]:
        """What a command did, from the event behind the number `after` on; ends once nothing more can come."""
        return looking.events(self._core, sandbox, after)

    def may_end(self, sandbox: str) -> bool:
        """Whether whoever acts may have a command end."""
        return deciding.is_own(self._core, looking.one(self._core, sandbox))

    def to_follow(self, sandbox: str) -> Command:
        """A command that may run, or does already; raises Waiting, Denied or WrongState for any other."""
        found = looking.one(self._core, sandbox)
        carrying.refuse(self._core, found)
        return telling.told(self._core, found)

    def sandbox_tail(self, sandbox: str, after: int = 0) -> Tail:
        """What is kept of what a command did, from the event behind `after` on, for whoever comes back for more."""
        return looking.tail(self._core, sandbox, after)

    def is_over(self, sandbox: str) -> bool:
        """Whether nothing more comes of a command than what is kept of it."""
        return looking.is_over(self._core, sandbox)

    def sandbox_log(self, sandbox: str) -> bytes:
        """The report of a command: what it was, what it wrote, what came of it; each line is inert."""
        found = looking.one(self._core, sandbox)
        return b"".join(report.text(self._core, found))

    def sandbox_output(self, sandbox: str) -> Written:
        """What a command wrote last, line by line, as much as a page can show."""
        return output.newest(self._core, sandbox)

    def sandbox_outcome(self, sandbox: str) -> Finished:
        """What came of a command; raises Waiting while that is not said yet."""
        return carrying.outcome(self._core, sandbox)

    def sandbox(self, sandbox: str) -> Command:
        """A command (by id or unique prefix) as it stands."""
        return telling.told(self._core, looking.one(self._core, sandbox))

    def sandboxes(
        self, states: Iterable[State] = (), case: str | None = None, limit: int = 50, cursor: int | None = None
    ) -> list[Command]:
        """Commands, newest first; the next page begins behind the `seq` of the last."""
        found = looking.listed(self._core, states, case, limit, cursor)
        return [telling.told(self._core, one) for one in found]

    def approve_sandbox(self, sandbox: str, digest: str, comment: str = "") -> Command:
        """Lets the command run, once, that a digest names."""
        return telling.told(self._core, deciding.approve(self._core, sandbox, digest, comment))

    def reject_sandbox(self, sandbox: str, digest: str, comment: str) -> Command:
        """Turns down the command that a digest names."""
        return telling.told(self._core, deciding.reject(self._core, sandbox, digest, comment))

    def cancel_sandbox(self, sandbox: str, comment: str = "") -> Command:
        """Ends a command that runs, or takes back one that does not yet."""
        return telling.told(self._core, deciding.cancel(self._core, sandbox, comment))

    def trial(self, case: str, title: str = "", reason: str = "") -> AbstractContextManager[Trial]:
        """A private copy of a case for this very process to change; what it did there can be handed in as a plan."""
        return trying.trial(self._core, case, title, reason)

    def sweep_sandboxes(self) -> list[str]:
        """Notes commands whose process died, and clears what is left of them; what that was, in words."""
        return looking.sweep(self._core)

    def settle_scripts(self) -> None:
        """Puts dropped scripts where they belong whose worker died."""
        looking.sweep(self._core)
        scripts.settle(self._core)

    def keep_ready(self) -> None:
        """Keeps a runner ready in this process, which is to run commands, so that the next one begins sooner."""
        readiness.keep(self._core)

    def runs_commands(self) -> bool:
        """Whether commands were ever run here."""
        return readiness.wanted(self._core)

    def sandboxes_from(self, channels: Iterable[str]) -> list[Command]:
        """The commands that were asked for at some doors and may run now, oldest first."""
        return [telling.told(self._core, one) for one in carrying.due_at(self._core, channels)]

    def due_sandboxes(self) -> list[Command]:
        """The scripts that were dropped and may run now, oldest first."""
        return [telling.told(self._core, one) for one in carrying.due(self._core)]


def _asked(
    cases: str | Sequence[str],
    command: Sequence[str],
    tools: Iterable[str],
    engine: str,
    direct: bool,
    timeout: float | None,
    reads: bool,
) -> Asked:
    return Asked(
        cases=(cases,) if isinstance(cases, str) else tuple(cases),
        command=tuple(command),
        tools=tuple(tools),
        engine=engine,
        direct=direct,
        timeout=timeout,
        reads=reads,
    )
