"""Treegate's sandbox against `try` (github.com/binpash/try), on the same twenty scripts; prints a Markdown table.

    python bench/against_try.py TRY [--tools DIR] [--only WORD] [--at DIR]

TRY is the `try` script of that project, which treegate does not bring along: get it there. `--tools` is a folder with
its `try-commit` and `try-summary`, made of its `utils/` (`gcc -o try-commit try-commit.c ignores.c`, and so on); then
both of its ways to commit are tried. It also wants `getfattr` (Debian: `attr`). All run as whoever runs this.

Each script runs in fresh copies of a small case: directly, which is what should become of it, in `try` with a commit,
and in treegate with the plan approved and applied. What differs from the direct run is said.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

import deeds
import office
import trees
from deeds import Deed
from treegate.errors import TreegateError
from treegate.gate import Gate
from treegate.gate.sandboxing.events import Captured, Finished

_LIMITS = {
    "TREEGATE_POLICY_LIMITS_DELETES": "1000000",
    "TREEGATE_POLICY_LIMITS_DELETE_SHARE": "1",
    "TREEGATE_POLICY_LIMITS_PER_DAY_DELETES": "1000000",
}


class Told(NamedTuple):
    """What one way said of a script, and what it made of the case."""

    captured: str
    became: str


def main() -> None:
    options = parser().parse_args()
    print("| script | `try` captured | `try`'s commit did | treegate captured | treegate's apply did |")
    print("|---|---|---|---|---|")
    with office.scratch(options.at) as root:
        root.chmod(0o755)
        for number, deed in enumerate(deeds.DEEDS):
            if options.only in deed.name:
                print(row(root / f"{number:02}", deed, options), flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description="treegate's sandbox against binpash try")
    made.add_argument("tried", metavar="TRY", help="the `try` script of github.com/binpash/try")
    made.add_argument("--tools", help="a folder with its try-commit and try-summary")
    made.add_argument("--only", default="", help="only scripts whose name has this word in it")
    made.add_argument("--at", default=".", help="a folder to work in, on a disk, not directly below /")
    return made


def row(root: Path, deed: Deed, options: argparse.Namespace) -> str:
    wanted = directly(root / "bare", deed)
    said = [through_try(root / "try", deed, wanted, options.tried)]
    if options.tools:
        said.append(through_try(root / "try-c", deed, wanted, options.tried, options.tools))
    ours = through_treegate(root / "ours", deed, wanted)
    captured, became = (both([one[part] for one in said]) for part in (0, 1))
    return f"| {deed.name} | {captured} | {became} | {ours.captured} | {ours.became} |"


def both(said: list[str]) -> str:
    """What the shell's way and the C way said, once where they agree."""
    if len(set(said)) == 1:
        return said[0]
    return "<br>".join(f"{way}: {one}" for way, one in zip(("shell", "C"), said, strict=True))


# -- the case, and what becomes of it


def prepared(case: Path, deed: Deed) -> Path:
    case.mkdir(parents=True)
    deeds.build(case)
    deed.before(case)
    deeds.age(case)
    return case


@contextmanager
def meanwhile(case: Path, deed: Deed) -> Iterator[None]:
    """Others do their part while the script runs."""
    if deed.others is None:
        yield
        return
    timer = threading.Timer(1.0, deed.others, (case,))
    timer.start()
    try:
        yield
    finally:
        timer.join()


def directly(root: Path, deed: Deed) -> dict[str, trees.Seen]:
    """What the script makes of the case by itself."""
    case, since = prepared(root / "Case", deed), now()
    with meanwhile(case, deed):
        subprocess.run(["sh", "-c", deed.script], cwd=case, check=True)
    return trees.look(str(case), since)


def now() -> int:
    time.sleep(0.01)  # the clock that dates changes of files is a coarse one
    return time.time_ns() - 8_000_000


def judged(wanted: dict[str, trees.Seen], case: Path, since: int) -> str:
    lines = trees.differences(wanted, trees.look(str(case), since))
    return "differs: " + "; ".join(lines) if lines else "the same"


