"""Repair: a plan with the suggestions of its problems taken."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from treegate.model.problems import Problem


def repaired(document: bytes, problems: Iterable[Problem]) -> tuple[bytes, int]:
    """The plan's document with each operation's first suggestion taken, and how many were.

    Errors go before warnings; a warning's suggestion is taken only where the operation has no error. A suggestion
    for the plan itself is the keys of its head that are to be changed.
    """
    plan: dict[str, Any] = json.loads(document)
    chosen: dict[int, Problem] = {}
    taken = 0
    for found in sorted(problems, key=lambda one: one.severity):
        if found.suggests and found.operation is None and found.suggestion is not None:
            plan.update(found.suggestion)
            taken += 1
        elif found.suggests and found.operation is not None:
            chosen.setdefault(found.operation, found)
    operations = []
    for number, operation in enumerate(plan["operations"], 1):
        found_here = chosen.get(number)
        if found_here is None:
            operations.append(operation)
        elif found_here.suggestion is not None:
            operations.append(found_here.suggestion)
    plan["operations"] = operations
    return json.dumps(plan, indent=2, ensure_ascii=False).encode() + b"\n", taken + len(chosen)
