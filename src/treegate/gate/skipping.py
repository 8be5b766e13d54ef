"""What a plan with `on_stale: "skip"` leaves alone: settled by a first look, before the approvals are used up.

The effects whose entries changed are dropped, with all that depends on them. What remains becomes a plan of its own,
is simulated and sealed on the tree as it is, and is carried out only if each of its effects was approved. A second
look with the approved fingerprints comes after the seal, so that what changes in between is not taken for approved.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec

from treegate.engine import handles, tablefile
from treegate.engine.context import RunContext
from treegate.engine.prepass import Finding, PrePass
from treegate.engine.receipts import Line
from treegate.engine.scan import totals_of
from treegate.engine.store.records import Run, StoredPlan
from treegate.engine.tablefile import Table
from treegate.engine.workspace import replace_file
from treegate.errors import TreegateError
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.model import inverse
from treegate.model.effects import Effect, untagged
from treegate.model.lifecycle import State
from treegate.model.plan import Plan
from treegate.model.preview import Counts
from treegate.model.seal import About, Sealed
from treegate.model.table import Staged
from treegate.model.tree import Level

NOTED = 20  # entries left alone that the receipt names


class Left(msgspec.Struct, frozen=True):
    """An approved effect that is left alone, and why."""

    effect: Effect
    why: str


class Rest(msgspec.Struct, frozen=True, kw_only=True):
    """What a run does of its plan: the effects as its own table numbers them, and those that it leaves alone."""

    counts: Counts
    effects: list[Effect]
    left: list[Left]


class _Unclear(Exception):
    """It cannot be told what depends on what changed: then nothing is done, as if the plan said `fail`."""


def reduced(core: Core, plan: StoredPlan) -> str:
    """The digest of the step table that leaves alone what is stale; "" where the plan's own table is to be used.

    That is so where nothing is stale, and where too much is: the run's own look then says so.
    """
    stored = core.store.preview(plan.id)
    if plan.state is not State.APPROVED or stored is None or plans.model_of(core, plan).on_stale != "skip":
        return ""
    table = tablefile.read(core.table_path(stored.table_digest), stored.table_digest)
    try:
        return _Reduction(core, plan, table).digest()
    except (_Unclear, OSError):
        return ""


def _path(core: Core, table_digest: str) -> Path:
    return core.state / "previews" / f"{table_digest}.rest"


def rest_of(core: Core, run: Run) -> Rest | None:
    """What a run does of its plan, where it leaves something alone."""
    try:
        return msgspec.json.decode(_path(core, run.table_digest).read_bytes(), type=Rest)
    except FileNotFoundError:
        return None


def left_lines(rest: Rest | None) -> Iterator[bytes]:
    """The lines of a receipt for what was left alone."""
    for left in rest.left if rest is not None else ():
        yield msgspec.json.encode(Line(left.effect, result="left"), order="sorted")


def notes(rest: Rest | None) -> Iterator[str]:
    """What the receipt says of entries that were left alone."""
    left = rest.left if rest is not None else []
    for one in left[:NOTED]:
        own = untagged(one.effect.source if one.effect.source is not None else one.effect.path)
        yield f"left alone: {_named(one.effect)}: {one.why.removeprefix(own + ' ')}"
    if len(left) > NOTED:
        yield f"left alone: {len(left) - NOTED:,} more"


def _named(effect: Effect) -> str:
    """An effect that did not come to be, by where its entry still is."""
    path = untagged(effect.path)
    if effect.effect == "moved" and effect.source is not None:
        return f"{untagged(effect.source)!r} (not moved to {path!r})"
    return f"{path!r} (not {effect.effect})"


class _Reduction:
    """The work of one first look."""

    def __init__(self, core: Core, plan: StoredPlan, table: Table) -> None:
        self.core = core
        self.plan = plan
        self.table = table
        self.effects = list(plans.effects_of(core, plan))
        self.left: dict[str, str] = {}  # id of an effect -> why it is left alone
        self._blame = _Blame(self.effects, table)
        self._ground = inverse.Ground(self.effects)

    def digest(self) -> str:
        """Writes the table of what remains; its digest, or "" where nothing is stale."""
        if not self._look():
            return ""
        while True:
            self._drop_dependents()
            rest = [effect for effect in self.effects if effect.id not in self.left]
            if not rest:
                raise _Unclear
            found, effects = self._sealed(rest)
            if found is not None and not self._look():
                return self._keep(found, rest, effects)

    def _look(self) -> bool:
        """Looks at all fingerprints; whether something is stale that was not known to be."""
        before = len(self.left)
        for finding in _findings(self.core, self.table):
            blamed = self._blame.of(finding)
            if not blamed:
                raise _Unclear
            for id in blamed:
                self.left.setdefault(id, f"{finding.path} {finding.text}")
        return len(self.left) > before

    def _drop_dependents(self) -> None:
        """What lies in a folder that does not come now, and folders that were only to hold what is left alone."""
        stays = {
            untagged(effect.path)
            for effect in self.effects
            if effect.id in self.left and effect.kind == "dir" and effect.effect not in ("deleted", "set")
        }
        for effect in self.effects:
            under = next((above for above in _above(untagged(effect.path)) if above in stays), None)
            if under is not None and effect.effect != "deleted":
                self.left.setdefault(effect.id, f"the folder {under!r} is left as it is")
        for effect in self.effects:
            if effect.implied and self._ground.only_holds(effect, self.left.keys()):
                self.left.setdefault(effect.id, "nothing is put into it")

    def _sealed(self, rest: list[Effect]) -> tuple[Sealed | None, dict[Effect, Effect]]:
        """The rest sealed on the tree as it is, and its effects by what they say; None if more has to be dropped."""
        written = list(inverse.written(inverse.changes_of(rest)))
        plan = Plan.of([operation for operation, _ in written], title="What is not stale")
        about = About(
            self.core.workspace.id, self.plan.id, self.plan.revision, self.plan.author, self.plan.undo_of or ""
        )
        lines: list[bytes] = []
        found = plans.previewed(self.core, plan, about, lines.extend)
        blamed: dict[str, str] = {}
        for problem in found.preview.problems:
            if problem.severity == "error":
                if problem.operation is None:
                    raise _Unclear
                blamed.setdefault(written[problem.operation - 1][1].effect, problem.message)
        effects = {inverse.likeness(one): one for one in (msgspec.json.decode(line, type=Effect) for line in lines)}
        if found.rows is not None:
            blamed = self._not_as_approved(rest, effects, list(found.rows.staged))
        self.left = {**blamed, **self.left}
        return (None if blamed else found), effects

    def _not_as_approved(
        self, rest: list[Effect], effects: dict[Effect, Effect], staged: list[Staged]
    ) -> dict[str, str]:
        """The effects that would not be what was approved, or that would take something else along."""
        why = "it depends on something that is left as it is"
        wanted = {inverse.likeness(effect): effect for effect in rest}
        blamed = {effect.id: why for said, effect in wanted.items() if said not in effects}
        for said in effects.keys() - wanted.keys():
            path = untagged(said.path)
            blamed |= {e.id: why for e in rest if untagged(e.path) == path or path in _above(untagged(e.path))}
            if not blamed:
                raise _Unclear
        was, now = _Copies(self.table.staged), _Copies(staged)
        for said, effect in wanted.items():
            copied = effect.effect == "copied" and effect.kind == "dir" and said in effects
            if copied and was.inside(effect.entry) != now.inside(effects[said].entry):
                blamed[effect.id] = why
        return blamed

    def _keep(self, found: Sealed, rest: list[Effect], effects: dict[Effect, Effect]) -> str:
        """Keeps the table, and beside it what it does and does not do; durable before the run begins."""
        digest = plans.kept_table(self.core, found.rows)
        own = [
            msgspec.structs.replace(one, entry=new.entry, vault=new.vault, files=new.files, size=new.size)
            for one, new in ((effect, effects[inverse.likeness(effect)]) for effect in rest)
        ]
        left = [Left(effect, self.left[effect.id]) for effect in self.effects if effect.id in self.left]
        kept = Rest(counts=found.preview.counts, effects=own, left=left)
        replace_file(_path(self.core, digest), msgspec.json.encode(kept))
        return digest


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


class _Copies:
    """What is in new folders, as it will be built."""

    def __init__(self, staged: list[Staged]) -> None:
        self._inside: dict[int, list[Staged]] = {}
        for row in staged:
            self._inside.setdefault(row.parent, []).append(row)

    def inside(self, number: int, path: bytes = b"") -> list[tuple[object, ...]]:
        """All that a new folder holds, at any depth."""
        found: list[tuple[object, ...]] = []
        for row in self._inside.get(number, ()):
            below = path + b"/" + row.name
            found.append((below, row.kind, row.blob, row.source_facts, row.target, row.mode, row.mtime))
            found += self.inside(row.number, below)
        return found


class _Blame:
    """Which effects a finding of the look concerns."""

    def __init__(self, effects: list[Effect], table: Table) -> None:
        self._effects = effects
        self._tops = _tops(table.staged)
        self._by_number = {effect.entry: effect.id for effect in effects}
        self._by_number |= {effect.vault: effect.id for effect in effects if effect.vault is not None}
        self._ground = inverse.Ground(effects)
        self._by_home: dict[str, list[str]] = {}
        for effect in effects:
            sources = [untagged(effect.source)] if effect.source is not None else []
            for home in {*inverse.homes(effect), *sources}:
                self._by_home.setdefault(home, []).append(effect.id)

    def of(self, finding: Finding) -> list[str]:
        """The ids of the effects; none if that cannot be told."""
        if not finding.name:
            return self._around(finding.path)
        number = self._tops.get(finding.entry, finding.entry)
        found = list(self._by_home.get(finding.path, ()))
        if number in self._by_number:
            found.append(self._by_number[number])
        return found

    def _around(self, folder: str) -> list[str]:
        """The effects that take something out of a folder or put something into it."""
        inside = folder + "/"
        now = self._ground.now(inside)
        return [
            effect.id
            for effect in self._effects
            if untagged(effect.path).startswith(now) or any(home.startswith(inside) for home in inverse.homes(effect))
        ]


def _tops(staged: list[Staged]) -> dict[int, int]:
    """For each entry that is built in a new folder, the outermost of these folders."""
    tops: dict[int, int] = {}
    for row in staged:
        tops[row.number] = tops.get(row.parent, row.number)
    return tops


def _findings(core: Core, table: Table) -> list[Finding]:
    """What of a table's fingerprints does not hold; what is not allowed is not stale, and is left to the run."""
    context = _context(core, table)
    try:
        with context.places() as places:
            look = PrePass(context, places, built=False)
            for row in table.staged:
                if row.source is not None:
                    look.entry(row.number, *row.source, row.source_facts, Level.EXACT)
            return [finding for finding in look.all() if not finding.denied]
    except TreegateError:
        raise _Unclear from None


def _context(core: Core, table: Table) -> RunContext:
    """What the look needs; there is no run yet, so its areas are stood for by those of the volume."""
    workspace = core.workspace
    exact = all(workspace.capabilities(case).stable_inodes for case in table.header.cases)
    return RunContext(
        run="",
        directory=core.state,
        table=table,
        open_root=partial(_root, core),
        blob=core.blobs.open,
        totals=partial(totals_of, exact=exact),
        volumes={workspace.volume(case): workspace.capabilities(case) for case in table.header.cases},
    )


def _root(core: Core, key: bytes) -> int:
    kind, _, rest = key.decode("utf-8", "surrogateescape").partition(":")
    if kind == "case" or ":" in rest:
        return core.workspace.open_root(key, "")
    return handles.open_root(str(core.workspace.area(rest)))
