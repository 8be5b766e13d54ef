"""The rows of the step table that carries out an outcome: numbered, checked, in the order of model.table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from treegate.model import table
from treegate.model.names import fold_key
from treegate.model.net import Net, new_children
from treegate.model.paths import raw_bytes
from treegate.model.steps import Step, compile_steps
from treegate.model.tree import Kind, Level, Node


def number_entries(net: Net) -> None:
    """Gives every touched entry its number, and those that come from or go to treegate's own areas their slot."""
    forest = net.forest
    for number, node in enumerate(net.outcome.touched):
        node.number = number
        if net.is_removed(node):
            node.name = str(number)
        elif node.made is not None and (node.parent is None or node.parent.made is None):
            node.home = forest.area(f"new:{forest.volume(node)}")
            node.home_name = str(number)


class Rows:
    """The table of one outcome. `exchange` says whether every mount that it touches can swap two entries."""

    def __init__(self, net: Net, *, exchange: bool, concerned: Callable[[Node], bool]) -> None:
        self.net = net
        self.forest = net.forest
        self._next = len(net.outcome.touched)
        self.places: list[table.Place] = []
        self._placed: set[Node] = set()
        self.steps = self._steps(exchange)
        self.staged = list(self._staged())
        self.checks = list(self._checks(concerned))
        self.settings = list(self._settings())
        for step in self.steps:
            self._place(step.src)
            self._place(step.dst)

    def __iter__(self) -> Iterator[table.Row]:
        yield self.header()
        yield from self.places
        yield from self.checks
        yield from self.staged
        yield from map(self._row, self.steps)
        yield from self.settings

    def header(self) -> table.Header:
        """What stands first: the cases to lock and how many rows follow."""
        roots = [place.name.decode("utf-8", "surrogateescape") for place in self.places if place.parent == table.ROOT]
        volumes = {key.split(":")[1] for key in roots if not key.startswith("case:")}
        volumes |= {self.forest.volumes.get(key[5:], "") for key in roots if key.startswith("case:")}
        return table.Header(
            format=table.FORMAT,
            plan_digest=self.net.outcome.plan.digest,
            cases=sorted(key[5:] for key in roots if key.startswith("case:")),
            volumes=sorted(volumes),
            places=len(self.places),
            checks=len(self.checks),
            staged=len(self.staged),
            steps=len(self.steps),
            settings=len(self.settings),
        )

    # Steps

    def _steps(self, exchange: bool) -> list[Step]:
        touched = [node for node in self.net.outcome.touched if node.home is not None and node.moved]
        steps = compile_steps(touched, self._park, exchange=exchange)
        folding = {case for case, mount in self.forest.cases.items() if mount.folds_case or mount.folds_unicode}
        if folding:
            steps = [part for step in steps for part in self._unfolded(step)]
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
            step._replace(dst=park, dst_name=name, free=False),
            step._replace(src=park, src_name=name, first=False, free=False),
        ]

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
            free=step.free and step.dst.made is None and step.dst.where[:1] != "/",
            is_dir=entry.kind is Kind.DIR,
            other=-1 if other is None else other.number,
            other_facts=b"" if other is None else other.facts or b"",
            other_level=self._level(other) if other is not None and step.other_first else Level.NONE,
            other_is_dir=other is not None and other.kind is Kind.DIR,
        )

    def _level(self, node: Node) -> int:
        if node.made is not None:
            return Level.NONE
        if node.kind is Kind.DIR:
            return Level.IDENTITY
        return Level.EXACT if self.net.is_removed(node) else Level.CONTENT

    # Places

    def _place(self, folder: Node) -> int:
        """The number of a folder as a place; it and those above it get their rows the first time."""
        if folder in self._placed:
            return folder.number
        self._placed.add(folder)
        above = table.ROOT
        name = raw_bytes(folder.home_name)
        facts = b""
        if folder.parent is self.forest.root and folder.home is self.forest.root:
            name = b"case:" + name
            facts = self.forest.packed(folder)
        elif folder.home is None and folder.where.startswith("/"):
            name = raw_bytes(folder.name)
        else:
            home = folder.home if folder.home is not None else folder.parent
            assert home is not None
            above = self._place(home)
            if folder.home is None:
                name = raw_bytes(folder.name)
            elif folder.made is None:
                facts = self.forest.packed(folder)
        if folder.number < 0:
            folder.number = self._number()
        self.places.append(table.Place(folder.number, above, name, facts))
        return folder.number

    def _number(self) -> int:
        self._next += 1
        return self._next - 1

    # What is built beforehand

    def _staged(self) -> Iterator[table.Staged]:
        for node in self.net.outcome.touched:
            if node.made is not None and node.home is not None:
                yield from self._stage(node, self._place(node.home), raw_bytes(node.home_name))

    def _stage(self, node: Node, parent: int, name: bytes) -> Iterator[table.Staged]:
        made = node.made
        assert made is not None
        if node.number < 0:
            node.number = self._number()
        into = node.parent
        assert into is not None
        source, like = made.source, made.like
        file_source = source if node.kind is Kind.FILE and not made.blob else None
        yield table.Staged(
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
        if node.kind is Kind.DIR:
            below = self._place(node)
            for child in new_children(node):
                yield from self._stage(child, below, raw_bytes(child.name))

    def _slot(self, node: Node) -> tuple[int, bytes]:
        assert node.home is not None
        return self._place(node.home), raw_bytes(node.home_name)

    # What must still hold

    def _checks(self, concerned: Callable[[Node], bool]) -> Iterator[table.Check]:
        for node, totals in self.net.totals.items():
            if self.net.is_removed(node) or concerned(node):
                yield self._check(node, Level.IDENTITY, digest=totals.digest)
        for node in self.net.new:
            made = node.made
            if node.kind is Kind.DIR and made is not None and made.source is not None:
                digest = self.forest.tree.totals(made.source.home_path()).digest
                yield self._check(made.source, Level.IDENTITY, digest=digest)
        for node, sha256 in self.net.outcome.expected.items():
            if node.home is not None:
                yield self._check(node, Level.CONTENT, sha256=sha256)

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
