"""The full tables of the terminal: effects, operations, problems; made line by line, for a pager."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from treegate.model.effects import Effect
from treegate.model.problems import Problem
from treegate.render.ink import Ink
from treegate.render.lines import Column, ends, table
from treegate.render.operations import OperationRow
from treegate.render.text import clip, columns, inert, name, sentence, short_target, wrap
from treegate.render.words import operations as operations_of
from treegate.render.words import size, suggestion

WIDE = 100  # columns from which a table of effects has room for the number of files

_EFFECTS = (
    Column("id"), Column("effect"), Column("from", flex=True), Column("to", flex=True), Column("files", right=True),
    Column("size", right=True), Column("ops"),
)  # fmt: skip
_OPERATIONS = (
    Column("#", right=True), Column("op"), Column("from", flex=True), Column("to", flex=True),
    Column("why", flex=True, prose=True), Column("result"),
)  # fmt: skip


def effect_lines(effects: Iterable[Effect], *, width: int, color: bool, case: str = "") -> Iterator[str]:
    """The table of effects; with `case`, paths are shown within it."""
    rows = (_effect_row(effect, case, wide=width >= WIDE) for effect in effects)
    heads = [head for head in _EFFECTS if width >= WIDE or head.head != "files"]
    return table(heads, rows, width, Ink(color), lambda row: (1, row[1]))


def _effect_row(effect: Effect, case: str, *, wide: bool) -> Sequence[str]:
    source, to = ends(effect, case)
    files = f"{effect.files:,}" if effect.kind == "dir" and effect.files else ""
    held = size(effect.size) if effect.size or effect.kind == "file" else ""
    if effect.effect in ("moved", "copied"):
        to = short_target(source, to)
    return inert(effect.id), effect.effect, source, to, *([files] * wide), held, operations_of(effect)


def operation_lines(rows: Iterable[OperationRow], *, width: int, color: bool) -> Iterator[str]:
    """The table of operations."""
    cells = ((f"{row.number}", row.op, _path(row.source), _path(row.to), inert(row.why), row.result) for row in rows)
    return table(_OPERATIONS, cells, width, Ink(color), lambda row: (5, row[5].partition(":")[0]))


def _path(text: str) -> str:
    return name(text) if text else ""


def problem_lines(problems: Iterable[Problem], *, width: int, color: bool, most: int | None = None) -> Iterator[str]:
    """Each problem with its code, message, hint and suggestion, wrapped; after `most` of them, how many more."""
    ink = Ink(color)
    more = 0
    for at, found in enumerate(problems):
        if most is not None and at >= most:
            more += 1
            continue
        if at:
            yield ""
        yield from _problem(found, width, ink)
    if more:
        yield ""
        yield f"+ {more:,} more"


def _problem(found: Problem, width: int, ink: Ink) -> Iterator[str]:
    where = f" in operation {found.operation}" if found.operation else ""
    also = f" (with {', '.join(f'#{number}' for number in found.also[:5])})" if found.also else ""
    head = f"{found.severity}{where}{also}: "
    code = clip(inert(found.code), max(1, width - len(head)))
    yield ink(clip(head, width), found.severity) + (code if len(head) < width else "")
    yield from (f"  {line}" for line in wrap(sentence(found.message), width - 2))
    if found.hint:
        yield from _hanging("  hint: ", sentence(found.hint), width)
    if found.suggestion is not None:
        yield from _instead(found.suggestion, width)
    elif found.suggests:
        yield f"  {suggestion(found)}"


def _instead(operation: dict[str, Any], width: int) -> Iterator[str]:
    """A suggested operation as JSON, broken between its keys; its reason, which is the author's own, comes last."""
    label, line = "  instead: ", ""
    keys = sorted(operation, key=lambda key: (key != "op", key == "why"))
    for at, key in enumerate(keys):
        held = sentence(json.dumps({key: operation[key]}, ensure_ascii=False))[1:-1]
        part = "{" * (at == 0) + held + ("}" if at == len(keys) - 1 else ",")
        if line and columns(f"{label}{line} {part}") > width:
            yield label + line
            label, line = " " * len(label), part
        else:
            line = f"{line} {part}" if line else part
    yield from _hanging(label, line, width)


def _hanging(label: str, text: str, width: int) -> Iterator[str]:
    for at, line in enumerate(wrap(text, max(10, width - len(label)))):
        yield (label if at == 0 else " " * len(label)) + line
