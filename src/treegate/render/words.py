"""The words that all renderers share: counts, bytes and ages as people say them, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta

from treegate.model.effects import Effect
from treegate.model.footprint import TOLD
from treegate.model.lifecycle import UNFINISHED, State
from treegate.model.preview import Backup, Other, Preview
from treegate.model.problems import Problem
from treegate.render.text import clip, inert, name

DIGEST = 12  # characters of a digest that are shown, and that suffice to name it

_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB", "EB")
_SPANS = ((86400, "day"), (3600, "hour"), (60, "minute"))

_DOES = {
    "made": "makes",
    "moved": "moves",
    "copied": "copies to",
    "created": "creates",
    "replaced": "replaces",
    "deleted": "deletes",
    "restored": "restores",
    "linked": "links",
    "set": "changes",
}

_SHORT = {
    "folder-nearly-named": "nearly named",
    "several-hard-links": "hard links",
    "link-will-dangle": "link dangles",
    "case-collision": "case clash",
    "unicode-collision": "unicode clash",
    "name-discouraged": "name",
    "nothing-to-do": "nothing to do",
    "sandbox-changed": "changed by others since the command began",
    "sandbox-failed-command": "command failed",
    "sandbox-ended": "command cut short",
    "sandbox-hard-link": "hard links",
    "sandbox-special-file": "no file",
    "sandbox-setuid": "set-user-ID",
    "sandbox-xattr": "attributes",
    "sandbox-link-outside": "link leads out",
    "sandbox-reserved": "treegate's own",
}


def number(count: int) -> str:
    """1,200"""
    return f"{count:,}"


def plural(count: int, one: str, many: str = "") -> str:
    """1 file, 1,200 files"""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def size(count: int) -> str:
    """Bytes in decimal units, as file managers show them: 812 bytes, 4.1 MB."""
    if count < 1000:
        return plural(count, "byte")
    value, unit = float(count), 0
    while value >= 999.95 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {_UNITS[unit]}"


def backup(made: Backup) -> str:
    """The copies made before anything moves: how many, how large, how much is free."""
    how = "" if made.mode == "copy" else ", sharing their blocks,"
    files = f"{plural(made.files, 'file')} ({size(made.size)})"
    return f"copies of {files}{how} are laid into the vault before anything moves; {size(made.free)} free"


def others(shown: Preview) -> list[str]:
    """Other plans that touch the same, each as a sentence: pl_12 ("Scans"), waiting, also moves Smith/a.txt."""
    said = [_other(other) for other in shown.others[:TOLD]]
    return [*said, "and there are more plans that touch the same"] if len(shown.others) > TOLD else said


def _other(other: Other) -> str:
    called = f' ("{clip(inert(other.title), 60)}")' if other.title else ""
    who = f"{inert(other.plan)}{called}, waiting,"
    if not other.effect:
        return f"{who} works in the same folders"
    more = f" and {number(other.count - 1)} more of these" if other.count > 1 else ""
    return f"{who} also {_DOES[other.effect]} {name(other.path)}{more}"


def origin(shown: Preview) -> str:
    """The command that a plan came of, as a sentence; "" where it came of none."""
    came = shown.origin
    if came is None:
        return ""
    ended = f"exit status {came.status}" if came.why in {"", "itself"} else f"{_ENDED.get(came.why, came.why)}"
    where = f"; its output: {listed([name(path) for path in came.log])}" if came.log else ""
    return f"{clip(inert(came.command), 200)} ({ended}), run as {inert(came.sandbox)}{where}"


_ENDED = {
    "time": "ended by its time limit",
    "output": "ended by its output limit",
    "memory": "ended for want of memory",
    "cancelled": "cancelled",
}


def span(seconds: float) -> str:
    """A length of time: 0.41 s, 12 minutes, 30 days."""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.0f} s"
    for length, unit in _SPANS:
        if seconds >= length:
            return plural(round(seconds / length), unit)
    return plural(round(seconds), "second")


def age(then: datetime, now: datetime) -> str:
    """A moment as seen from another: 3 hours ago, in 30 days."""
    passed = now - then
    if abs(passed) < timedelta(seconds=60):
        return "just now" if passed >= timedelta() else "in a moment"
    text = span(abs(passed).total_seconds())
    return f"{text} ago" if passed > timedelta() else f"in {text}"


def listed(items: Sequence[str], most: int = 3) -> str:
    """a, b and c; a, b, c and 5 more"""
    shown = list(items[:most])
    if len(items) > most:
        shown.append(f"{len(items) - most:,} more")
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else "".join(shown)


def label(code: str) -> str:
    """A problem's code as a word or two at the head of a line."""
    return _SHORT.get(code, code.replace("-", " "))


