"""`make bench`: the same moves by treegate and by what else people would use, taking turns; prints ratios.

    python bench/peers.py [--cases 20] [--files 1000] [--rounds 3] [--at DIR] [--on xfs]

Every way has a tree of its own, of the same shape, and moves each file from `Scans/` to `Sorted/` of its case; then
it takes that back, by whatever it has for that. Ratios are to the bare loop of the same round. None of the others
previews, checks, journals, or keeps what it replaces; git has the contents, and is the one with an undo of its own.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import disks
import office
from treegate.gate import Gate

Act = Callable[[bool], object]  # given whether it goes back


class Way(NamedTuple):
    """One way to move the files of a tree, there and back; `ready` is what comes before and is not counted."""

    name: str
    back: str  # what takes it back
    act: Act
    ready: Act = lambda back: None
    close: Callable[[], None] = lambda: None


def main() -> None:
    options = disks.options("treegate against mv, rsync and git", cases=20, rounds=3)
    with disks.room(options) as root:
        measure(root, options.cases, options.files, options.rounds)


def measure(root: Path, cases: int, files: int, rounds: int) -> None:
    ways = [make(root, cases, files) for make, tool in WAYS.items() if shutil.which(tool)]
    seen: dict[tuple[str, bool], list[float]] = {}
    for _ in range(rounds):
        for back in (False, True):
            for way in ways:
                way.ready(back)
                subprocess.run(["sync", "-f", str(root)], check=True)
                start = time.perf_counter()
                way.act(back)
                subprocess.run(["sync", "-f", str(root)], check=True)  # what is not on the disk is not done
                seen.setdefault((way.name, back), []).append(time.perf_counter() - start)
    for way in ways:
        way.close()
    report(ways, seen, cases * files)


def report(ways: list[Way], seen: dict[tuple[str, bool], list[float]], total: int) -> None:
    print(f"{total:,} moves; each figure ends with the disk written; medians, and ratios to the bare loop's round")
    for back, word in ((False, "there"), (True, "back")):
        print(f"  {word}")
        bare = seen[ways[0].name, back]
        for way in ways:
            own = seen[way.name, back]
            ratio = statistics.median(one / base for one, base in zip(own, bare, strict=True))
            name = way.back if back else way.name
            print(f"    {name:<52} {statistics.median(own):8.3f} s   {ratio:6.2f}x")


# --- the ways --------------------------------------------------------------------------------------------------


def bare_loop(root: Path, cases: int, files: int) -> Way:
    place = root / "bare"
    office.build(place, cases, files)
    return Way(
        "bare loop of os.rename", "bare loop, the other way", lambda back: office.bare_loop(place, cases, back=back)
    )


def treegate(root: Path, cases: int, files: int) -> Way:
    """Only what happens once a person has approved: apply, with receipt, rollback.sh and reports."""
    office.build(root / "ws/projects", cases, files)
    many = str(max(cases * files, 100_000))
    environ = {"TREEGATE_STATE": str(root / "state"), "TREEGATE_POLICY_LIMITS_OPERATIONS": many,
               "TREEGATE_POLICY_LIMITS_FILES": many}  # fmt: skip
    gate = Gate.init(root / "ws", solo=True, environ=environ)
    waiting: list[str] = []

    def ready(back: bool) -> None:
        done = gate.undo().submitted if back else gate.submit(office.moves(cases, files))
        gate.approve(done.id, done.digest)
        waiting.append(done.id)

    name = "treegate apply, receipt and reports written"
    return Way(name, "treegate undo, applied", lambda back: gate.apply(waiting.pop()), ready, gate.close)


def moved_by_mv(root: Path, cases: int, files: int) -> Way:
    return _by_command(root / "mv", cases, files, "xargs mv", "find {0} -type f -print0 | xargs -0 mv -t {1}")


def moved_by_rsync(root: Path, cases: int, files: int) -> Way:
    command = "rsync -a --remove-source-files {0}/ {1}/"
    return _by_command(root / "rsync", cases, files, "rsync --remove-source-files", command)


def _by_command(place: Path, cases: int, files: int, name: str, command: str) -> Way:
    office.build(place, cases, files)

    def act(back: bool) -> None:
        folders = ("Sorted", "Scans") if back else ("Scans", "Sorted")
        for case in sorted(place.iterdir()):
            subprocess.run(command.format(*folders), shell=True, cwd=case, check=True)

    return Way(name, f"{name}, the other way", act)


def versioned_by_git(root: Path, cases: int, files: int) -> Way:
    """The repository, with every content in it, is there before."""
    place = root / "git"
    office.build(place, cases, files)

    def git(*words: str) -> None:
        names = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0")
        subprocess.run(["git", *names, *words], cwd=place, check=True, capture_output=True)

    git("init")
    git("add", ".")
    git("commit", "-m", "before")

    def act(back: bool) -> None:
        if back:
            git("revert", "--no-edit", "HEAD")
            return
        for case in sorted(path for path in place.iterdir() if path.name != ".git"):
            (case / "Sorted").mkdir(exist_ok=True)
            git(
                "mv",
                *(f"{case.name}/Scans/{name.name}" for name in (case / "Scans").iterdir()),
                f"{case.name}/Sorted",
            )
        git("commit", "-m", "sorted")

    return Way("git mv, git commit", "git revert", act)


WAYS = {bare_loop: "sync", treegate: "sync", moved_by_mv: "xargs", moved_by_rsync: "rsync", versioned_by_git: "git"}

if __name__ == "__main__":
    main()
