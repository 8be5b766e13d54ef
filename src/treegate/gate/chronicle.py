"""The history of the workspace: the newest events, and a file's whole life through every run that moved it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from treegate.engine import audit, receipts, schema, touched
from treegate.engine.audit import AuditRow
from treegate.engine.receipts import Line
from treegate.engine.store.records import Kept, Run, VaultState
from treegate.engine.touched import Speaks, Spot
from treegate.errors import TreegateError
from treegate.gate.core import Core
from treegate.gate.files import checked
from treegate.model import lifeline
from treegate.model.actors import Action
from treegate.model.effects import untagged
from treegate.model.lifeline import Life, Step, Touch
from treegate.model.paths import joined

PROMPT = 5000  # lines of a run that are indexed as it ends; more wait for the first question
ANOTHER = "(another case)"

# --- a file's life ---------------------------------------------------------------------------------------------

Where = Literal["tree", "gone", "vault", "let go", "aside"]


class Happening(msgspec.Struct, frozen=True, kw_only=True, rename={"source": "from"}):
    """One thing that a run did to a file; times in milliseconds since 1970, UTC."""

    at: int
    run: str
    plan: str
    title: str
    by: str
    approved_by: list[str]
    effect: str  # as in the receipt, of the file or of the folder above it
    source: str | None  # where the file was before; None: it came to be
    path: str  # where it was after
    above: str  # the folder that took it along, if that was what the run touched
    copied: str  # what it is a copy of
    undo_of: str
    outside: bool  # done by rollback.sh, without treegate


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One file's life: what happened in order, and where it is now (`path`: where it was last, if it is gone)."""

    began: str
    happened: list[Happening]
    where: Where
    path: str
    kept: Kept | None  # by the vault


def history(core: Core, path: str, case: str = "") -> list[History]:
    """The lives of all files that were ever at a path, in the order in which they were."""
    core.workspace.check_marker()
    path = checked(_from_projects(core, path, case))
    core.actor.require(Action.READ, [path.partition("/")[0]])
    catch_up(core)
    chronicle = _Chronicle(core)
    found = lifeline.lives(path, chronicle.find)
    return [chronicle.told(life) for life in found if life.certain or chronicle.is_there(life)]


def _from_projects(core: Core, path: str, case: str) -> str:
    """A path that a person named, from `projects/`; the case may be left out if it is given, or the only one."""
    path = path.removeprefix(str(core.workspace.projects)).strip("/")
    path = path.removeprefix(f"{core.workspace.folders.projects}/")
    cases = core.workspace.cases()
    only = case or (next(iter(cases)) if len(cases) == 1 else "")
    first = path.partition("/")[0]
    return joined(only, path) if only and first != only and (case or first not in cases) else path