def operations(effect: Effect) -> str:
    """The operations that an effect came from: #9, #9+2."""
    numbers = effect.operations
    if not numbers:
        return ""
    return f"#{numbers[0]}" if len(numbers) == 1 else f"#{numbers[0]}+{len(numbers) - 1}"


def holds(effect: Effect) -> str:
    """What an effect comes to: 14 files 3.2 MB for a folder, 3.2 MB for a file."""
    if effect.kind == "dir":
        if not effect.files:
            return "empty" if effect.effect == "deleted" else ""
        return f"{plural(effect.files, 'file')} {size(effect.size)}"
    return size(effect.size) if effect.kind == "file" and (effect.size or effect.effect != "made") else ""


def suggestion(found: Problem) -> str:
    """What stands ready to mend a problem, if anything does."""
    if not found.suggests:
        return ""
    return "suggestion: drop the operation" if found.suggestion is None else "suggestion available"


def approvals(preview: Preview) -> str:
    """What policy asks for, in a sentence."""
    asked = preview.approvals
    if not asked.required:
        return "none needed"
    whose = "the author's own counts" if asked.own else "not by the author"
    return f"{asked.required:,} needed, {whose}; good for {asked.expires}"


def stale(preview: Preview) -> str:
    """What becomes of entries that change between now and the run."""
    if preview.on_stale == "skip":
        return "what changes before the run is left alone, with what depends on it, and reported"
    return "if anything named here changes before the run, nothing is done"


def next_commands(
    preview: Preview, document: str = "PLAN", state: State = State.PENDING, run: str = ""
) -> list[tuple[str, str]]:
    """(command, what it does) that a reviewer or author may type next; `document` is the plan's file.

    `state` is the stored plan's, `run` the run that it had.
    """
    if not preview.plan:
        return _before_submitting(preview, shlex.quote(document))
    plan = shlex.quote(preview.plan)
    show = (f"treegate show {plan} --effects", f"all {plural(preview.counts.effects, 'effect')}")
    if not preview.valid:
        return [(f"treegate revise {plan} PLAN", "hand in the mended plan"), show]
    if state is not State.PENDING:
        return [_by_state(state, plan, shlex.quote(run)), show]
    digest = shlex.quote(preview.digest[:DIGEST])
    reduce = (f"treegate reduce {plan} --leave-out {_example(preview)}", "leave something out first")
    return [
        (f"treegate approve {plan} --digest {digest}", "approve exactly this"),
        (f"treegate reject {plan} --comment TEXT", "say no, and why"),
        *([] if preview.undo_of or preview.counts.effects < 2 else [reduce]),
        show,
    ]


def _example(preview: Preview) -> str:
    """An id of something that may be left out: a pattern, unless nothing would remain."""
    return next((one.id for one in preview.patterns if one.count < preview.counts.effects), "e1")


def _by_state(state: State, plan: str, run: str) -> tuple[str, str]:
    if state is State.APPROVED:
        return f"treegate apply {plan}", "carry it out"
    if state is State.APPLIED:
        return f"treegate show {run}", "the receipt of its run"
    if state in UNFINISHED:
        return "treegate recover", "bring its run to an end"
    if state in (State.CHANGES_REQUESTED, State.REJECTED):
        return f"treegate revise {plan} PLAN", "hand in a changed version"
    if state in (State.WITHDRAWN, State.UNDONE):
        return "treegate submit PLAN", "hand it in as a plan of its own"
    return f"treegate refresh {plan}", "preview it on the tree as it is now"


def _before_submitting(preview: Preview, document: str) -> list[tuple[str, str]]:
    if preview.valid:
        return [(f"treegate submit {document}", "hand it in for approval")]
    if any(found.suggests for found in preview.problems):
        return [(f"treegate check {document} --fix", "take the suggestions")]
    return [(f"treegate check {document}", "once it is mended")]
