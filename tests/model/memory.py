"""A workspace in memory: what the simulator reads, what the step table is carried out on, and what is compared.

Nothing here shares code with the simulator but the packing of facts. An `Item` is an inode; the same Item under two
names is a hard link.
"""

from __future__ import annotations

import hashlib
import stat as st
from collections.abc import Iterable, Iterator, Mapping

from treegate.model import table
from treegate.model.capabilities import Capabilities
from treegate.model.simulate import Kept
from treegate.model.tree import APPEND, IMMUTABLE, MOUNT_ROOT, Facts, Kind, Level, Totals, pack, same, unpack

CASE = "Case"
_FORMATS = {Kind.FILE: st.S_IFREG, Kind.DIR: st.S_IFDIR, Kind.LINK: st.S_IFLNK, Kind.OTHER: st.S_IFIFO}


class Clock:
    """Inode numbers and change times: each is new."""

    now = 1_000

    @classmethod
    def tick(cls) -> int:
        cls.now += 1
        return cls.now


class Item:
    """An inode: a file, a folder with its entries, a link, or something special."""

    def __init__(
        self, kind: Kind, content: bytes = b"", *, target: str = "", mode: int | None = None, mtime: int = 500
    ) -> None:
        self.kind = kind
        self.content = content
        self.target = target
        self.mode = mode if mode is not None else 0o755 if kind is Kind.DIR else 0o777 if kind is Kind.LINK else 0o644
        self.mtime = mtime
        self.attrs = 0
        self.nlink = 1
        self.ino = self.ctime = Clock.tick()
        self.children: dict[str, Item] = {}

    @property
    def facts(self) -> Facts:
        size = len(self.target) if self.kind is Kind.LINK else len(self.content)
        mode = _FORMATS[self.kind] | self.mode
        return Facts(mode, self.nlink, 1000, 1000, self.attrs, self.ino, size, self.mtime, self.ctime, self.ino)

    def add(self, name: str, item: Item) -> Item:
        """Give an inode a name here."""
        assert name not in self.children, f"{name!r} is taken"
        assert self.kind is Kind.DIR
        self.children[name] = item
        self.ctime = self.mtime = Clock.tick()
        return item

    def take(self, name: str) -> Item:
        """Take a name away."""
        self.ctime = self.mtime = Clock.tick()
        return self.children.pop(name)

    def below(self) -> Iterator[tuple[str, Item]]:
        """Everything in a folder, depth first and in byte order."""
        todo = [("", self)]
        while todo:
            path, item = todo.pop()
            if path:
                yield path, item
            if item.kind is Kind.DIR and not (path and item.attrs & MOUNT_ROOT):
                names = sorted(item.children, key=lambda name: name.encode("utf-8", "surrogateescape"), reverse=True)
                todo += [(f"{path}/{name}" if path else name, item.children[name]) for name in names]

    def holds(self, other: Item) -> bool:
        """Whether another is this one or lies in it."""
        return other is self or any(item is other for _, item in self.below())

    def __repr__(self) -> str:
        return f"<{self.kind.value} {self.ino}>"


def folder(**children: Item) -> Item:
    """A folder with these entries."""
    made = Item(Kind.DIR)
    for name, item in children.items():
        made.add(name, item)
    return made


def file(content: bytes | str = b"x", **more: int) -> Item:
    """A file with this content."""
    return Item(Kind.FILE, content.encode() if isinstance(content, str) else content, **more)


def link(target: str) -> Item:
    """A symbolic link."""
    return Item(Kind.LINK, target=target)