class _Chronicle:
    """What store and receipts say of paths, remembered for one question."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._found: dict[str, list[Touch]] = {}
        self._runs: dict[str, Run] = {}
        self._receipts: dict[str, receipts.Receipt | None] = {}

    def find(self, path: str) -> list[Touch]:
        """Every touch of a path, in order: of run number 5 the 10th, and what was taken back of it the 11th."""
        if path not in self._found:
            there = [touch for touch in self._touches(path) if path in lifeline.places(touch)]
            self._found[path] = sorted(there, key=lambda touch: touch.order)
        return self._found[path]

    def _touches(self, path: str) -> Iterator[Touch]:
        for spot in touched.spots(self._core.store, path):
            line = receipts.read_line(self._lines(spot.run), spot.line)
            if line.result == "done":
                there = Touch(2 * spot.seq, spot.run, line.effect)
                yield there
                if self._is_back(spot, line.effect.id):
                    yield there._replace(order=there.order + 1, back=True)

    def _lines(self, run: str) -> Path:
        return self._core.state / "receipts" / f"{run}.lines"

    def _is_back(self, spot: Spot, effect: str) -> bool:
        return touched.taken_back_outside(self._core.store, spot, effect)

    def is_there(self, life: Life) -> bool:
        """Whether the disk has what only runs on folders above it speak of."""
        return self._where(life)[0] in ("tree", "vault")

    def told(self, life: Life) -> History:
        """A life for people to read."""
        where, kept = self._where(life)
        path = kept.path if kept is not None and kept.path else life.now
        if where == "aside":
            path = f".treegate/vault{life.now}"
        return History(
            began=self._shown(life.began),
            happened=[self._happening(step) for step in life.steps],
            where=where,
            path=self._shown(path),
            kept=kept if kept is not None and self._core.actor.sees([kept.case]) else None,
        )

    def _where(self, life: Life) -> tuple[Where, Kept | None]:
        if life.lost is not None:
            return "gone", None
        if not life.now.startswith("/"):
            return "tree" if os.path.lexists(self._on_disk(life.now)) else "gone", None
        run, entry, rest = (*life.now[1:].split("/", 2), "")[:3]
        if entry == "undone":
            return "aside", None
        kept = self._core.store.kept(run, int(entry))
        if kept is None or kept.state is not VaultState.KEPT:
            return "let go", kept
        volume = self._core.workspace.volume(kept.case)
        place = self._core.workspace.vault(volume, run) / "entries" / entry / rest
        return "vault" if os.path.lexists(place) else "let go", kept

    def _on_disk(self, path: str) -> str:
        case, _, rest = path.partition("/")
        return (
            os.path.join(self._core.workspace.case_path(case), rest)
            if rest
            else str(self._core.workspace.case_path(case))
        )

    def _happening(self, step: Step) -> Happening:
        touch = step.touch
        run, receipt = self._run(touch.run), self._receipt(touch.run)
        copied = touch.effect.source if touch.effect.effect == "copied" and step.before is None else None
        return Happening(
            at=run.ended_at or run.started_at,
            run=run.id,
            plan=run.plan,
            title=self._title(run, receipt),
            by=run.actor,
            approved_by=[one.reviewer for one in receipt.approved_by] if receipt is not None else [],
            effect=touch.effect.effect,
            source=None if step.before is None else self._shown(step.before),
            path=self._shown(step.after),
            above=self._shown(step.above) if step.above else "",
            copied=self._shown(untagged(copied)) if copied is not None else "",
            undo_of=run.undo_of or "",
            outside=touch.back,
        )

    def _title(self, run: Run, receipt: receipts.Receipt | None) -> str:
        """What a plan was called, as this actor may know it: it may speak of whatever its run touched."""
        if not self._core.actor.sees(run.cases):
            return ANOTHER
        return receipt.title if receipt is not None else ""

    def _shown(self, path: str) -> str:
        """A path as this actor may see it; one in a vault as `vault:run_x/12`."""
        if path.startswith("/"):
            return f"vault:{path[1:]}"
        return path if self._core.actor.sees([path.partition("/")[0]]) else ANOTHER

    def _run(self, id: str) -> Run:
        if id not in self._runs:
            self._runs[id] = self._core.store.run(id)
        return self._runs[id]

    def _receipt(self, run: str) -> receipts.Receipt | None:
        if run not in self._receipts:
            self._receipts[run] = None
            with contextlib.suppress(TreegateError):  # missing or damaged: fsck tells of it
                self._receipts[run] = receipts.read(self._core.state / "receipts", run)
        return self._receipts[run]


# --- the index -------------------------------------------------------------------------------------------------


def speaking(core: Core, run: str, lines: int) -> list[Speaks] | None:
    """What a run that just ended is indexed by; None where that waits: it is large, or cannot be read."""
    with contextlib.suppress(TreegateError, OSError):
        if lines <= PROMPT:
            return list(_speaking(core, run))
    return None


def catch_up(core: Core) -> None:
    """Indexes the runs that are not indexed yet; of those whose lines are gone or damaged, fsck tells."""
    for seq, run in touched.missing(core.store):
        with contextlib.suppress(TreegateError):
            _index(core, seq, run)


def _index(core: Core, seq: int, run: str) -> None:
    with core.store.write() as transaction:
        touched.add(transaction, seq, _speaking(core, run))


def _speaking(core: Core, run: str) -> Iterator[Speaks]:
    for at, line in receipts.places_of_lines(core.state / "receipts" / f"{run}.lines", Line):
        if line.result == "done":
            there = Touch(0, run, line.effect)
            yield at, lifeline.places(there)


# --- events ----------------------------------------------------------------------------------------------------


def events(core: Core, case: str = "", limit: int = 50, before: int | None = None) -> list[AuditRow]:
    """The newest events, newest first: of a case and before a row, where given; always of what this actor may see."""
    rows = _newest(core, [case] if case else None, before)
    if core.actor.cases is None:
        return list(islice(rows, limit))
    cases: dict[str, tuple[str, ...]] = {}
    return list(islice((row for row in rows if _sees(core, row, cases)), limit))


def events_of(core: Core, plan: str, after: int = 0, limit: int = 500) -> list[AuditRow]:
    """What is logged of a plan after a row, oldest first; the first `limit` of it."""
    found = core.find_plan(plan)
    core.actor.require(Action.READ, found.cases)
    return list(islice(audit.rows(core.store, after, plan=found.id), limit))


def _newest(core: Core, cases: list[str] | None, first: int | None, page: int = 500) -> Iterator[AuditRow]:
    table, before = schema.audit, 1 << 62 if first is None else first
    query = schema.select(*table.c).order_by(table.c.seq.desc()).limit(page)
    if cases is not None:
        plans, runs = schema.plan_cases, schema.run_cases
        of_plans = table.c.plan.in_(schema.select(plans.c.plan).where(plans.c.case.in_(cases)))
        of_runs = table.c.run.in_(schema.select(runs.c.run).where(runs.c.case.in_(cases)))
        query = query.where(of_plans | of_runs)
    while found := core.store.tuples(query.where(table.c.seq < before)):
        for values in found:
            yield audit.AuditRow(*values)
        before = found[-1][0]


def _sees(core: Core, row: AuditRow, known: dict[str, tuple[str, ...]]) -> bool:
    """Whether a row is of a plan or run all of whose cases this actor may see."""
    of = row.run or row.plan
    if of is None:
        return False
    if of not in known:
        stored = core.store.run(of) if row.run else core.store.plan(of)
        known[of] = stored.cases
    return core.actor.sees(known[of])
