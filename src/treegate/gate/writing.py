"""Writing plans: for people who would rather name what goes where than write JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from treegate.errors import UsageError
from treegate.gate.core import Core
from treegate.model import paths, worksheet
from treegate.model.actors import Action
from treegate.model.draft import Change, plan_of, within
from treegate.model.operations import Move, Operation
from treegate.model.plan import Plan
from treegate.model.tree import Kind, Tree, unpack
from treegate.model.worksheet import Row


class Pair(NamedTuple):
    """Something that is to be somewhere else: a path within the case, and where it goes, as a plan writes it."""

    source: str
    to: str


def rows(core: Core, case: str) -> list[Row]:
    """The tree of a case as numbered rows, for a sheet."""
    core.actor.require(Action.READ, [case])
    core.check_case(case)
    with core.world() as world:
        found = world.tree.walk(case)
        return [Row(number, path, kind is Kind.DIR) for number, (path, kind) in enumerate(found, 1)]


def of_changes(case: str, changes: Iterable[Change], title: str = "", reason: str = "") -> bytes:
    """The document of a plan that makes changes in a case, in an order in which each finds what it needs.

    Raises UsageError where they come to nothing.
    """
    operations = plan_of(_from_projects(change, case) for change in worksheet.with_folders(changes))
    if not operations:
        raise UsageError("none of this changes anything, so there is no plan", code="nothing-edited")
    if not paths.is_utf8(case):  # no plan can name it as its case, so paths begin with it
        return document(operations, "", title, reason)
    return document([within(case, operation) for operation in operations], case, title, reason)


def _from_projects(change: Change, case: str) -> Change:
    source, target = (f"{case}/{path}" if path else "" for path in (change.source, change.target))
    return change._replace(source=source, target=target)


def of_pairs(core: Core, case: str, pairs: Sequence[Pair], title: str = "", reason: str = "") -> bytes:
    """The document of a plan that moves each pair, all at once: every source is meant as the tree is now.

    Where none is in another's way they stay as they were written, also those that name nothing: `check` says so.
    """
    core.actor.require(Action.READ, [case])
    core.check_case(case)
    if paths.is_utf8(case) and not (_entangled(pairs) and _each_its_own(pairs)):
        operations: list[Operation] = [_move(pair) for pair in pairs]
        return document(operations, case, title, reason)
    with core.world() as world:
        changes = [_change(world.tree, case, pair) for pair in pairs]
    return of_changes(case, changes, title, reason)


def _entangled(pairs: Sequence[Pair]) -> bool:
    """Whether something is to go where another one is that moves as well, or into it."""
    sources = {pair.source.rstrip("/") for pair in pairs}
    for pair in pairs:
        target = _final(pair)
        while target:
            if target in sources:
                return True
            target = paths.split(target)[0]
    return False


def _each_its_own(pairs: Sequence[Pair]) -> bool:
    """Whether no two rows speak of one entry or place, and none leads into itself; else their order counts."""
    sources = {pair.source.rstrip("/") for pair in pairs}
    finals = {_final(pair) for pair in pairs}
    into = any(_final(pair).startswith(f"{pair.source.rstrip('/')}/") for pair in pairs)
    return len(sources) == len(finals) == len(pairs) and not into


def _final(pair: Pair) -> str:
    return f"{pair.to}{paths.split(pair.source.rstrip('/'))[1]}" if pair.to.endswith("/") else pair.to


def _move(pair: Pair) -> Move:
    if paths.is_utf8(pair.source) and paths.is_utf8(pair.to):
        return Move(source=pair.source, to=pair.to)
    return Move(source=paths.to_raw(pair.source), to=paths.to_raw(pair.to), raw=True)


def _change(tree: Tree, case: str, pair: Pair) -> Change:
    source = pair.source.rstrip("/")
    try:
        facts = tree.facts(*paths.split(f"{case}/{source}"))
    except (OSError, ValueError):  # the latter for a name with a NUL in it
        facts = None
    is_dir = facts is not None and unpack(facts).kind is Kind.DIR
    return Change("move", source, _final(pair), is_dir)


def document(operations: Sequence[Operation], case: str = "", title: str = "", reason: str = "") -> bytes:
    """A plan for people to read: its head, and an operation a line."""
    head = {"version": 1, "title": title, "reason": reason, "case": case}
    lines = [f"  {json.dumps(key)}: {_json(value)}," for key, value in head.items() if value]
    body = ",\n".join(f"    {_json(_in_order(msgspec.to_builtins(operation)))}" for operation in operations)
    made = "\n".join(["{", *lines, '  "operations": [', body, "  ]", "}"]).encode() + b"\n"
    if operations:
        Plan.decode(made)
    return made


def _in_order(operation: dict[str, Any]) -> dict[str, Any]:
    """Where from stands before where to, as people read it."""
    return dict(sorted(operation.items(), key=lambda item: (item[0] != "op", item[0] == "to")))


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except UnicodeEncodeError:
        return json.dumps(value)


def read_sheet(text: str, before: str) -> worksheet.Edited:
    """What an edited sheet means; `before` is the sheet as it was written, which nobody edited."""
    try:
        original = worksheet.rows_of(before)
    except ValueError as error:
        raise UsageError(f"the sheet as it was before the edit: {error}", code="not-a-sheet") from None
    return worksheet.read(text, original)