class Memory:
    """`model.tree.Tree` and `model.simulate.World` at once, over items in memory."""

    def __init__(
        self,
        cases: Mapping[str, Capabilities] | Iterable[str] = (CASE,),
        volumes: Mapping[str, str] | None = None,
        reserved: Iterable[str] = (),
    ) -> None:
        self.cases = dict(cases) if isinstance(cases, Mapping) else {case: Capabilities() for case in cases}
        self.volumes = dict(volumes or dict.fromkeys(self.cases, ""))
        self.reserved = frozenset(reserved)
        self.root = folder(**{case: folder() for case in self.cases})
        self.vaults: dict[tuple[str, str], Item] = {}
        self.blobs: dict[str, bytes] = {}
        self.obstacles: dict[str, tuple[str, str]] = {}
        self.unreadable: set[str] = set()
        self.room = (1 << 60, 1 << 60)
        self.looked: list[str] = []  # folders that were listed

    # -- building

    def put(self, path: str, item: Item | None = None) -> Item:
        """An entry at a path of the first case, with the folders above it; a folder if no item is given."""
        above = self.root.children[next(iter(self.cases))]
        *folders, name = path.split("/")
        for part in folders:
            above = above.children[part] if part in above.children else above.add(part, Item(Kind.DIR))
        return above.add(name, item or Item(Kind.DIR))

    def blob(self, content: bytes) -> str:
        """Store a blob; its hash."""
        sha256 = hashlib.sha256(content).hexdigest()
        self.blobs[sha256] = content
        return sha256

    # -- the world

    @property
    def tree(self) -> Memory:
        return self

    def kept(self, run: str, entry: int) -> Kept | None:
        for (volume, of), area in self.vaults.items():
            if of == run and str(entry) in area.children:
                case = next(case for case, on in self.volumes.items() if on == volume)
                return Kept(pack(area.children[str(entry)].facts), volume, case)
        return None

    def blob_size(self, sha256: str) -> int | None:
        return len(self.blobs[sha256]) if sha256 in self.blobs else None

    # -- the tree

    def at(self, path: str) -> Item:
        """The item at a path from `projects/`, or at `/vault:VOLUME:RUN/...`."""
        if path.startswith("/"):
            key, _, rest = path[1:].partition("/")
            _, volume, run = key.split(":")
            item = self.vaults[volume, run]
        else:
            item, rest = self.root, path
        for part in filter(None, rest.split("/")):
            if item.kind is not Kind.DIR:
                raise NotADirectoryError(path)
            if part not in item.children:
                raise FileNotFoundError(path)
            item = item.children[part]
        return item

    def names(self, folder: str) -> dict[str, Kind]:
        if folder in self.unreadable:
            raise PermissionError(13, "Permission denied", folder)
        self.looked.append(folder)
        item = self.at(folder)
        if item.kind is not Kind.DIR:
            raise NotADirectoryError(folder)
        return {name: child.kind for name, child in item.children.items()}

    def facts(self, folder: str, name: str) -> bytes | None:
        child = self.at(folder).children.get(name)
        return None if child is None else pack(child.facts)

    def target(self, path: str) -> str:
        return self.at(path).target

    def sha256(self, path: str) -> str:
        return hashlib.sha256(self.at(path).content).hexdigest()

    def totals(self, path: str) -> Totals:
        if path in self.unreadable:
            raise PermissionError(13, "Permission denied", path)
        inside = list(self.at(path).below())
        files = [item for _, item in inside if item.kind in (Kind.FILE, Kind.LINK)]
        digest = hashlib.sha256(
            repr([(name, item.facts) for name, item in inside]).encode("utf-8", "surrogateescape")
        )
        return Totals(
            files=len(files),
            folders=sum(item.kind is Kind.DIR for _, item in inside),
            size=sum(len(item.content) for item in files),
            mounts=tuple(name for name, item in inside if item.attrs & MOUNT_ROOT),
            specials=tuple(name for name, item in inside if item.kind is Kind.OTHER),
            multilinks=sum(item.kind is Kind.FILE and item.nlink > 1 for item in files),
            digest=digest.digest(),
        )

    def walk(self, path: str) -> Iterator[tuple[str, Kind]]:
        for name, item in self.at(path).below():
            yield name, item.kind

    def obstacle(self, folder: str, name: str = "") -> tuple[str, str] | None:
        return self.obstacles.get(f"{folder}/{name}" if name else folder)

    def free(self, folder: str) -> tuple[int, int]:
        return self.room

    # -- comparing

    def picture(self, vault: str | None = None) -> dict[str, tuple[object, ...]]:
        """Every entry by path: identity and all that can be seen of it. Folders' times are not: they follow."""
        top = self.root if vault is None else self.vaults.get(("", vault), folder())
        return {path: seen(item) for path, item in top.below()}


def seen(item: Item) -> tuple[object, ...]:
    """What of an item counts when two trees are compared."""
    mtime = None if item.kind is Kind.DIR else item.mtime
    return item.ino, item.kind, item.mode, item.content, item.target, mtime