# -- try


def through_try(root: Path, deed: Deed, wanted: dict[str, trees.Seen], tried: str, tools: str = "") -> Told:
    case, since = prepared(root / "Case", deed), now()
    (root / "script.sh").write_text(deed.script + "\n")
    (root / "tmp").mkdir()
    environ = {**os.environ, "TMPDIR": str(root / "tmp"), "TRY_SHELL": "/bin/sh", "LC_ALL": "C.UTF-8"}
    if tools:
        environ["PATH"] = f"{os.path.abspath(tools)}:{environ['PATH']}"

    def call(*words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([os.path.abspath(tried), *words], cwd=case, env=environ, capture_output=True)

    with meanwhile(case, deed):
        ran = call("-n", "sh", str(root / "script.sh"))
    sandbox = ran.stdout.decode().strip().splitlines()[-1]
    summary = call("summary", sandbox).stdout.decode("utf-8", "surrogateescape")
    done = call("commit", sandbox)
    status = f" (exit {done.returncode})" if done.returncode else ""
    return Told(summarised(summary, f"{case}/"), judged(wanted, case, since) + status)


def summarised(summary: str, top: str) -> str:
    """What `try summary` lists, shortly."""
    lines = [line for line in summary.splitlines() if line and not line.startswith("Changes detected")]
    inside = [trees.code(line.replace(top, "")) for line in lines]
    if len(inside) <= 5:
        return ", ".join(inside) or "nothing"
    kinds = Counter(line.rpartition("(")[2].rstrip(")") for line in lines)
    return ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())


# -- treegate


def through_treegate(root: Path, deed: Deed, wanted: dict[str, trees.Seen]) -> Told:
    case = prepared(root / "ws" / "projects" / "Case", deed)
    environ = {**os.environ, "TREEGATE_STATE": str(root / "state"), **_LIMITS}
    with Gate.init(root / "ws", solo=True, environ=environ) as gate:
        since = now()
        with meanwhile(case, deed):
            told = {type(event.what): event.what for event in gate.run("Case", ["sh", "-c", deed.script])}
        done, captured = told[Finished], told.get(Captured)
        if captured is None or done.plan is None:
            return Told(f"nothing: {done.error}", judged(wanted, case, since))
        operations = msgspec.to_builtins(list(gate.document(done.plan).operations))
        said = "; ".join([*briefly(operations), *warnings(captured)])
        return Told(said, applied(gate, done) or judged(wanted, case, since))


def applied(gate: Gate, done: Finished) -> str:
    """Approves and applies; why not, where it could not be."""
    try:
        gate.approve(done.plan, done.digest)
        gate.apply(done.plan)
    except TreegateError as error:
        return f"nothing: refused as {error.code}"
    return ""


def briefly(operations: list[dict[str, Any]]) -> list[str]:
    """The operations on a line each, those that only give new things their modes and times left out."""
    made = {one.get("path") for one in operations if one["op"] in ("mkdir", "symlink", "create")}
    told = [words(one) for one in operations if not (one["op"] == "set" and one["path"] in made)]
    if len(told) <= 8:
        return told
    return [*told[:5], f"{len(told) - 5} more"]


def words(one: dict[str, Any]) -> str:
    if "from" in one:
        return f"{one['op']} {trees.code(one['from'])} to {trees.code(one['to'])}"
    path = trees.code(one["path"])
    if one["op"] == "set":
        return f"set {' and '.join(key for key in ('mode', 'mtime') if key in one)} of {path}"
    return f"{one['op']} {path}" + (f" to {trees.code(one['target'])}" if "target" in one else "")


def warnings(captured: Captured) -> list[str]:
    return [f"**warns** of {within(one.path)}: {one.text}" for one in captured.findings]


def within(path: str) -> str:
    return trees.code(path.partition("/")[2] or path)


if __name__ == "__main__":
    main()
