"""Effects as changes: those that take a run back, and those that make what was previewed once more.

Serves undo, a run that leaves alone what is stale, and wherever a difference has to become a document again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from msgspec import structs

from treegate.model import paths
from treegate.model.draft import Change, moment, plan_of, written
from treegate.model.effects import Effect, EffectKind, Text, tagged, untagged

__all__ = [
    "Change",
    "Ground",
    "changes_of",
    "closure",
    "homes",
    "likeness",
    "moment",
    "plan_of",
    "undo_of",
    "written",
]

_SPECIAL = 0o6000  # set-user-id and set-group-id: never a plan's to give


def undo_of(effects: Iterable[Effect], run: str) -> list[Change]:
    """What takes effects of a run back."""
    return [change for effect in effects for change in _inverse(effect, run)]


def _inverse(effect: Effect, run: str) -> Iterator[Change]:
    path = untagged(effect.path)
    is_dir = effect.kind == "dir"
    if _stays_itself(effect):
        was = path if effect.source is None else untagged(effect.source)
        if was != path:
            yield Change("move", path, was, is_dir, effect=effect.id)
        if effect.old_mode is not None or effect.old_mtime is not None:
            mode, mtime = _looks(effect.old_mode, effect.old_mtime)
            yield Change("set", path, mode=mode, mtime=mtime, effect=effect.id)
    elif effect.effect != "deleted":
        yield Change("delete", path, is_dir=is_dir, recursive=effect.effect != "made", effect=effect.id)
    if effect.vault is not None and not _old_place(effect).startswith("/"):  # else: it lay in what was restored
        yield Change(
            "restore", target=_old_place(effect), is_dir=is_dir, run=run, entry=effect.vault, effect=effect.id
        )


def _stays_itself(effect: Effect) -> bool:
    """Whether the entry was in the tree before and after."""
    return effect.effect in ("moved", "set") or (effect.by == "move" and not _from_vault(effect))


def _from_vault(effect: Effect) -> bool:
    """Whether a file that replaces another came out of a vault."""
    return effect.source is not None and untagged(effect.source).startswith("/")


def kept_source(effect: Effect) -> tuple[str, int] | None:
    """The run and entry of the vault that an effect takes; None if it takes none, or only something inside one.

    A restored entry has it as `vault:RUN/12`; one that also replaces another, as its place in the vault's area.
    """
    source = "" if effect.source is None else untagged(effect.source)
    if not (effect.effect == "restored" or source.startswith("/")):
        return None
    run, _, entry = source.rpartition(":")[2].partition("/")
    return (run, int(entry)) if entry.isdecimal() else None


def _old_place(effect: Effect) -> str:
    """Where what an effect put into the vault was before."""
    return untagged(effect.replaces if effect.replaces is not None else effect.path)


def _looks(mode: str | None, mtime: str | None) -> tuple[int | None, int | None]:
    return None if mode is None else int(mode, 8), None if mtime is None else int(mtime)


def changes_of(effects: Iterable[Effect]) -> list[Change]:
    """What makes these effects, on the tree that they were previewed on."""
    return [change for effect in effects for change in _forward(effect)]


def _forward(effect: Effect) -> Iterator[Change]:
    path = untagged(effect.path)
    if effect.effect == "deleted":
        is_dir = effect.kind == "dir"
        yield Change("delete", path, is_dir=is_dir, recursive=is_dir, effect=effect.id)
        return
    if effect.effect != "set":
        change = _coming(effect, path)
        yield change
        if change.kind in ("create", "replace"):
            return
    mode, mtime = _looks(effect.mode, effect.mtime)
    if effect.effect == "copied" and mode is not None and mode & _SPECIAL:
        mode = None  # a folder's own: its copy has it without being told
    if mode is not None or mtime is not None:
        yield Change("set", target=path, mode=mode, mtime=mtime, effect=effect.id)


def likeness(effect: Effect) -> Effect:
    """What an effect says but for numbers; equal for effects that are one and the same in two previews.

    A copy of what the plan itself made is made, too; whether a folder is only implied makes no difference, nor what a
    moved folder happens to hold.
    """
    kind, files, size = effect.effect, effect.files, effect.size
    if kind == "copied" and effect.source is None:
        made: dict[str, EffectKind] = {"dir": "made", "link": "linked"}
        kind = made.get(effect.kind, "created")
    if effect.kind == "dir" and kind in ("made", "moved"):
        files = size = 0
    vault = None if effect.vault is None else 0
    return structs.replace(
        effect, id="", effect=kind, files=files, size=size, operations=(), implied=False, vault=vault, entry=-1
    )


def _coming(effect: Effect, path: str) -> Change:
    """How the entry of an effect comes to its path."""
    is_dir = effect.kind == "dir"
    source = None if effect.source is None else untagged(effect.source)
    mode, mtime = _looks(effect.mode, effect.mtime)
    bare = Change("mkdir", target=path, is_dir=is_dir, effect=effect.id)
    if effect.effect == "replaced":
        bare = bare._replace(replaced=_old_place(effect))
    if effect.by == "replace":
        return bare._replace(kind="replace", sha256=effect.sha256, mode=mode, mtime=mtime)
    kept = kept_source(effect)
    if kept is not None:
        return bare._replace(kind="restore", run=kept[0], entry=kept[1])
    if source is not None:
        return bare._replace(kind="move" if _stays_itself(effect) else "copy", source=source)
    if effect.target is not None:
        return bare._replace(kind="symlink", link=untagged(effect.target))
    if effect.sha256:
        return bare._replace(kind="create", sha256=effect.sha256, mode=mode, mtime=mtime)
    return bare


def closure(effects: list[Effect], wanted: set[str]) -> set[str]:
    """The ids of effects that have to be undone together with the wanted ones.

    What now lies where something goes back to has to leave; a folder on the way back has to be back itself; and what
    was put into a folder that goes away by that has to leave it. A folder made only to hold what goes back goes too.
    """
    ground = Ground(effects)
    taken: set[str] = set()
    waiting = [effect for effect in effects if effect.id in wanted]
    while waiting:
        effect = waiting.pop()
        if effect.id not in taken:
            taken.add(effect.id)
            waiting += ground.needed(effect)
    taken |= {effect.id for effect in effects if effect.implied and ground.only_holds(effect, taken)}
    return taken


def as_undone(effects: Iterable[Effect], undone: Iterable[Effect]) -> Iterator[Effect]:
    """Effects of a run, their paths as they are since some others of it were undone: in folders that moved back."""
    back = {
        untagged(effect.path): untagged(effect.source)
        for effect in undone
        if effect.kind == "dir" and effect.source is not None and _stays_itself(effect)
    }
    for effect in effects:
        path = untagged(effect.path)
        above = next((above for above in _above(path) if above in back), None)
        if above is None or effect.effect == "deleted":
            yield effect
        else:
            yield structs.replace(effect, path=tagged(back[above] + path[len(above) :]), replaces=_old_text(effect))


def _old_text(effect: Effect) -> Text | None:
    """Where a replaced file was, said outright."""
    return effect.replaces if effect.vault is None or effect.replaces is not None else effect.path


class Ground:
    """Which effects stand in each other's way back."""

    def __init__(self, effects: list[Effect]) -> None:
        self._by_path = {untagged(effect.path): effect for effect in effects if effect.effect != "deleted"}
        self._by_home = {home: effect for effect in effects for home in homes(effect)}
        self._inside = _insiders(effects)

    def needed(self, effect: Effect) -> Iterator[Effect]:
        """The effects that have to be undone before, or with, this one."""
        for home in homes(effect):
            yield from filter(None, (self._by_path.get(home), self._by_path.get(self.now(home))))
            for above in _above(home):
                if above in self._by_home:
                    yield self._by_home[above]
        yield from self._inside.get(untagged(effect.path), ())

    def only_holds(self, folder: Effect, taken: Set[str]) -> bool:
        """Whether everything that the run put into a folder is taken back."""
        inside = self._inside.get(untagged(folder.path), ())
        return all(effect.id in taken for effect in inside if not effect.implied)

    def now(self, home: str) -> str:
        """The path that a slot has after the run: of its folders, the innermost that moved says it."""
        for above in _above(home):
            effect = self._by_home.get(above)
            if effect is not None and effect.effect != "deleted":
                return untagged(effect.path) + home[len(above) :]
        return home


def homes(effect: Effect) -> Iterator[str]:
    """Where what an effect took from its place goes back to."""
    if effect.vault is not None:
        yield _old_place(effect)
    if _stays_itself(effect) and effect.source is not None:
        yield untagged(effect.source)


def _above(path: str) -> Iterator[str]:
    above = paths.split(path)[0]
    while above:
        yield above
        above = paths.split(above)[0]


def _insiders(effects: list[Effect]) -> Mapping[str, list[Effect]]:
    """Which effects put something into each folder that came by the run, and goes away when it is undone."""
    came = {
        untagged(effect.path)
        for effect in effects
        if effect.kind == "dir" and effect.effect != "deleted" and not _stays_itself(effect)
    }
    inside: dict[str, list[Effect]] = {}
    for effect in effects:
        if effect.effect != "deleted":
            for above in _above(untagged(effect.path)):
                if above in came:
                    inside.setdefault(above, []).append(effect)
    return inside
