"""The chronicle: the newest events, and a file's whole life, through every move, in this case and others."""

from __future__ import annotations

import contextlib
import json
from functools import lru_cache
from typing import Any

import msgspec

from treegate.engine import audit, trails
from treegate.engine.audit import AuditRow
from treegate.engine.store.records import Run
from treegate.errors import NotFound, TreegateError
from treegate.gate.core import Core
from treegate.model import lifeline
from treegate.model.actors import Action
from treegate.model.effects import Text, tagged
from treegate.model.lifeline import Done, Event, Life
from treegate.model.paths import split

AT_ONCE = 5_000  # lines of a run that are entered into the index as it ends; of longer ones, when somebody asks
MOST_LIVES = 20  # of all that was at a path, the latest occupants


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the log; `at` in milliseconds since 1970, UTC."""

    seq: int
    at: int
    event: str
    actor: str
    channel: str
    plan: str | None
    run: str | None
    data: dict[str, Any]


class Chapter(msgspec.Struct, frozen=True, kw_only=True, rename={"source": "from"}):
    """What one run did to an entry, and who stood for it."""

    at: int
    run: str
    plan: str
    title: str
    approved_by: list[str]
    by: str
    what: str  # the effect's word: moved, created, …
    carried: bool  # whether it was done to a folder above it
    source: Text | None
    to: Text | None
    vault: int | None  # the entry under which the run's vault took it


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """The life of one entry: its chapters, oldest first, and where it is now."""

    chapters: list[Chapter]
    path: Text | None  # in the tree, if it is there
    kept: str  # "RUN ENTRY" of the vault that keeps it, else ""
    until: int | None  # when retention lets it go
    here: bool  # whether it is the one that is at the path now


def newest(core: Core, case: str | None = None, limit: int = 50) -> list[Happened]:
    """The newest events, of a case where given; oldest of them first."""
    core.actor.require(Action.READ, core.workspace.cases() if case is None else [case])
    return [_happened(row) for row in reversed(audit.newest(core.store, case, limit))]


def _happened(row: AuditRow) -> Happened:
    try:
        data = json.loads(row.data)
    except ValueError:
        data = {}
    values = {name: getattr(row, name) for name in ("seq", "at", "event", "actor", "channel", "plan", "run")}
    return Happened(**values, data=data if isinstance(data, dict) else {})


def stories(core: Core, path: str) -> list[Story]:
    """The lives of all that was ever at a path, the latest occupant first; raises NotFound where nothing was known.

    `path` starts at the case; what no run touched has no life that treegate could know of.
    """
    path = _from_projects(core, path)
    core.actor.require(Action.READ, [path.partition("/")[0]])
    catch_up(core)
    found: list[Story] = []
    for life in lifeline.lives(path, _Archive(core)):
        story = _story(core, life, path)
        if story.path is not None or not all(chapter.carried for chapter in story.chapters):
            found.append(story)  # else: nobody knows whether the folder held anything of that name
        if len(found) == MOST_LIVES:
            break
    if not found:
        raise NotFound(
            f"no run ever touched {path!r}",
            code="no-history",
            hint="name it from its case on, as it is now or as it ever was; what people did themselves is not known",
            next="treegate log",
        )
    return found


def _from_projects(core: Core, path: str) -> str:
    """A path as people name it, from `projects/` on."""
    path = path.strip("/").removeprefix(f"{core.workspace.folders.projects}/")
    return "/".join(part for part in path.split("/") if part not in ("", "."))


def note(core: Core, run: Run, lines: int) -> None:
    """Enters the lines of a run that ended into the index, if they are few; it can be made anew at any time."""
    if lines <= AT_ONCE:
        with contextlib.suppress(TreegateError, OSError), core.store.write() as transaction:
            trails.note(transaction, run, core.state / "receipts")


def catch_up(core: Core) -> None:
    """Enters what is not entered yet."""
    for seq in trails.unnoted(core.store):
        with contextlib.suppress(OSError, msgspec.MsgspecError), core.store.write() as transaction:
            trails.note(transaction, core.store.runs_by_seq([seq])[seq], core.state / "receipts")


class _Archive:
    """The receipts, as `model.lifeline` asks them; each question is asked of the disk once."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._folder = core.state / "receipts"
        self.find = lru_cache(maxsize=None)(self._find)

    def _find(self, path: str) -> list[Done]:
        marks = trails.find(self._core.store, path)
        found = [(mark.run, trails.read(self._folder, mark.id, mark.offset)) for mark in marks]
        return [(run, effect) for run, effect in found if path in trails.named(effect)]

    def kept(self, run: str, entry: int) -> Done | None:
        for one in self._core.store.vault(run=run, state=None):
            if one.entry == entry:
                seq = self._core.store.run(run).seq
                return next((done for done in self.find(one.path) if done[0] == seq and done[1].vault == entry), None)
        return None

    def taken(self, run: int, entry: int) -> list[Done]:
        return self.find(trails.place(self._core.store.runs_by_seq([run])[run].id, entry))


def _story(core: Core, life: Life, asked: str) -> Story:
    runs = core.store.runs_by_seq(event.run for event in life.events)
    titles = core.store.titles({run.plan for run in runs.values()})
    approvers = core.store.approvers({run.preview for run in runs.values()})
    chapters = []
    for event in life.events:
        run = runs[event.run]
        chapters.append(_chapter(event, run, titles[run.plan], approvers.get(run.preview, [])))
    last = chapters[-1]
    kept, until = "", None
    if not life.path and last.vault is not None:
        for one in core.store.vault(run=last.run):
            if one.entry == last.vault:
                kept, until = f"{last.run} {one.entry}", one.until
    there = bool(life.path) and _is_there(core, life.path)
    return Story(
        chapters=chapters,
        path=tagged(life.path) if there else None,
        kept=kept,
        until=until,
        here=there and life.path == asked,
    )


def _chapter(event: Event, run: Run, title: str, approved_by: list[str]) -> Chapter:
    return Chapter(
        at=run.ended_at or run.started_at,
        run=run.id,
        plan=run.plan,
        title=title,
        approved_by=approved_by,
        by=run.actor,
        what=event.effect.effect if event.after or event.effect.effect == "deleted" else "replaced",
        carried=not lifeline.is_own(event),
        source=tagged(event.before) if event.before else event.effect.source,
        to=tagged(event.after) if event.after else None,
        vault=None if event.after else event.effect.vault,
    )


def _is_there(core: Core, path: str) -> bool:
    with core.world() as world:
        try:
            return world.tree.facts(*split(path)) is not None
        except OSError:
            return False
