"""Rehearsing: what the first plan of a process would wait for is done before it comes."""

from __future__ import annotations

from contextlib import suppress

from treegate.errors import TreegateError
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model.operations import Mkdir
from treegate.model.plan import Plan


def rehearse(core: Core) -> None:
    """Looks at a small plan and forgets it: what that takes is loaded, and known of the mount, from then on."""
    for case in sorted(core.workspace.cases())[:1]:
        with suppress(TreegateError, OSError):  # whatever it is, it is told to whoever hands in a plan
            plans.check(core, Plan.of([Mkdir(path="rehearsal")], case=case))
