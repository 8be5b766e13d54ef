"""`make bench`: commands in sandboxes: how soon they begin beside bare ones, and what it takes to tell what they did.

    python bench/sandbox.py [--rounds 15] [--files 100000] [--renames 10000] [--folder 100000] [--create 100000]
                            [--image treegate-mutator:latest] [--only begin|docker|capture|create] [--at DIR]

Bare commands and those in sandboxes alternate. A sandbox's runner is kept ready, as the service keeps it, and the
clock goes from the order to the first output; with Docker, to the end, when the container is gone and what it did is
told.
Captures go through a real runner, too: their seconds are those between a command's end and the document of its plan.
As root, with bubblewrap; with Docker where it is there and has the image.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import office
from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import Captured, Case, EngineName, Exited, Failed, Frame, Limits, Order, Output

_PATH = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
_TRIVIAL = (("sh", "-c", "echo x"), ("python3", "-c", "print(1)"))
_TIMES = 3
_IN_FOLDER = 1000  # files in one folder

_RENAME = """
import os
for folder, _, names in list(os.walk(".")):
    for name in names:
        os.rename(f"{folder}/{name}", f"{folder}/renamed-{name}")
"""

_CREATE = """
import os, sys
for number in range(int(sys.argv[1])):
    folder = f"made/{number // 1000:05}"
    if number % 1000 == 0:
        os.makedirs(folder)
    fd = os.open(f"{folder}/{number:07}.txt", os.O_WRONLY | os.O_CREAT)
    os.write(fd, sys.argv[2].format(number=number).encode())
    os.close(fd)
