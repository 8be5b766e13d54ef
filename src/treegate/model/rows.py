"""The rows of the step table that carries out an outcome: numbered, checked, in the order of model.table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from treegate.model import table
from treegate.model.backups import Backups
from treegate.model.board import Group, Step, Steps
from treegate.model.effects import check_case
from treegate.model.names import fold_key
from treegate.model.net import Net, new_children
from treegate.model.paths import raw_bytes, split
from treegate.model.steps import compile_steps
from treegate.model.tree import DIR, FILE, Kind, Level, Node

NO_BACKUPS = Backups()


def number_entries(net: Net) -> None:
    """Gives every touched entry its number, and those that come from or go to treegate's own areas their slot."""
    forest = net.forest
    for number, node in enumerate(net.outcome.touched):
        node.number = number
        if node.made is not None and (node.parent is None or node.parent.made is None):
            node.home = forest.area(f"new:{forest.volume(node)}")
            node.home_name = str(number)
    for node in net.removed:
        node.name = str(node.number)


class Rows:
    """The table of one outcome.

    `exchange` says whether every mount that it touches can swap two entries, `folds` whether any takes names for one
    that differ in case or Unicode form; `concerned` of a folder that moves, whether a rule may name what is in it.
    """

    def __init__(self, net: Net, *, exchange: bool, concerned: Callable[[Node], bool], folds: bool = False,
                 backups: Backups = NO_BACKUPS) -> None:  # fmt: skip
        self.net = net
        self.forest = net.forest
        self._next = len(net.outcome.touched)
        self.places: list[table.Place] = []
        self._placed: set[Node] = set()
        self.steps = self._steps(exchange, folds)
        for part in self.steps.parts:
            self._place(part.src)
            self._place(part.dst)
        self.staged = list(self._staged())
        self.keeping = list(self._keep(backups))
        self.settings = list(self._settings())
        self.checks = list(self._checks(concerned))

    def __iter__(self) -> Iterator[table.Row]:
        yield self.header()
        yield from self.places
        yield from self.checks
        yield from self.staged
        yield from self.keeping
        for part in self.steps.parts:
            if isinstance(part, Group):
                yield from self._rows_of(part)
            else:
                yield self._row(part)
        yield from self.settings

    def header(self) -> table.Header:
        """What stands first: the cases to lock and how many rows follow; raises PlanError."""
        roots = [place.name.decode("utf-8", "surrogateescape") for place in self.places if place.parent == table.ROOT]
        volumes = {key.split(":")[1] for key in roots if not key.startswith("case:")}
        volumes |= {self.forest.volumes.get(key[5:], "") for key in roots if key.startswith("case:")}
        cases = sorted(key[5:] for key in roots if key.startswith("case:"))
        for case in cases:  # those, too, out of which something is only copied
            check_case(case)
        return table.Header(
            format=table.FORMAT,
            plan_digest=self.net.outcome.plan.digest,
            cases=cases,
            volumes=sorted(volumes),
            places=len(self.places),
            checks=len(self.checks),
            staged=len(self.staged),
            steps=len(self.keeping) + len(self.steps),
            settings=len(self.settings),
        )

    # Steps

    def _steps(self, exchange: bool, folds: bool) -> Steps:
        touched = [node for node in self.net.outcome.touched if node.home is not None and node.moved]
        steps = compile_steps(touched, self._park, exchange=exchange)
        if folds:
            steps.parts = [part for step in steps for part in self._unfolded(step)]
        return steps

    def _park(self, node: Node) -> Node:
        return self.forest.area(f"park:{self.forest.volume_of_home(node)}")

    def _unfolded(self, step: Step) -> list[Step]:
        """A rename that changes only case takes a detour where the mount would see the same name in the way."""
        if step.src is not step.dst or step.kind != table.RENAME:
            return [step]
        if fold_key(step.src_name, case=True, unicode=True) != fold_key(step.dst_name, case=True, unicode=True):
            return [step]
        park, name = self._park(step.entry), f"{step.entry.number}.fold"
        return [
            msgspec.structs.replace(step, dst=park, dst_name=name, free=False),
            msgspec.structs.replace(step, src=park, src_name=name, first=False, free=False),
        ]

    def _rows_of(self, group: Group) -> Iterator[table.Step]:
        src, dst, free = group.src.number, group.dst.number, self._is_free(group.dst)
        level = self._level(group.entries[0])  # files, that come all from one folder, and go all to another
        for entry in group.entries:
            yield table.Step(
                table.RENAME,
                entry.number,
                entry.facts or b"",
                level,
                src,
                raw_bytes(entry.home_name),
                dst,
                raw_bytes(entry.name),
                free,
                False,
            )

    def _is_free(self, folder: Node) -> bool:
        """Whether the run has to find a slot free in this folder: it was there before, and is not treegate's own."""
        return folder.made is None and folder.where[:1] != "/"

    def _row(self, step: Step) -> table.Step:
        entry, other = step.entry, step.other
        return table.Step(
            kind=step.kind,
            entry=entry.number,
            facts=entry.facts or b"",
            level=self._level(entry) if step.first else Level.NONE,
            src=step.src.number,
            src_name=raw_bytes(step.src_name),
            dst=step.dst.number,
            dst_name=raw_bytes(step.dst_name),
            free=step.free and self._is_free(step.dst),
            is_dir=entry.kind is DIR,
            other=-1 if other is None else other.number,
            other_facts=b"" if other is None else other.facts or b"",
            other_level=self._level(other) if other is not None and step.other_first else Level.NONE,
            other_is_dir=other is not None and other.kind is DIR,
        )

    def _level(self, node: Node) -> int:
        if node.made is not None:
            return Level.NONE
        if node.kind is DIR:
            return Level.IDENTITY
        return Level.EXACT if self.net.is_removed(node) else Level.CONTENT

    # Places

    def _place(self, folder: Node) -> int:
        """The number of a folder as a place; it and those above it get their rows the first time."""
        if folder in self._placed:
            return folder.number
        missing: list[Node] = []
        above: Node | None = folder
        while above is not None and above not in self._placed:
            missing.append(above)
            above = self._above(above)
        for node in reversed(missing):
            self._add_place(node)
        return folder.number

    def _above(self, folder: Node) -> Node | None:
        """The folder that a place is in before the run; None for a case and for treegate's own areas."""
        if folder.home is self.forest.root:
            return None
        return folder.home if folder.home is not None else folder.parent

    def _add_place(self, folder: Node) -> None:
        self._placed.add(folder)
        above = self._above(folder)
        name, facts = folder.home_name, b""
        if folder.home is self.forest.root:
            name = f"case:{name}"
        elif folder.home is None:
            name = folder.name
        if folder.home is not None and folder.made is None:
            facts = self.forest.packed(folder)
        if folder.number < 0:
            folder.number = self._number()
        number = table.ROOT if above is None else above.number
        self.places.append(table.Place(folder.number, number, raw_bytes(name), facts))

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    # What is built beforehand

    def _staged(self) -> Iterator[table.Staged]:
        todo = [
            (node, self._place(node.home), raw_bytes(node.home_name))
            for node in reversed(self.net.new)
            if node.home is not None
        ]
        while todo:
            node, parent, name = todo.pop()
            yield self._stage(node, parent, name)
            if node.kind is DIR:
                below = self._place(node)
                todo += [(child, below, raw_bytes(child.name)) for child in reversed(list(new_children(node)))]

    def _stage(self, node: Node, parent: int, name: bytes) -> table.Staged:
        made, into = node.made, node.parent
        assert made is not None
        assert into is not None
        if node.number < 0:
            node.number = self._number()
        source, like = made.source, made.like
        file_source = source if node.kind is FILE and not made.blob else None
        return table.Staged(
            number=node.number,
            parent=parent,
            name=name,
            kind=node.kind.value,
            into=parent if into.made is not None else self._place(into),
            blob=made.blob,
            source=None if file_source is None else self._slot(file_source),
            source_facts=b"" if file_source is None else file_source.facts or b"",
            target=raw_bytes(made.target),
            like=None if like is None else self._slot(like),
            mode=made.mode,
            mtime=made.mtime,
        )

    def _slot(self, node: Node) -> tuple[int, bytes]:
        assert node.home is not None
        return self._place(node.home), raw_bytes(node.home_name)

    # Backups: built like all that is new, and the first to be put in place

    def _keep(self, backups: Backups) -> Iterator[table.Step]:
        for node in backups.files:
            volume = self.forest.volume_of_home(node)
            new, vault = (self._place(self.forest.area(f"{kind}:{volume}")) for kind in ("new", "vault"))
            number = self._number()
            name = b"%d" % number
            self.staged.append(
                table.Staged(
                    number=number,
                    parent=new,
                    name=name,
                    kind=Kind.FILE.value,
                    into=vault,
                    source=self._slot(node),
                    source_facts=self.forest.packed(node),
                    full=backups.full,
                )
            )
            yield table.Step(table.RENAME, number, b"", Level.NONE, new, name, vault, name, False, False)

    # What must still hold

    def _checks(self, concerned: Callable[[Node], bool]) -> Iterator[table.Check]:
        for node, totals in self.net.totals.items():
            if self.net.is_removed(node):
                yield self._check(node, Level.IDENTITY, digest=totals.digest)
            elif concerned(node):
                yield from self._folders_in(node)
        for node in self.net.new:
            made = node.made
            if node.kind is DIR and made is not None and made.source is not None:
                digest = self.forest.tree.totals(made.source.home_path()).digest
                yield self._check(made.source, Level.IDENTITY, digest=digest)
        for node, sha256 in self.net.outcome.expected.items():
            if node.home is not None:
                yield self._check(node, Level.CONTENT, sha256=sha256)

    def _folders_in(self, top: Node) -> Iterator[table.Check]:
        """A folder and each one in it, exactly: what is added, removed or renamed anywhere below changes one of them.

        Dearer to ask would be the facts of every file, which a rule about paths does not need.
        """
        yield self._check(top, Level.EXACT)
        known = {folder.where: folder for folder in self._placed if folder.where}
        tree, above = self.forest.tree, top.home_path()
        folders = {"": known.get(above, top)}
        for path, kind in tree.walk(above):
            if kind is not DIR:
                continue
            within, name = split(path)
            parent = folders[within]
            node = known.get(f"{above}/{path}")
            if node is None:
                node = Node(DIR, parent, name, parent, name, tree.facts(parent.where, name))
                node.where = f"{above}/{path}"
            folders[path] = node
            if node.facts is not None:
                yield table.Check(self._place(parent), raw_bytes(name), node.facts, int(Level.EXACT), b"", "")

    def _check(self, node: Node, level: Level, digest: bytes = b"", sha256: str = "") -> table.Check:
        place, name = self._slot(node)
        return table.Check(place, name, self.forest.packed(node), int(level), digest, sha256)

    def _settings(self) -> Iterator[table.Setting]:
        for node in self.net.set:
            assert node.setting is not None
            assert node.parent is not None
            mode, mtime = node.setting
            place = self._place(node.parent)
            yield table.Setting(node.number, place, raw_bytes(node.name), self.forest.packed(node), mode, mtime)
