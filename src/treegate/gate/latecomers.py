"""Files that came after the preview and that a glob of the plan would have matched: left, and told in the receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set

from treegate.engine.store.records import StoredPlan
from treegate.gate.core import Core
from treegate.model.globs import Glob
from treegate.model.operations import Copy, Delete, Move
from treegate.model.paths import joined, split
from treegate.model.plan import Plan
from treegate.model.tree import Kind, Tree, unpack

NOTED = 20  # that the receipt names


def notes(core: Core, plan: StoredPlan, placed: Callable[[], Set[str]]) -> Iterator[str]:
    """A line for each of the first latecomers.

    `placed` tells the paths to which the run itself brought something, and those of what it knowingly left.
    """
    document = core.store.document(plan.id, plan.revision)
    preview = core.store.preview(plan.id)
    if preview is None or b'"match"' not in document:
        return
    since = core.table_path(preview.table_digest).stat().st_mtime_ns  # by the clock that files are stamped with
    known = placed()
    found = dict.fromkeys(path for path in _matching(core, Plan.decode(document), since) if path not in known)
    for path in list(found)[:NOTED]:
        yield f"{path!r} came after the preview and was left where it is"
    if len(found) > NOTED:
        yield f"{len(found) - NOTED:,} more came after the preview and were left where they are"


def _matching(core: Core, plan: Plan, since: int) -> Iterator[str]:
    """What the plan's globs match now, and what did not look like that at the preview."""
    with core.world() as world:
        for operation in plan.operations:
            if isinstance(operation, Move | Copy | Delete) and isinstance(operation.match, str):
                excluded = [] if not isinstance(operation.exclude, list) else list(map(Glob.parse, operation.exclude))
                yield from _Search(world.tree, plan.case or "", Glob.parse(operation.match), excluded, since).run()


class _Search:
    """One glob over the tree as it is."""

    def __init__(self, tree: Tree, base: str, glob: Glob, excluded: list[Glob], since: int) -> None:
        self._tree = tree
        self._base = base
        self._glob = glob
        self._excluded = excluded
        self._since = since

    def run(self) -> Iterator[str]:
        """Paths from `projects/`, only going where something can match."""
        yield from self._below(self._glob.literal_prefix)

    def _below(self, folder: str) -> Iterator[str]:
        try:
            names = self._tree.names(joined(self._base, folder) if folder else self._base)
        except OSError:
            return  # it moved away with the run, or cannot be read
        for name, kind in sorted(names.items()):
            path = joined(folder, name)
            is_dir = kind is Kind.DIR
            if self._glob.matches(path, is_dir):
                if self._is_new(path) and not any(other.matches(path, is_dir) for other in self._excluded):
                    yield joined(self._base, path)
            elif is_dir and self._glob.may_match_below(path):
                yield from self._below(path)

    def _is_new(self, path: str) -> bool:
        """Whether the entry changed since the preview, be it only by being put there."""
        packed = self._tree.facts(*split(joined(self._base, path)))
        return packed is not None and unpack(packed).ctime >= self._since
