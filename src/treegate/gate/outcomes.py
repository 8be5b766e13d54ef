"""Outcomes looked into: the tree of a case as a plan would leave it, listed, sought through and read.

Without a plan it is the tree as it is. Nothing is stored, nothing changed, and no link followed; where the plan has
faulty operations, the others are taken as carried out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import islice
from typing import NamedTuple
from urllib.parse import quote_from_bytes, unquote_to_bytes

import msgspec

from treegate.engine.unhurried import unhurried_gc
from treegate.errors import PlanError
from treegate.gate import plans
from treegate.gate.core import Core
from treegate.gate.sight import Sight, bytes_of
from treegate.model import paths
from treegate.model.actors import Action
from treegate.model.acts import simulate
from treegate.model.effects import Text, tagged
from treegate.model.forest import Forest
from treegate.model.globs import Glob, PatternError
from treegate.model.plan import Plan
from treegate.model.tree import Kind, Node

MOST_READ = 1 << 22  # bytes of a piece
MOST_HASHED = 1 << 29  # bytes of a file whose SHA-256 is told: a second or two
_SECONDS = 10.0  # that one search may take


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An entry of the outcome; `size` in bytes, `mtime` in ms since 1970 (None: when it is made).

    `was` is where it is now, if that is another place (also: what it is a copy of); `new` what does not exist yet.
    """

    path: Text  # within the case
    kind: str  # file, dir, link, other
    size: int = 0
    mtime: int | None = None
    was: Text | None = None
    new: bool = False


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """Some entries; `next` is the cursor of the page after this one, `faulty` counts operations left out."""

    entries: list[Entry]
    next: str | None = None
    faulty: int = 0


class Info(msgspec.Struct, frozen=True, kw_only=True):
    """All about one entry: its permission bits, a link's target, the SHA-256 of what a file holds."""

    entry: Entry
    mode: str | None = None  # "0644"
    target: Text | None = None
    sha256: str = ""
    holds: int = 0  # entries directly in a folder


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of a file from an offset on."""

    entry: Entry
    offset: int
    data: bytes


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """A line, counted from 1, that holds what was sought."""

    path: Text
    line: int
    text: str


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, in the order of paths; not `complete` where a limit or the time ended it."""

    hits: list[Hit]
    complete: bool = True


class _Seen(NamedTuple):
    """A case in an outcome, and how many operations are left out of that."""

    sight: Sight
    faulty: int


def listed(
    core: Core, case: str, folder: str = "", plan: Plan | None = None, *, cursor: str = "", limit: int = 100
) -> Entries:
    """What a folder holds, in byte order, from behind `cursor` on."""
    after = unquote_to_bytes(cursor)
    with _seen(core, case, plan) as (sight, faulty):
        children = sight.children(sight.folder(folder))
        behind = [node for node in children if paths.raw_bytes(node.name) > after]
        entries = [_entry(sight, node) for node in behind[:limit]]
    last = cursor_of(behind[limit - 1].name) if len(behind) > limit else None
    return Entries(entries=entries, next=last, faulty=faulty)


def found(
    core: Core, case: str, match: str = "**", plan: Plan | None = None, *, cursor: str = "", limit: int = 100
) -> Entries:
    """What a glob means, as in the `match` of a plan: files and links, or folders where it ends in `/`."""
    after = tuple(unquote_to_bytes(cursor).split(b"/")) if cursor else ()
    with _seen(core, case, plan) as (sight, faulty):
        nodes = list(islice(sight.matching(_glob(match), after), limit + 1))
        entries = [_entry(sight, node) for node in nodes[:limit]]
        last = cursor_of(sight.path(nodes[limit - 1])) if len(nodes) > limit else None
    return Entries(entries=entries, next=last, faulty=faulty)


def info(core: Core, case: str, path: str, plan: Plan | None = None) -> Info:
    """All about one entry; a file's content is read for its SHA-256, unless it is very large."""
    with _seen(core, case, plan) as (sight, _):
        node = sight.node(path)
        size, _, mode = sight.looks(node)
        return Info(
            entry=_entry(sight, node),
            mode=None if mode is None else f"{mode:04o}",
            target=tagged(sight.target(node)) if node.kind is Kind.LINK else None,
            sha256=sight.sha256(node) if node.kind is Kind.FILE and size <= MOST_HASHED else "",
            holds=len(sight.children(node)) if node.kind is Kind.DIR else 0,
        )


def read(
    core: Core, case: str, path: str, plan: Plan | None = None, *, offset: int = 0, length: int = 1 << 16
) -> Piece:
    """A piece of what a file holds; at most MOST_READ bytes."""
    with _seen(core, case, plan) as (sight, _):
        node = sight.node(path)
        with closing(sight.open(node)) as file:
            file.seek(offset)
            data = bytes_of(file, min(length, MOST_READ))
        return Piece(entry=_entry(sight, node), offset=offset, data=data)


def sought(
    core: Core, case: str, text: str, match: str = "**", plan: Plan | None = None, *, limit: int = 100
) -> Hits:
    """The lines of text files that hold a text, literally."""
    needle, end = text.encode("utf-8", "surrogateescape"), time.monotonic() + _SECONDS
    hits: list[Hit] = []
    with _seen(core, case, plan) as (sight, _):
        for node in sight.matching(_glob(match)):
            if node.kind is not Kind.FILE:
                continue
            for number, line in sight.lines_with(node, needle):
                if len(hits) == limit:
                    return Hits(hits=hits, complete=False)
                hits.append(Hit(path=tagged(sight.path(node)), line=number, text=line))
            if time.monotonic() > end:
                return Hits(hits=hits, complete=False)
    return Hits(hits=hits)


def _entry(sight: Sight, node: Node) -> Entry:
    looks, path, was = sight.looks(node), sight.path(node), sight.was(node)
    return Entry(
        path=tagged(path),
        kind=node.kind.value,
        size=looks.size if node.kind is Kind.FILE else 0,
        mtime=None if looks.mtime is None else looks.mtime // 1_000_000,
        was=tagged(was) if was and was != path else None,
        new=node.made is not None,
    )


@contextmanager
def _seen(core: Core, case: str, plan: Plan | None) -> Iterator[_Seen]:
    """One case in the outcome of a plan; who may not see a case does not learn whether it is there."""
    core.actor.require(Action.READ, [case])
    core.workspace.check_marker()
    core.check_case(case)
    if plan is None:
        with core.world() as world:
            forest = Forest(world.tree, world.cases, world.volumes)
            yield _Seen(Sight(case, forest, world.tree, core.blobs), 0)
        return
    plans.require_reach(core, plan, Action.READ)
    blobs = core.blobs if core.actor.cases is None else None
    with plans.looking(core, plan), core.world() as world, unhurried_gc():
        outcome = simulate(plan, world)
        faulty = {one.operation for one in outcome.problems if one.severity == "error"}
        yield _Seen(Sight(case, outcome.forest, world.tree, blobs, plan), len(faulty))


def _glob(match: str) -> Glob:
    try:
        return Glob.parse(match)
    except PatternError as error:
        raise PlanError(str(error), code="pattern-malformed", hint="like Scans/*.pdf, or **/*.pdf") from None


def cursor_of(path: str) -> str:
    """The cursor behind an entry, of a list by its name, of what was found by its path."""
    return quote_from_bytes(paths.raw_bytes(path))
