"""Stories told to the end: a script's program run in a view, captured, approved, applied, and the trees compared."""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from mutations import Program, Scene, Seen, Story, shorter, snapshot, story

from treegate.engine.sandbox import mounting, userspace, view
from treegate.engine.sandbox.copy import PrivateCopy
from treegate.engine.sandbox.difference import Difference
from treegate.engine.sandbox.document import Writer
from treegate.engine.sandbox.order import SANDBOX_USER, Case, Limits
from treegate.engine.sandbox.overlay import OverlayCapture
from treegate.engine.sandbox.recognition import CopyCapture
from treegate.gate import Gate

_COARSE = 5  # CLOCK_REALTIME_COARSE, which dates changes
CASE = "Smith"
_SOON = 2_000  # runs after which a workspace is left for a new one
_MANY = ("deletes", "files", "replacements", "per_day_deletes", "per_day_replacements")
NO_LIMITS = {
    **{f"TREEGATE_POLICY_LIMITS_{name.upper()}": "1000000" for name in _MANY},
    **{f"TREEGATE_POLICY_LIMITS_{name}": "100 GiB" for name in ("DELETE_BYTES", "PER_DAY_DELETE_BYTES")},
    "TREEGATE_POLICY_LIMITS_DELETE_SHARE": "1",
}


class Outcome(NamedTuple):
    """How a story ended; `text` is "" where it ended well."""

    text: str
    operations: int = 0


class Stage:
    """A workspace in whose one case one story after the other is told; `way` is a view's kind."""

    def __init__(self, folder: Path, way: str) -> None:
        self.folder, self.way = folder, way
        self.room = folder / "room"  # where views are made
        self.room.mkdir()
        if os.geteuid():
            userspace.enter(str(self.room), Limits())
        self._number = 0
        self._gate = self._new_gate()

    def _new_gate(self) -> Gate:
        self.root = self.folder / f"office{self._number}"
        state = self.folder / f"state{self._number}"
        (self.root / "projects" / CASE).mkdir(parents=True)
        environ = {"TREEGATE_STATE": str(state), "PATH": os.environ["PATH"], **NO_LIMITS}
        return Gate.init(self.root, solo=True, environ=environ)

    def close(self) -> None:
        self._gate.close()
        if os.geteuid():
            mounting.unmount(str(self.room))

    def tell(self, told: Story) -> Outcome:
        """Tells a story; what went wrong, in words."""
        self._number += 1
        if self._number % _SOON == 0:
            self._gate.close()
            shutil.rmtree(self.root)
            self._gate = self._new_gate()
        case = Case(name=CASE, folder=str(self.root / "projects" / CASE))
        clear(case.folder)
        try:
            return self._tell(told, case)
        except Exception:
            return Outcome(traceback.format_exc())

    def _tell(self, told: Story, case: Case) -> Outcome:
        run(told.before, case.folder)
        before = snapshot(case.folder)
        wanted, document, changed = self._captured(told.script, case)
        if snapshot(case.folder) != before:
            return Outcome("the case itself was changed")
        if changed:
            return Outcome(f"told to be changed by others: {changed}")
        if document is None:
            return Outcome(differences(wanted, before))
        done = self._gate.submit(document)
        if done.state != "pending":
            return Outcome(f"the plan is {done.state}: {self._gate.check(document).problems}\n{document.decode()}")
        self._gate.approve(done.id, done.digest)
        self._gate.apply(done.id)
        text = differences(wanted, snapshot(case.folder))
        return Outcome(text and f"{text}\n{document.decode()}", document.count(b'"op":'))

    def _captured(self, script: Program, case: Case) -> tuple[Seen, bytes | None, tuple[str, ...]]:
        area = self.room / "area"
        with ExitStack() as held:
            area.mkdir()
            held.callback(shutil.rmtree, area)
            viewed = {"overlay": overlaid, "copy": copied}[self.way]
            seen, found = held.enter_context(viewed(case, area, script, self._gate))
            wanted = snapshot(seen)
            writer = Writer(case.name, str(area))
            writer.take(found())
            captured = writer.write(str(area / "plan.json"), "a script", "")
            document = (area / "plan.json").read_bytes() if captured.operations else None
            return wanted, document, captured.changed


@contextmanager
def overlaid(case: Case, area: Path, script: Program, gate: Gate) -> Iterator[tuple[str, object]]:
    """A case through an overlay."""
    below = area / "below"
    below.mkdir()
    time.sleep(0.008)
    since = time.clock_gettime_ns(_COARSE)
    layers, owner = view.overlays([case], str(area), str(below))
    layer = layers[0]
    try:
        run(script, layer.seen, tuple(owner))

        def found() -> Iterator[Difference]:
            capture = OverlayCapture(layer, gate.core.blobs, since)
            try:
                yield from capture
            finally:
                capture.close()

        yield layer.seen, found
    finally:
        mounting.unmount(layer.seen, lazily=True)
        mounting.unmount(layer.lower, lazily=True)


@contextmanager
def copied(case: Case, area: Path, script: Program, gate: Gate) -> Iterator[tuple[str, object]]:
    """A case as a private copy."""
    owner = (SANDBOX_USER, SANDBOX_USER) if os.geteuid() == 0 else None
    with PrivateCopy([case], str(area), 1 << 30, owner=owner) as copy:
        run(script, copy.folder(case), owner)
        yield copy.folder(case), lambda: CopyCapture(copy, gate.core.blobs)


def clear(folder: str) -> None:
    """Takes away all that a folder holds."""
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)


def run(program: Program, folder: str, owner: tuple[int, ...] | None = None) -> None:
    """Carries a program out in a folder, in a process of its own, as somebody."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.chdir(folder)
            if owner is not None:
                os.setgroups([])
                os.setgid(owner[1])
                os.setuid(owner[0])
            Scene().run(program)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise AssertionError("the program broke off")


def differences(wanted: Seen, found: Seen) -> str:
    """What of a tree is not as it should be."""
    lines = [
        f"{path!r}: should be {_short(wanted.get(path))}, is {_short(found.get(path))}"
        for path in sorted(wanted.keys() | found.keys())
        if wanted.get(path) != found.get(path)
    ]
    return "\n".join(lines)


def _short(seen: tuple[object, ...] | None) -> str:
    return "nothing" if seen is None else repr(tuple(one[:30] if isinstance(one, bytes) else one for one in seen))


def failure_of(stage: Stage, seed: int) -> str:
    """Tells the story of a seed; where it ends badly, the shortest story that does, and how."""
    told = story(seed)
    if not stage.tell(told).text:
        return ""
    least = shorter(told, lambda one: bool(stage.tell(one).text))
    return f"seed {seed}, {stage.way}: {least}\n{stage.tell(least).text}"


def main() -> None:
    """`sequences.py WAY FIRST COUNT FOLDER`: tells so many stories, and prints those that end badly."""
    way, first, count, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    if os.geteuid() == 0:
        mounting.unshare(mounting.NEW_MOUNTS)
        mounting.make_private()
    folder.mkdir()
    stage = Stage(folder, way)
    bad, began, steps = 0, time.monotonic(), 0
    for seed in range(first, first + count):
        steps += len(story(seed).script)
        text = failure_of(stage, seed)
        if text:
            bad += 1
            print(text, flush=True)
        if bad >= 5:
            break
    stage.close()
    shutil.rmtree(folder)
    print(f"{way}: {seed - first + 1} sequences, {steps} steps, {bad} bad, {time.monotonic() - began:.0f} s")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
