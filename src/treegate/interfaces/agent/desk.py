"""The desk that an agent works at: a gate, or a service, as somebody who may only propose."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import msgspec

from treegate.client import Client
from treegate.engine import handles
from treegate.errors import Denied, NotFound, PlanError
from treegate.gate import Gate
from treegate.gate.sandboxing.deciding import still_holds
from treegate.interfaces.agent.listening import Listeners
from treegate.model.actors import Role, require_author

CHANNEL = "agent"
_AGENT = "'s agent"
MOST_BYTES = 1 << 26  # of a plan's file


class Desk:
    """What every tool works with.

    `channel` is the door that records name. Plans are read from files only in the folder `plans`, if there is one:
    whoever asks may be able to read less than this process.
    """

    def __init__(self, door: Gate | Client, *, channel: str = CHANNEL, plans: Path | str | None = None) -> None:
        self.door = as_author(door, channel)
        self.listeners = Listeners(self.door)
        self._plans = None if plans is None else Path(plans).resolve()

    def renew(self) -> None:
        """Looks at the workspace anew: cases come, and tokens end, while an agent is at work; raises Denied."""
        if isinstance(self.door, Gate):  # a service looks by itself
            self.door = self.door.acting_as(self.door.actor)
            _refuse_ended(self.door)

    def document(self, plan: dict[str, Any] | str | None, path: str) -> bytes:
        """The document of a plan that is given, or that lies in a file; raises PlanError."""
        if (plan is None) == (not path):
            hint = 'give `plan`: {"case": …, "operations": […]}'
            text = "there is no plan" if plan is None else "there are two plans: `plan` and `path`"
            raise PlanError(text, code="plan-missing", hint=hint if self._plans is None else f"{hint}, or `path`")
        if plan is None:
            return self._read(path)
        return plan.encode("utf-8", "surrogatepass") if isinstance(plan, str) else _encoded({"version": 1, **plan})

    def _read(self, path: str) -> bytes:
        if self._plans is None:
            hint = "give the plan itself as `plan`"
            raise Denied("no plan is read from files here", code="plan-file-refused", hint=hint)
        relative = self._within(path)
        try:
            with handles.closing(handles.open_root(str(self._plans))) as root:
                above, _, name = relative.rpartition("/")
                with handles.closing(handles.open_dir(root, above)) as folder:
                    return _read_whole(handles.open_file(folder, name))
        except OSError as error:
            text = f"the plan {path!r} cannot be read: {error.strerror}"
            hint = f"a regular file in {self._plans}, and no link on the way"
            raise NotFound(text, code="plan-file-not-found", hint=hint) from None

    def _within(self, path: str) -> str:
        """A path below the folder of plans."""
        assert self._plans is not None
        normal = os.path.normpath(os.path.join(self._plans, path))
        if not normal.startswith(f"{self._plans}/"):
            hint = f"plans are read from {self._plans}; or give the plan itself as `plan`"
            raise Denied(f"{path!r} does not lie there", code="plan-file-refused", hint=hint)
        return normal[len(str(self._plans)) + 1 :]


def _read_whole(fd: int) -> bytes:
    with os.fdopen(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > MOST_BYTES:
            text = f"the plan's file has {found.st_size:,} bytes; {MOST_BYTES:,} is the most"
            raise PlanError(text, code="plan-too-large", hint="use `match` to move many files with one operation")
        return file.read(MOST_BYTES)


def _encoded(plan: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(plan)
    except (TypeError, UnicodeEncodeError, RecursionError) as error:
        hint = 'names that are not UTF-8 are written as percent-encoded bytes, with "raw": true'
        raise PlanError(f"the plan is not JSON: {error}", code="not-json", hint=hint) from None


def as_author(door: Gate | Client, channel: str) -> Gate | Client:
    """The same gate, as somebody who may propose and not decide; raises Denied for a token that may do more.

    Who opened a gate without a token owns the workspace; their agent goes by a name of its own, so that they can
    decide on what it proposes.
    """
    actor = door.actor
    if isinstance(door, Client) or actor.via == "token":
        require_author(actor)
        if isinstance(door, Client):
            return door
        _refuse_ended(door)
        return door.acting_as(msgspec.structs.replace(actor, channel=channel))
    name = actor.name if actor.name.endswith(_AGENT) else f"{actor.name}{_AGENT}"
    return door.acting_as(msgspec.structs.replace(actor, name=name, role=Role.AUTHOR, channel=channel))


def _refuse_ended(gate: Gate) -> None:
    if not still_holds(gate.core):
        text, hint = f"the token of {gate.actor.name} has ended", "an admin can give the agent another one"
        raise Denied(text, code="token-ended", hint=hint, next="treegate token list")