"""


def main() -> None:
    options = parser().parse_args()
    for word, part in (("begin", begin), ("docker", docker), ("capture", capture), ("create", create)):
        if options.only in ("", word):
            with fresh(options.at) as root:
                part(root, options)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="commands in sandboxes")
    made.add_argument("--rounds", type=int, default=15, help="of bare commands and those in sandboxes")
    made.add_argument("--settle", type=float, default=1.0, help="seconds in which a runner becomes ready")
    made.add_argument("--image", default="treegate-mutator:latest", help="of Docker")
    made.add_argument("--files", type=int, default=100_000, help="in the case of a command that does nothing")
    made.add_argument("--renames", type=int, default=10_000)
    made.add_argument("--folder", type=int, default=100_000, help="files in the folder that is renamed")
    made.add_argument("--create", type=int, default=100_000, help="files that a command makes")
    made.add_argument("--content", default="", help="of each; {number} is its number (default: they are empty)")
    made.add_argument("--only", default="", choices=("", "begin", "docker", "capture", "create"))
    made.add_argument("--at", default=".", help="a folder on the disk to measure, best directly below its root")
    return made


@contextmanager
def fresh(at: str) -> Iterator[Path]:
    """A new folder: where many files went lately, ext4 looks long for an inode."""
    with office.scratch(at) as root:
        root.chmod(0o755)
        yield root


# -- one command


class Ran(NamedTuple):
    """What was seen of a command; seconds from its order on."""

    first: float  # to its first output
    ended: float  # until it had ended
    told: float  # until what it did was told
    captured: Captured
    spent: float  # seconds of processor time that its capture took
    peak: float  # MB of its runner
    upper: int  # bytes in its upper layer


class Place:
    """A case, and commands that run on it."""

    def __init__(self, root: Path) -> None:
        self.root, self.case = root, root / "case"
        self.case.mkdir()
        (root / "blobs").mkdir()
        self._number = 0

    def order(self, *command: str, engine: EngineName = "bwrap", image: str = "", limits: Limits = Limits()) -> Order:  # noqa: B008
        self._number += 1
        return Order(
            id=f"bench-{os.getpid()}-{self._number}", command=command, engine=engine, image=image, limits=limits,
            cases=(Case(name="case", folder=str(self.case)),), scratch=str(self.root / f"scratch-{self._number}"),
            blobs=str(self.root / "blobs"), document=str(self.root / f"plan-{self._number}.json"),
        )  # fmt: skip

    def run(self, order: Order, settle: float) -> Ran:
        """Runs a command by a runner that was made ready."""
        ready = session.make_ready(order.engine, order.scratch, order.limits)
        time.sleep(settle)
        start = time.perf_counter()
        at: dict[type[Frame], float] = {}
        spent: dict[type[Frame], float] = {}
        with session.start(order, ready) as under_way:
            for frame in under_way:
                at.setdefault(type(frame), time.perf_counter() - start)
                spent[type(frame)] = spent_by(under_way.runner)
                if isinstance(frame, Failed):
                    raise SystemExit(f"{order.command}: {frame.message}")
            assert isinstance(frame, Captured)
            upper = Path(f"/proc/{under_way.runner}/root{order.scratch}/fs/0/upper")
            peak, used = peak_of(under_way.runner), bytes_below(upper) if frame.operations < 200_000 else 0
        captured = spent[Captured] - spent[Exited]
        return Ran(at.get(Output, 0.0), at[Exited], at[Captured], frame, captured, peak, used)


def spent_by(pid: int) -> float:
    """Seconds of processor time of a process with one thread."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def peak_of(pid: int) -> float:
    """The most memory that a process ever had resident, in MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def bytes_below(folder: Path) -> int:
    """What the files below a folder take of the disk."""
    return sum(
        os.lstat(os.path.join(top, name)).st_blocks * 512 for top, _, names in os.walk(folder) for name in names
    )


def in_order(seconds: list[float], scale: float = 1e3) -> str:
    """The least, the middle and the most of some times."""
    return " / ".join(f"{part * scale:.1f}" for part in (min(seconds), statistics.median(seconds), max(seconds)))


# -- how soon they begin


def begin(root: Path, options: argparse.Namespace) -> None:
    """First output with bubblewrap, beside the bare command."""
    if shutil.which("bwrap") is None:
        print("bubblewrap (bwrap) is not installed: left out")
        return
    place = Place(root)
    for command in _TRIVIAL:
        bares, boxed, rest = [], [], []
        for _ in range(options.rounds):
            bares.append(first_output(command))
            ran = place.run(place.order(*command), options.settle)
            boxed.append(ran.first)
            rest.append(ran.told - ran.first)
        over = [one - bare for one, bare in zip(boxed, bares, strict=True)]
        print(f"{' '.join(command)}: first output, ms (least / middle / most of {options.rounds}): bare "
              f"{in_order(bares)}, bubblewrap {in_order(boxed)}; over bare {in_order(over)}; "
              f"from there until told {in_order(rest)}", flush=True)  # fmt: skip


def first_output(command: tuple[str, ...]) -> float:
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_PATH) as process:
        assert process.stdout is not None
        os.read(process.stdout.fileno(), 1)
        return time.perf_counter() - start


def docker(root: Path, options: argparse.Namespace) -> None:
    """All of a command with Docker, beside a bare `docker run` of the same."""
    asked = subprocess.run(["docker", "image", "inspect", options.image], capture_output=True) if (
        shutil.which("docker")) else None  # fmt: skip
    if asked is None or asked.returncode:
        print(f"Docker, or its image {options.image}, is not there: left out")
        return
    place = Place(root)
    command = ("sh", "-c", "echo x")
    bare = ("docker", "run", "--rm", "--network", "none", options.image, *command)
    bares, firsts, boxed, told = [], [], [], []
    for _ in range(options.rounds):
        bares.append(timed(lambda: subprocess.run(bare, check=True, stdout=subprocess.DEVNULL)))
        ran = place.run(place.order(*command, engine="docker", image=options.image), options.settle)
        firsts.append(ran.first)
        boxed.append(ran.ended)
        told.append(ran.told)
    ratio = statistics.median(one / bare for one, bare in zip(told, bares, strict=True))
    print(f"docker, ms: bare docker run {in_order(bares)}; treegate: first output {in_order(firsts)}, ended and gone "
          f"{in_order(boxed)}, all told {in_order(told)}; {ratio:.2f}x in the middle, "
          f"{statistics.median(told) / statistics.median(bares):.2f}x of the middles", flush=True)  # fmt: skip


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# -- what it takes to tell what they did


def capture(root: Path, options: argparse.Namespace) -> None:
    """Captures of a command that does nothing, of renames, and of a folder renamed whole."""
    some = ("python3", "-c", _RENAME)
    for number, (word, files, command) in enumerate((
        (f"nothing done, on {options.files:,} files", options.files, ("true",)),
        (f"{options.renames:,} renames", options.renames, some),
        (f"a folder of {options.folder:,} files renamed", options.folder, ("mv", "folder", "renamed")),
    )):  # fmt: skip
        (root / str(number)).mkdir()
        place = Place(root / str(number))
        fill(place.case / "folder", files)
        limits = Limits(seconds=600, entries=files // 10 + options.renames + 20_000)
        tell(word, [place.run(place.order(*command, limits=limits), options.settle) for _ in range(_TIMES)])


def fill(folder: Path, files: int) -> None:
    """Small files, a thousand in a folder."""
    for start in range(0, files, _IN_FOLDER):
        below = folder / f"{start // _IN_FOLDER:05}"
        below.mkdir(parents=True)
        fd = os.open(below, os.O_RDONLY)
        for number in range(start, min(start + _IN_FOLDER, files)):
            os.close(os.open(f"{number:07}.txt", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=fd))
        os.close(fd)


def tell(word: str, ran: list[Ran]) -> None:
    seconds = [one.captured.seconds for one in ran]
    ended = [one.ended for one in ran]
    spent = in_order([one.spent for one in ran])
    print(f"{word}: captured in {in_order(seconds)} ms, of the processor {spent}; {ran[-1].captured.operations:,} "
          f"operations, {ran[-1].upper:,} bytes in the upper layer; the runner's peak "
          f"{max(one.peak for one in ran):.0f} MB; the command and its view took {in_order(ended)} ms before",
          flush=True)  # fmt: skip


def create(root: Path, options: argparse.Namespace) -> None:
    """Captures of a command that makes many files; once, for it takes long."""
    place = Place(root)
    room = options.create * (4096 if options.content else 0) + (256 << 20)
    limits = Limits(seconds=3600, entries=options.create + options.create // 500 + 1000, written=room)
    command = ("python3", "-c", _CREATE, str(options.create), options.content)
    ran = place.run(place.order(*command, limits=limits), options.settle + options.create / 200_000)
    tell(f"{options.create:,} files created", [ran])


if __name__ == "__main__":
    main()