class Run:
    """Carries a step table out on the items, as literally as can be; any surprise is an assertion."""

    def __init__(self, memory: Memory, run: str) -> None:
        self.memory = memory
        self.run = run
        self.places: dict[int, Item] = {}
        self.areas: dict[bytes, Item] = {}
        self.built: dict[int, Item] = {}
        self.rows: list[table.Row] = []

    def carry_out(self, rows: Iterable[table.Row]) -> Run:
        """Do everything the rows say, in the order in which they come."""
        self.rows = list(rows)
        header = self.rows[0]
        assert isinstance(header, table.Header)
        self._counted(header)
        self._pre_pass()
        for row in self.rows:
            if isinstance(row, table.Staged):
                self._build(row)
        steps = [row for row in self.rows if isinstance(row, table.Step)]
        for step in steps:
            (self._rename if step.kind == table.RENAME else self._exchange)(step)
        for row in self.rows:
            if isinstance(row, table.Setting):
                self._set(row)
        for key, area in self.areas.items():
            if key.startswith((b"new:", b"park:")):
                assert not area.children, f"{key!r} still holds {area.children}"
        return self

    @property
    def steps(self) -> list[table.Step]:
        return [row for row in self.rows if isinstance(row, table.Step)]

    def _counted(self, header: table.Header) -> None:
        kinds = (table.Place, table.Check, table.Staged, table.Step, table.Setting)
        counts = [sum(isinstance(row, kind) for row in self.rows) for kind in kinds]
        assert counts == [header.places, header.checks, header.staged, header.steps, header.settings]
        order = [kinds.index(type(row)) for row in self.rows[1:]]
        assert order == sorted(order), "the rows stand in the order of model.table"
        assert header.cases == sorted(header.cases)

    def _pre_pass(self) -> None:
        """What must hold before the first step, looked at before anything is built."""
        staged = {row.number for row in self.rows if isinstance(row, table.Staged)}
        first: set[int] = set()
        vacated: set[tuple[int, bytes]] = set()
        for row in self.rows:
            if isinstance(row, table.Place):
                self._place(row, staged)
            elif isinstance(row, table.Check):
                item = self.places[row.place].children[_name(row.name)]
                assert same(row.facts, item.facts, Level(row.level))
            elif isinstance(row, table.Step):
                self._first_look(row, first, staged, vacated)

    def _first_look(
        self, row: table.Step, first: set[int], staged: set[int], vacated: set[tuple[int, bytes]]
    ) -> None:
        ends = [(row.entry, row.facts, row.level, row.src, row.src_name)]
        if row.kind == table.EXCHANGE:
            ends.append((row.other, row.other_facts, row.other_level, row.dst, row.dst_name))
        for entry, facts, level, place, name in ends:
            assert bool(facts) == (entry not in staged)
            if entry in staged or entry in first:
                assert level == Level.NONE
            else:
                item = self.places[place].children[_name(name)]
                assert level > Level.NONE
                assert same(facts, item.facts, Level(level))
            first.add(entry)
        if row.free:
            assert _name(row.dst_name) not in self.places[row.dst].children
        vacated.add((row.src, row.src_name))

    def _place(self, row: table.Place, staged: set[int]) -> None:
        if row.number in staged:
            return
        if row.parent == table.ROOT:
            self.places[row.number] = self._root(row.name)
            return
        assert row.parent in self.places, "a parent comes before what is in it"
        item = self.places[row.parent].children[_name(row.name)]
        assert row.facts
        assert same(row.facts, item.facts, Level.IDENTITY)
        self.places[row.number] = item

    def _root(self, key: bytes) -> Item:
        kind, _, rest = key.decode("utf-8", "surrogateescape").partition(":")
        if kind == "case":
            return self.memory.root.children[rest]
        if kind == "vault":
            volume, _, run = rest.partition(":")
            return self.memory.vaults.setdefault((volume, run or self.run), folder())
        return self.areas.setdefault(key, folder())

    def _build(self, row: table.Staged) -> None:
        parent = self.places[row.parent]
        assert row.into in self.places or row.into in self.built or any(
            isinstance(other, table.Staged) and other.number == row.into for other in self.rows
        )  # fmt: skip
        item = Item(Kind(row.kind), target=_name(row.target))
        if row.kind == "file":
            self._fill(item, row)
        if row.mode is not None:
            item.mode = row.mode
        if row.mtime is not None:
            item.mtime = row.mtime
        parent.add(_name(row.name), item)
        self.places[row.number] = self.built[row.number] = item

    def _fill(self, item: Item, row: table.Staged) -> None:
        assert bool(row.blob) != (row.source is not None)
        if row.source is not None:
            source = self.places[row.source[0]].children[_name(row.source[1])]
            assert same(row.source_facts, source.facts, Level.EXACT)
            item.content, item.mode, item.mtime = source.content, source.mode, source.mtime
        else:
            item.content = self.memory.blobs[row.blob]
        if row.like is not None:
            item.mode = self.places[row.like[0]].children[_name(row.like[1])].mode

    def _is(self, entry: int, facts: bytes, item: Item) -> None:
        if facts:
            assert unpack(facts).ino == item.ino
        else:
            assert self.built[entry] is item

    def _rename(self, row: table.Step) -> None:
        item = self.places[row.src].take(_name(row.src_name))
        self._is(row.entry, row.facts, item)
        assert row.is_dir == (item.kind is Kind.DIR)
        assert not item.holds(self.places[row.dst]), "a folder cannot go into itself"
        self.places[row.dst].add(_name(row.dst_name), item)

    def _exchange(self, row: table.Step) -> None:
        src, dst = self.places[row.src], self.places[row.dst]
        item, other = src.take(_name(row.src_name)), dst.take(_name(row.dst_name))
        self._is(row.entry, row.facts, item)
        self._is(row.other, row.other_facts, other)
        assert row.is_dir == (item.kind is Kind.DIR)
        assert row.other_is_dir == (other.kind is Kind.DIR)
        assert not item.holds(dst)
        assert not other.holds(src)
        dst.add(_name(row.dst_name), item)
        src.add(_name(row.src_name), other)

    def _set(self, row: table.Setting) -> None:
        item = self.places[row.place].children[_name(row.name)]
        assert unpack(row.facts).ino == item.ino
        item.mode = item.mode if row.mode is None else row.mode
        item.mtime = item.mtime if row.mtime is None else row.mtime


def _name(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


assert IMMUTABLE  # the two marks that a test may set on an item's attrs
assert APPEND
