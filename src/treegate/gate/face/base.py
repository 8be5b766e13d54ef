"""What every part of the face stands on: the open workspace, as one actor."""

from __future__ import annotations

from typing import Any

import msgspec

from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model.plan import Plan


class Face:
    """Part of a `Gate`."""

    def __init__(self, core: Core) -> None:
        self._core = core


def as_plan(plan: Plan | bytes | str | dict[str, Any]) -> Plan:
    """A plan from whatever form it was given in."""
    if isinstance(plan, Plan):
        return plan
    if isinstance(plan, dict):
        return plans.decode(msgspec.json.encode(plan))
    return plans.decode(plan.encode("utf-8", "surrogatepass") if isinstance(plan, str) else plan)
