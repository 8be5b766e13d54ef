"""Stories told through engines: many cases in one sandbox, each with a story of its own; then one plan for all.

    python batches.py ENGINE VIEW FIRST COUNT FOLDER [IMAGE]

What became of the views is looked at from outside, by the runner's own mounts, before it lets them go.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from mutations import Seen, Story, story
from sequences import NO_LIMITS, differences, run, trees

from treegate.engine import syscalls
from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import Captured, Case, Exited, Limits, Order
from treegate.gate import Gate

AT_ONCE = 40  # cases in one sandbox
_LIMITS = Limits(seconds=300, written=256 << 20, entries=100_000, copied=512 << 20, memory=1 << 30)

# Each story by a process of its own, as sequences.py has them: a story may leave its working folder anywhere.
_TELL = """
import json, os, sys
sys.path.insert(0, "/tools")
from mutations import Scene
for case, program in json.load(open("/tools/stories.json")).items():
    pid = os.fork()
    if pid == 0:
        os.chdir(f"/cases/{case}")
        Scene().run(program)
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        sys.exit(f"the story of {case} broke off")
"""


class Troupe:
    """A workspace whose cases are sent into sandboxes together."""

    def __init__(self, folder: Path, engine: str, view: str, image: str = "") -> None:
        self._folder, self._number = folder, 0
        self._given: dict[str, Any] = {"engine": engine, "view": view, "image": image, "limits": _LIMITS}
        self._root = folder / "office"
        self._cases = [Case(name=f"c{n:02}", folder=str(self._root / f"projects/c{n:02}")) for n in range(AT_ONCE)]
        self._tools = _tools(folder / "tools")
        for case in self._cases:
            os.makedirs(case.folder)
        environ = {"TREEGATE_STATE": str(folder / "state"), "PATH": os.environ["PATH"], **NO_LIMITS}
        self.gate = Gate.init(self._root, solo=True, environ=environ)

    def tell(self, stories: list[Story]) -> str:
        """Tells as many stories as there are cases; what went wrong, in words."""
        for case, told in zip(self._cases, stories, strict=True):
            shutil.rmtree(case.folder)
            os.mkdir(case.folder)
            run(told.before, case.folder)
        programs = {case.name: told.script for case, told in zip(self._cases, stories, strict=True)}
        (self._tools / "stories.json").write_text(json.dumps(programs))
        before = trees((case.name, case.folder) for case in self._cases)
        wanted, captured, document = self._ran()
        if captured.changed:
            return f"told to be changed by others: {captured.changed}"
        if captured.operations:
            done = self.gate.submit(document)
            if done.state != "pending":
                return f"the plan is {done.state}: {done.problems[:5]}"
            self.gate.approve(done.id, done.digest)
            self.gate.apply(done.id)
        now = trees((case.name, case.folder) for case in self._cases)
        return differences(wanted if captured.operations else before, now)

    def _ran(self) -> tuple[Seen, Captured, bytes]:
        self._number += 1
        document = self._folder / "plan.json"
        order = Order(
            id=f"sb_{self._number}",
            command=("python3", "/tools/tell.py"),
            cases=tuple(self._cases),
            scratch=str(self._folder / f"state/sandboxes/sb_{self._number}/scratch"),
            blobs=str(self._folder / "state/blobs"),
            document=str(document),
            tools=str(self._tools),
            **self._given,
        )
        with session.start(order) as under_way:
            frames = list(under_way)
            captured = frames[-1]
            assert isinstance(captured, Captured), frames
            assert next(one for one in frames if isinstance(one, Exited)).status == 0, frames
            top = f"/proc/{under_way.runner}/root{order.scratch}"
            seen = [f"{top}/seen/{n}" if order.view == "overlay" else f"{top}/fs/copies/{case.name}"
                    for n, case in enumerate(self._cases)]  # fmt: skip
            wanted = trees((case.name, folder) for case, folder in zip(self._cases, seen, strict=True))
        return wanted, captured, document.read_bytes() if captured.operations else b""


def _tools(folder: Path) -> Path:
    """What a sandbox needs to tell stories: `mutations`, and of treegate the one module that it takes calls from."""
    (folder / "treegate/engine").mkdir(parents=True)
    for package in ("treegate", "treegate/engine"):
        (folder / package / "__init__.py").touch()
    shutil.copy(syscalls.__file__, folder / "treegate/engine/syscalls.py")
    shutil.copy(Path(__file__).with_name("mutations.py"), folder)
    (folder / "tell.py").write_text(_TELL)
    return folder


def main() -> None:
    """Tells so many stories, and prints in which batches something went wrong."""
    engine, view, first, count, folder = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
    troupe = Troupe(Path(folder), engine, view, *sys.argv[6:7])
    began, bad = time.monotonic(), 0
    for seed in range(first, first + count, AT_ONCE):
        text = troupe.tell([story(one)._replace(cases=1) for one in range(seed, seed + AT_ONCE)])
        if text:
            bad += 1
            print(f"seeds from {seed}, {engine}, {view}: {text}", flush=True)
    troupe.gate.close()
    told = -(-count // AT_ONCE) * AT_ONCE
    print(f"{engine}, {view}: {told} sequences, {bad} bad batches, {time.monotonic() - began:.0f} s")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
