"""The sandbox: the same backend, whose commands run in one of treegate's sandboxes on a view of the case."""

from __future__ import annotations

import threading
import uuid
from typing import Any

from deepagents.backends.protocol import ExecuteResponse, SandboxBackendProtocol

from treegate.client import Client
from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.gate.sandboxing.events import Finished
from treegate.interfaces.agent.listening import Transcript
from treegate.interfaces.agent.running import asked_for
from treegate.interfaces.deepagents import answers
from treegate.interfaces.deepagents.backend import TreegateBackend
from treegate.model.commands import CUT_SHORT, State
from treegate.model.names import visible

MOST_OUTPUT = 1 << 20  # bytes of a command's output that are told: half of them its beginning, half its end
REFUSED = 126  # the exit code of a command that was not run, as in a shell
_BEGINS = (State.APPROVED, State.RUNNING)


class TreegateSandbox(TreegateBackend, SandboxBackendProtocol):
    """The files of one case, and commands that see it at `/case`, where they begin, and no network.

    A command runs on the case as it is on disk: while there are pending changes it is refused, for it would not see
    them. What it changes is thrown away with its view and becomes a plan, which the last line of its output names;
    until that is carried out, neither files nor later commands show it. A line that policy does not let begin
    as it stands runs as `sh -c`.
    """

    most_binary = 512_000  # as every sandbox of deepagents has it

    def __init__(
        self,
        door: Gate | Client,
        case: str,
        *,
        title: str = "",
        reason: str = "",
        tools: list[str] | None = None,
        reads: bool = False,
    ) -> None:
        super().__init__(door, case, title=title, reason=reason)
        self._id = f"treegate-{uuid.uuid4().hex[:12]}"
        self._tools, self._reads = tools or [], reads
        self._asked: dict[str, str] = {}  # commands that wait for somebody's approval, by their lines
        self._asking = threading.Lock()

    @property
    def id(self) -> str:
        """What tells this backend from others."""
        return self._id

    def execute(self, command: str, *, timeout: int | None = None) -> ExecuteResponse:
        """Runs a command until its end; `timeout` is in seconds, 0 or None for the longest that is allowed."""
        try:
            if self._pending.operations:
                return _refused(
                    "the command would not see your pending changes, for it runs on the files as they are on disk",
                    "submit_changes and wait until the plan is carried out, or discard_changes",
                )
            return self._executed(command, timeout)
        except TreegateError as error:
            return ExecuteResponse(output=answers.told(error), exit_code=REFUSED)

    def _executed(self, command: str, timeout: int | None) -> ExecuteResponse:
        asked = self._ask(command, timeout)
        if asked.state in _BEGINS:
            return self._followed(asked.id)
        if asked.state is State.WAITING:
            hint = "execute the same command again once that is done"
            return _refused(f"{asked.waiting_for} has to approve the command {asked.id} first", hint)
        said = f": {visible(asked.comment)}" if asked.comment else ""
        return _refused(f"the command {asked.id} is {asked.state.value}{said}", "do something else")

    def _ask(self, command: str, timeout: int | None) -> Any:
        """A command that was asked for; one that waits, or was turned down, is not asked for again."""
        with self._asking:
            known = self._asked.get(command)
            if known is not None:
                found = self.desk.door.sandbox(known)
                if found.state in (State.WAITING, State.REJECTED, State.APPROVED):
                    return found
            asked = self._ask_anew(command, timeout)
            self._asked.pop(command, None)
            if asked.state is State.WAITING:
                self._asked[command] = asked.id
            return asked

    def _ask_anew(self, command: str, timeout: int | None) -> Any:
        how = {"timeout": timeout or None, "reads": self._reads}
        return asked_for(self.desk.door, (self.case,), command, self._tools, **how)

    def _followed(self, id: str) -> ExecuteResponse:
        transcript = Transcript(MOST_OUTPUT // 2, MOST_OUTPUT // 2)
        for event in self.desk.door.follow_sandbox(id):
            transcript.take(event.what)
        output, last = transcript.output(), transcript.finished
        if last is None:
            return ExecuteResponse(output=f"{output}\ntreegate: nobody knows what came of {id}")
        cut = transcript.left_out > 0 or last.why == "output"
        return ExecuteResponse(output=output + _ending(last), exit_code=last.status, truncated=cut)


def _ending(found: Finished) -> str:
    """What treegate has to say of a command, each on a line of its own; "" if it changed nothing and went well."""
    told = []
    if found.why is not None and found.why in CUT_SHORT:
        told.append(f"it was ended: {CUT_SHORT[found.why]}")
    if found.error is not None:
        told.append(visible(str(found.error.get("message", found.error.get("detail", "it failed")))))
    if found.status and not found.plan:
        told.append("the files of the case are at /case, where the command began")
    if found.plan:
        waits = f", which waits for {visible(found.waiting_for)}" if found.waiting_for else f" ({found.plan_state})"
        told.append(f"what it did is plan {found.plan}{waits}; nothing on disk has changed")
    return "".join(f"\ntreegate: {one}" for one in told)


def _refused(why: str, hint: str) -> ExecuteResponse:
    return ExecuteResponse(output=f"Error: {why}. Hint: {hint}", exit_code=REFUSED)
