"""A plan with every operation, sealed and compiled as it is for a user: what the crash sweeps carry out."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from tables import TIME, Site

from treegate.engine import tablefile
from treegate.engine.scan import totals_of
from treegate.engine.world import WorldTree
from treegate.model.acts import simulate
from treegate.model.capabilities import Capabilities
from treegate.model.plan import Plan
from treegate.model.policy import Limits, Policy
from treegate.model.seal import About, seal
from treegate.model.simulate import Kept

OLD = "run_old"
WHEN = "2024-03-01T09:00:00.000000001Z"
FREE = Policy(limits=Limits(deletes=1000, delete_share=1, replacements=1000), weak_mounts="allow")

FILES = (
    *("a.txt", "b.txt", "c.txt", "c1", "c2", "c3", "n1", "n2", "old.txt", "older.txt", "newer.txt", "gone.txt"),
    *("gonedir/x", "gonedir/deep/y", "out/file", "out/in/leaf", "folder/one", "folder/two/three", "run.sh"),
    *("copyme", "copydir/p", "copydir/q/r", "Scans/1.pdf", "Scans/2.pdf", "Scans/draft.pdf", "todo.txt", "h1"),
)

OPERATIONS = [
    {"op": "mkdir", "path": "Pleadings"},
    {"op": "move", "from": "a.txt", "to": "Pleadings/moved.txt"},
    {"op": "move", "match": "Scans/*.pdf", "except": ["Scans/draft*"], "count": 2, "to": "Post/{n:02} {name}"},
    {"op": "rename", "path": "todo.txt", "name": "open-points.txt"},
    {"op": "rename", "path": "caf%E9.txt", "name": "caf%C3%A9.txt", "raw": True},
    # a swap
    {"op": "move", "from": "b.txt", "to": "b.aside"},
    {"op": "move", "from": "c.txt", "to": "b.txt"},
    {"op": "move", "from": "b.aside", "to": "c.txt"},
    # a cycle of three
    {"op": "move", "from": "c1", "to": "c.aside"},
    {"op": "move", "from": "c3", "to": "c1"},
    {"op": "move", "from": "c2", "to": "c3"},
    {"op": "move", "from": "c.aside", "to": "c2"},
    # a chain
    {"op": "move", "from": "n2", "to": "n3"},
    {"op": "move", "from": "n1", "to": "n2"},
    # a folder inversion, with an entry that moves within it
    {"op": "move", "from": "out/in", "to": "in"},
    {"op": "move", "from": "out", "to": "in/out"},
    {"op": "rename", "path": "in/out/file", "name": "renamed"},
    # a folder moved whole, and one entry taken out of it
    {"op": "move", "from": "folder", "to": "Pleadings/"},
    {"op": "move", "from": "Pleadings/folder/two/three", "to": "three"},
    {"op": "copy", "from": "copyme", "to": "copied"},
    {"op": "copy", "from": "copydir", "to": "Binder"},
    {"op": "create", "path": "INDEX.md", "content": "# Index\n", "mode": "0640", "mtime": WHEN},
    {"op": "create", "path": "Pleadings/inside.txt", "content": "built inside\n", "mtime": WHEN},
    {"op": "replace", "path": "old.txt", "content": "the successor\n", "mtime": WHEN},
    {"op": "move", "from": "newer.txt", "to": "older.txt", "if_exists": "replace"},
    {"op": "delete", "path": "gone.txt"},
    {"op": "delete", "path": "gonedir", "recursive": True},
    {"op": "symlink", "path": "latest", "target": "Pleadings"},
    {"op": "move", "from": "alias", "to": "Pleadings/alias"},
    {"op": "set", "path": "run.sh", "mode": "0755", "mtime": WHEN},
    {"op": "set", "path": "n2", "mtime": WHEN},
    {"op": "restore", "run": OLD, "entry": 3, "to": "back.txt"},
    {"op": "restore", "run": OLD, "entry": 4, "to": "backdir"},
    {"op": "move", "from": "h1", "to": "h3"},
    {"op": "move", "from": "h2", "to": "h1"},
]


class _World:
    """`model.simulate.World` over one case and the vault of an older run."""

    def __init__(self, site: Site) -> None:
        self.cases: Mapping[str, Capabilities] = {"Case": site.caps}
        self.volumes: Mapping[str, str] = {"Case": ""}
        self.reserved: frozenset[str] = frozenset()
        old = site.areas / "vault" / OLD / "entries"
        self.tree = WorldTree(site.case.parent, None, frozenset(), lambda key: old, self.cases)

    def kept(self, run: str, entry: int) -> Kept | None:
        facts = self.tree.facts(f"/vault::{run}", str(entry))
        return None if facts is None else Kept(facts, "", "Case")

    def blob_size(self, sha256: str) -> int | None:
        return None


class Planned(Site):
    """A site whose table comes from a plan."""

    totals = staticmethod(totals_of)

    def grow(self) -> None:
        """The tree before."""
        old = self.areas / "vault" / OLD / "entries"
        (old / "4").mkdir(parents=True)
        _written(old / "3", "kept by an older run\n")
        _written(old / "4/inner", "kept in a folder\n")
        self.roots[f"vault::{OLD}".encode()] = old
        for path in FILES:
            self.file(path)
        _written(self.case / os.fsdecode(b"caf\xe9.txt"), "not UTF-8\n")
        os.link(self.case / "h1", self.case / "h2")
        os.symlink("a.txt", self.case / "alias")

    def seal_plan(self, operations: list[dict]) -> None:
        """The table of a plan, as a preview leaves it."""
        plan = Plan.decode(json.dumps({"version": 1, "title": "all", "case": "Case", "operations": operations}))
        world = _World(self)
        try:
            sealed = seal(simulate(plan, world), FREE, About("ws"))
            assert sealed.rows is not None, sealed.preview.problems
            self.digest = tablefile.write(self.state / "previews/table", sealed.rows, sync=False)
        finally:
            world.tree.close()
        for digest, data in plan.contents():
            (self.state / "blobs" / digest).write_bytes(data)


def _written(path: Path, text: str) -> None:
    path.write_text(text)
    os.utime(path, ns=(TIME, TIME))


class Linked(Planned):
    """The same on a mount that knows no flags of renames, but second names: a rename is made of two calls."""

    caps = Capabilities(noreplace=False, exchange=False)


class Bucket(Planned):
    """The same on a folder that is taken for a bucket mount, with nothing that one does not have."""

    caps = Capabilities(
        filesystem="fuse.bucket",
        noreplace=False,
        exchange=False,
        hard_links=False,
        directory_rename=False,
        durable_fsync=False,
        stable_inodes=False,
        birth_times=False,
    )
    totals = staticmethod(partial(totals_of, exact=False))


def every_operation(folder: Path, kind: type[Planned] = Planned) -> Planned:
    """A plan with every operation, a swap, a cycle of three, a folder inversion and a folder move."""
    site = kind(folder)
    site.grow()
    site.seal_plan(OPERATIONS)
    return site
