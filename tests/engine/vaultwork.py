"""A workspace with one case, one applied run in it, and pictures of the tree to compare."""

import json
import os
import subprocess

from treegate.gate import Gate

OPERATIONS = [
    {"op": "move", "from": "a.txt", "to": "Sorted/a.txt"},
    {"op": "move", "from": "b.txt", "to": "t"},
    {"op": "move", "from": "c.txt", "to": "b.txt"},
    {"op": "move", "from": "t", "to": "c.txt"},
    {"op": "rename", "path": "folder", "name": "renamed"},
    {"op": "rename", "path": "caf%E9", "name": "cafe", "raw": True},
    {"op": "delete", "path": "gone.txt"},
    {"op": "delete", "path": "tree", "recursive": True},
    {"op": "delete", "path": "line%0Abreak%FF", "raw": True},
    {"op": "replace", "path": "old.txt", "content": "new"},
    {"op": "create", "path": "index.md", "content": "# Index"},
    {"op": "copy", "from": "keep.txt", "to": "Sorted/copy.txt"},
    {"op": "symlink", "path": "latest", "target": "Sorted"},
    {"op": "set", "path": "keep.txt", "mode": "0600"},
]


class Office:
    """A workspace with one case, and one applied run in it."""

    def __init__(self, folder):
        self.case = folder / "ws/projects/Case"
        (self.case / "tree/deep").mkdir(parents=True)
        (self.case / "folder").mkdir()
        files = (
            "a.txt",
            "b.txt",
            "c.txt",
            "gone.txt",
            "old.txt",
            "keep.txt",
            "tree/x",
            "tree/deep/y",
            "folder/inside",
        )
        for name in files:
            (self.case / name).write_text(f"content of {name}")
        for name in (b"caf\xe9", b"line\nbreak\xff"):
            with open(os.fsencode(self.case) + b"/" + name, "wb") as file:
                file.write(name)
        self.gate = Gate.init(folder / "ws", solo=True, environ={"TREEGATE_STATE": str(folder / "state")})
        self.workspace = self.gate.core.workspace

    def apply(self, operations=OPERATIONS, **head):
        plan = {"version": 1, "operations": operations, **(head or {"case": "Case"})}
        self.plan = self.gate.submit(json.dumps(plan))
        assert not self.plan.problems
        self.gate.approve(self.plan.id, self.plan.digest)
        self.run = self.gate.apply(self.plan.id).run
        self.vault = self.workspace.vault("", self.run)
        return self

    def picture(self):
        found = {}
        for folder, folders, files in os.walk(os.fsencode(self.case)):
            for name in folders + files:
                path = os.path.join(folder, name)
                now = os.lstat(path)
                content = None
                if os.path.islink(path):
                    content = os.readlink(path)
                elif name in files:
                    with open(path, "rb") as file:
                        content = file.read()
                mtime = None if name in folders else now.st_mtime_ns
                found[os.path.relpath(path, os.fsencode(self.case))] = (now.st_mode, mtime, content)
        return found

    def script(self, shell="dash"):
        return subprocess.run([*shell.split(), str(self.vault / "rollback.sh")], capture_output=True, text=True)
