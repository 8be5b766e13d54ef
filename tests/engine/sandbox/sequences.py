"""Stories told to the end: a script's program run in a view, captured, approved, applied, and the trees compared."""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from mutations import Program, Scene, Seen, Story, shorter, snapshot, story

from treegate.engine.sandbox import dating, mounting, userspace, view
from treegate.engine.sandbox.copy import PrivateCopy
from treegate.engine.sandbox.difference import Difference
from treegate.engine.sandbox.document import Writer
from treegate.engine.sandbox.order import SANDBOX_USER, Case, Limits
from treegate.engine.sandbox.overlay import OverlayCapture
from treegate.engine.sandbox.recognition import CopyCapture
from treegate.gate import Gate

CASES = ("Smith", "Jones")
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
    """A workspace in whose cases one story after the other is told; `way` is a view's kind."""

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
        self.cases = [Case(name=name, folder=str(self.root / "projects" / name)) for name in CASES]
        for case in self.cases:
            os.makedirs(case.folder)
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
        for case in self.cases:
            clear(case.folder)
        try:
            return self._tell(told, self.cases[: told.cases])
        except Exception:
            return Outcome(traceback.format_exc())

    def _tell(self, told: Story, cases: list[Case]) -> Outcome:
        for number, case in enumerate(cases):
            run(told.before[number :: len(cases)], case.folder)
        before = self._seen(cases)
        wanted, document, changed = self._captured(told, cases)
        if self._seen(cases) != before:
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
        text = differences(wanted, self._seen(cases))
        return Outcome(text and f"{text}\n{document.decode()}", document.count(b'"op":'))

    def _seen(self, cases: list[Case]) -> Seen:
        return trees((case.name, case.folder) for case in cases)

    def _captured(self, told: Story, cases: list[Case]) -> tuple[Seen, bytes | None, tuple[str, ...]]:
        area = self.room / "area"
        with ExitStack() as held:
            area.mkdir()
            held.callback(shutil.rmtree, area)
            viewed = {"overlay": overlaid, "copy": copied}[self.way]
            view = held.enter_context(viewed(cases, area, told, self._gate))
            wanted = trees(view.folders.items())
            writer = Writer(cases, str(area))
            for found in view.captures:
                writer.take(found)
            captured = writer.write(str(area / "plan.json"), "a script", "")
            document = (area / "plan.json").read_bytes() if captured.operations else None
            return wanted, document, captured.changed


class Viewed(NamedTuple):
    """Where each case is seen after the script ran, and what tells of each what became of it."""

    folders: dict[str, str]
    captures: Iterable[Iterable[Difference]]


@contextmanager
def overlaid(cases: list[Case], area: Path, told: Story, gate: Gate) -> Iterator[Viewed]:
    """Cases through overlays."""
    below = area / "below"
    below.mkdir()
    since = dating.after(time.time_ns())
    layers, owner = view.overlays(cases, str(area), str(below))
    # Where all files count as opened, whatever has the content of one is told as a copy of it.
    opened = [files(case.folder) if told.copies else frozenset[bytes]() for case in cases]
    captures = []
    try:
        folders = {layer.case.name: layer.seen for layer in layers}
        run_among(told.script, folders, area, tuple(owner))
        captures = [
            OverlayCapture(layer, gate.core.blobs, since, known) for layer, known in zip(layers, opened, strict=True)
        ]
        yield Viewed(folders, captures)
    finally:
        for capture in captures:
            capture.close()
        for layer in layers:
            mounting.unmount(layer.seen, lazily=True)
            mounting.unmount(layer.lower, lazily=True)


@contextmanager
def copied(cases: list[Case], area: Path, told: Story, gate: Gate) -> Iterator[Viewed]:
    """Cases as private copies."""
    owner = (SANDBOX_USER, SANDBOX_USER) if os.geteuid() == 0 else None
    into = area / "copies"
    into.mkdir()
    with PrivateCopy(cases, str(into), 1 << 30, owner=owner) as copy:
        folders = {case.name: copy.folder(case) for case in cases}
        run_among(told.script, folders, area, owner)
        yield Viewed(folders, [CopyCapture(copy, gate.core.blobs)])


def run_among(program: Program, folders: dict[str, str], area: Path, owner: tuple[int, ...] | None) -> None:
    """Carries a program out in the one case that is seen, or among several, as each would be in a sandbox."""
    if len(folders) == 1:
        return run(program, *folders.values(), owner)
    top = area / "cases"
    with ExitStack() as held:
        for name, folder in folders.items():
            (top / name).mkdir(parents=True)
            mounting.attach(mounting.clone(folder), str(top / name))
            held.callback(mounting.unmount, str(top / name), lazily=True)
        area.chmod(0o755)
        top.chmod(0o555)
        return run(program, str(top), owner)


def files(folder: str) -> frozenset[bytes]:
    """The paths of all files in a folder."""
    return frozenset(path for path, seen in snapshot(folder).items() if seen[0] == "file")


def trees(folders: Iterable[tuple[str, str]]) -> Seen:
    """What is in several folders, each under its name."""
    return {os.fsencode(name) + b"/" + path: seen for name, top in folders for path, seen in snapshot(top).items()}


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


# Stories that once ended badly: an edit in a folder that has its old time, something deleted in a folder that left a
# deleted one, files and links with several names of which one was made again.
REMEMBERED = (
    Story([("chain", 91, 496, 239), ("create", 717, 273, 532)], [("mapped", 718, 198, 151)]),
    Story(
        [("mkdir", 0, 0, 0), ("mkdir", 1, 1, 0), ("create", 2, 2, 1)],
        [("into", 1, 0, 0), ("delete", 0, 0, 0), ("empty", 0, 0, 0)],
    ),
    Story([("mkdir", 0, 0, 0), ("create", 1, 1, 1), ("create", 1, 2, 1)], [("unseen", 0, 1, 0)]),
    Story([("create", 243, 489, 342), ("link", 588, 699, 856)], [("again", 272, 162, 539)]),
    Story([("symlink", 878, 715, 597), ("link", 755, 272, 565)], [("again", 779, 439, 472)]),
    Story([("create", 753, 828, 685), ("link", 36, 595, 697)], [("utime", 326, 929, 389)]),
)


def failure_of(stage: Stage, told: Story, seed: int | str) -> str:
    """Tells a story; where it ends badly, the shortest story that does, and how."""
    if os.geteuid() and told.cases > 1:
        told = told._replace(cases=1)  # to show several takes mounts
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
    began, done, steps = time.monotonic(), 0, 0
    bad = [failure_of(stage, told, "remembered") for told in REMEMBERED]
    for seed in range(first, first + count):
        told = story(seed)
        bad.append(failure_of(stage, told, seed))
        done, steps = done + 1, steps + len(told.script)
        if bad[-1]:
            print(bad[-1], flush=True)
        if sum(map(bool, bad)) >= 5:
            break
        if done % 500 == 0:
            print(f"{done} sequences", flush=True)
    stage.close()
    shutil.rmtree(folder)
    failed = sum(map(bool, bad))
    print(*bad[: len(REMEMBERED)] if failed else "", sep="\n")
    print(f"{way}: {done} sequences, {steps} steps, {failed} bad, {time.monotonic() - began:.0f} s")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
