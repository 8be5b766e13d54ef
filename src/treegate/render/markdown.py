"""Markdown: a preview of any size in at most 64 KiB, its first 20 lines as telling as the terminal's.

All text from outside stands in code spans, where CommonMark (section 6.1) knows neither HTML, links nor mentions.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from treegate.model.effects import Effect, Text, untagged
from treegate.model.operations import Operation
from treegate.model.preview import Pattern, Preview
from treegate.model.problems import CODES, Problem
from treegate.render import words
from treegate.render.grave import Item, Lot, allot, lots
from treegate.render.lines import ends, only_case, pattern_line
from treegate.render.operations import OperationRow, operation_rows
from treegate.render.text import clip, cut, inert, name, sentence

LIMIT = 64 * 1024  # bytes of UTF-8
FIRST = 13  # rows of the first table, which end with line 20 of the document
PATH = 160  # columns of a path that are shown
SENTENCE = 300  # columns of a sentence
FRAME = 400  # bytes that a section's heading and last line may take beside its rows

_GRAVE = ("what", "path", "becomes", "size", "operation", "remark")
_PATTERNS = ("effect", "pattern", "files", "size", "example")
_EFFECTS = ("id", "effect", "from", "to", "files", "size", "operation")
_OPERATIONS = ("#", "op", "from", "to", "why", "result")
_TITLES = {"deletions": "Deleted", "replacements": "Replaced", "crossings": "Leaving their case"}


def preview(
    preview: Preview,
    *,
    operations: Sequence[Operation] = (),
    commands: Sequence[tuple[str, str]] | None = None,
) -> str:
    """The whole preview as one document of at most 64 KiB.

    With the plan's `operations` it has their table too, as far as there is room; `commands` replaces what
    `words.next_commands` would propose.
    """
    return _Document(preview, operations, commands).text()


def effects(effects: Iterable[Effect], *, case: str = "", limit: int = LIMIT) -> str:
    """The table of effects in at most `limit` bytes, with the number of those left out."""
    rows = (_effect_row(effect, case) for effect in effects)
    return "".join(f"{line}\n" for line in _table(_EFFECTS, rows, limit - 100))


def problems(problems: Iterable[Problem], *, limit: int = LIMIT) -> str:
    """Every problem with its hint, in at most `limit` bytes, with the number of those left out."""
    return "".join(f"{line}\n" for line in _fitting((_problem(found) for found in problems), limit - 100, "- "))


def code(text: str, *, cell: bool = False) -> str:
    """Inert text as a code span that nothing in it can end; in a table's `cell` it holds no bare pipe."""
    if not text:
        return ""
    if cell:
        # A pipe after a backslash ends the cell for some parsers, whatever number of backslashes there are.
        text = re.sub(r"(?<=\\)\|", r"\\x7c", text).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    space = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{fence}{space}{text}{space}{fence}"


def said(text: Text, room: int = SENTENCE, *, cell: bool = False) -> str:
    """A sentence from outside, clipped, as a code span."""
    return code(clip(inert(text), room)[: room + 1], cell=cell)


def stated(text: str, room: int = SENTENCE, *, cell: bool = False) -> str:
    """A sentence of our own that may hold names, clipped, as a code span."""
    return code(clip(sentence(text), room)[: room + 1], cell=cell)


_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 ,;:.()'-]*")


def _plain(text: str) -> str:
    """A sentence of our own that may hold a name: as it is where no character in it means anything."""
    harmless = _PLAIN.fullmatch(text) and "://" not in text and "www." not in text.lower()
    return clip(text, SENTENCE) if harmless else said(text)


def _path(text: str) -> str:
    text = cut(text, PATH)
    return code(text if len(text) <= PATH else f"{text[: PATH // 2]}…{text[-PATH // 2 :]}", cell=True)


class _Document:
    """One preview on its way to Markdown."""

    def __init__(
        self, preview: Preview, operations: Sequence[Operation], commands: Sequence[tuple[str, str]] | None
    ) -> None:
        self.preview = preview
        self.operations = operations
        self.case = only_case(preview)
        self.lots = lots(preview)
        self.commands = words.next_commands(preview) if commands is None else commands

    def text(self) -> str:
        """The document; the foot is made first, so that what grows with the plan gets the room that is left."""
        foot = [*self._facts(), *self._next()]
        lines = [*self._head(), *self._first()]
        sections = (
            (self._problems, 9000), (self._rest, 18_000), (self._patterns, 12_000), (self._folders, 2500),
            (self._operation_table, LIMIT),
        )  # fmt: skip
        for section, share in sections:
            left = LIMIT - _size(lines) - _size(foot) - FRAME
            lines += section(min(share, left)) if left > FRAME else []
        return "".join(f"{line}\n" for line in (*lines, *foot))

    def _head(self) -> list[str]:
        shown = self.preview
        plan = f"{code(inert(shown.plan))}, revision {shown.revision}" if shown.plan else "Not submitted"
        parts = [
            f"{plan}, digest {code(shown.digest[: words.DIGEST])}",
            f"written by {said(shown.author, 80)}" if shown.author else "",
            f"asked for by {said(shown.requested_by, 120)}" if shown.requested_by else "",
            f"takes back {said(shown.undo_of, 80)}" if shown.undo_of else "",
            said(shown.thread_url, 200),
        ]
        title = said(shown.title, 120) or f"Plan {code(inert(shown.plan))}".strip()
        lines = [f"# {title}", _plain(inert(shown.summary)), f"- {'; '.join(part for part in parts if part)}"]
        return [*lines, f"- Why: {said(shown.reason)}"] if shown.reason else lines

    def _first(self) -> list[str]:
        """What must not be missed, each class with its share of rows."""
        if not self.lots:
            return []
        given = allot([lot.total for lot in self.lots], FIRST)
        rows = []
        for lot, count in zip(self.lots, given, strict=True):
            rows += self._rows(lot, lot.items[:count], lot.total)
        return ["", *_table(_GRAVE, rows, LIMIT // 4)]

    def _rows(self, lot: Lot, items: Sequence[Item], total: int) -> list[Sequence[str]]:
        rows = [self._row(lot, item) for item in items]
        if rows and total > len(rows):
            rows[-1] = (*rows[-1][:5], f"**{total - len(rows):,} more** {rows[-1][5]}".strip())
        return rows

    def _row(self, lot: Lot, item: Item) -> Sequence[str]:
        found, effect = item.problem, item.effect
        if effect is not None:
            source, to = ends(effect, self.case)
            path, becomes = (source, to) if source else (to, "")
            remark = said(item.note or self._why(effect), 160, cell=True)
            return f"**{lot.label}**", _path(path), _path(becomes), words.holds(effect), _numbers(effect), remark
        assert found is not None
        path = name(found.path, self.case) if found.path is not None and untagged(found.path) else ""
        remark = f"{code(inert(found.code), cell=True)} {stated(found.message, 160, cell=True)}"
        return f"**{lot.label}**", _path(path), "", "", f"{found.operation or ''}", remark

    def _why(self, effect: Effect) -> str:
        for number in reversed(effect.operations):
            if 0 < number <= len(self.operations) and self.operations[number - 1].why:
                return str(self.operations[number - 1].why)
        return ""

    def _problems(self, room: int) -> list[str]:
        """Errors first, for a plan with a thousand warnings has perhaps one error."""
        found = sorted(self.preview.problems, key=lambda found: found.severity)
        lines = _fitting((_problem(one) for one in found), room, "- ")
        return ["", f"## Problems ({len(found):,})", "", *lines] if lines else []

    def _rest(self, room: int) -> list[str]:
        """The classes that the first table does not show in full, as far as the model carries them."""
        given = allot([lot.total for lot in self.lots], FIRST)
        long = [lot for lot, count in zip(self.lots, given, strict=True) if lot.total > count and lot.kind != "error"]
        lines: list[str] = []
        for lot in long:
            rows = (self._row(lot, item) for item in lot.items)
            title = _TITLES.get(lot.kind, lot.label.capitalize())
            lines += ["", f"## {title} ({lot.total:,})", ""]
            lines += _table(_GRAVE, rows, room // len(long) - FRAME, lot.total)
        return lines

    def _patterns(self, room: int) -> list[str]:
        shown = self.preview.patterns
        if not shown:
            return []
        rows = (self._pattern(pattern) for pattern in shown)
        table = _table(_PATTERNS, rows, room, self.preview.pattern_count)
        return ["", "## Everything else, rarest first" if self.lots else "## Effects, rarest first", "", *table]

    def _pattern(self, pattern: Pattern) -> Sequence[str]:
        example = ""
        if pattern.examples:
            before, after = ends(pattern.examples[0], self.case)
            example = " → ".join(_path(end) for end in (before, after) if end)
        shape = f"{pattern.count:,} x {pattern_line(pattern, PATH, self.case)}"
        files = f"{pattern.files:,}" if pattern.files else ""
        return pattern.effect, _path(shape), files, words.size(pattern.size) if pattern.size else "", example

    def _folders(self, room: int) -> list[str]:
        shown, count = self.preview.implied, self.preview.implied_count
        lines = _fitting((_path(name(path, self.case, folder=True)) for path in shown), room, "- ", count)
        return ["", f"## Folders made on the way ({count:,})", "", *lines] if lines else []

    def _operation_table(self, room: int) -> list[str]:
        if not self.operations:
            return []
        rows = operation_rows(self.operations, self.preview.problems)
        where = f", see `treegate show {inert(self.preview.plan)} --operations`" if self.preview.plan else ""
        table = _table(_OPERATIONS, map(_operation_row, rows), room, len(self.operations), where)
        return ["", "## What the plan says", "", *table]

    def _facts(self) -> list[str]:
        shown = self.preview
        kept = "What is deleted or replaced goes to the vault; `treegate undo` brings it back."
        facts = [kept] if shown.counts.deleted or shown.counts.replaced else []
        if came := words.origin(shown):
            facts.append(f"It is what a command did in a sandbox: {stated(came)}.")
        if shown.counts.set:
            facts.append(f"{words.plural(shown.counts.set, 'entry', 'entries')} with another mode or time.")
        if shown.backup:
            facts.append(f"Backups: {words.backup(shown.backup)}.")
        for weakness in shown.weak[:5]:
            where = words.listed([said(case, 60) for case in weakness.cases])
            facts.append(f"Weaker in {where}: {stated(weakness.message)}")
        facts += [f"Note: {stated(note)}" for note in shown.notes[:5]]
        if shown.valid:
            stale, why = words.stale(shown), "; ".join(stated(why) for why in shown.approvals.why[:5])
            facts.append(f"{stale[:1].upper()}{stale[1:]}.")
            facts.append(f"Approvals: {words.approvals(shown)}{f' ({why})' if why else ''}.")
        facts += [f"{stated(other)}." for other in words.others(shown)]
        if shown.waiting_for:
            facts.append(f"Waiting for {said(shown.waiting_for)}.")
        return ["", "## Before it is applied", "", *(f"- {fact}" for fact in facts)] if facts else []

    def _next(self) -> list[str]:
        lines = [f"- {code(clip(inert(command), 200))}: {clip(inert(what), 80)}" for command, what in self.commands]
        return ["", "## What to type", "", *lines] if lines else []


def _problem(found: Problem) -> str:
    where = f" in operation {found.operation}" if found.operation else ""
    hint = found.hint if found.code in CODES and found.hint == CODES[found.code].hint else stated(found.hint)
    ready = words.suggestion(found)
    parts = [f"**{found.severity}**{where}: {stated(found.message)} ({code(inert(found.code))})", hint, ready]
    return "; ".join(part for part in parts if part)


def _numbers(effect: Effect) -> str:
    return words.operations(effect).replace("#", "").replace("+", " +")  # `#9` would be a link to an issue


def _effect_row(effect: Effect, case: str) -> Sequence[str]:
    source, to = ends(effect, case)
    files = f"{effect.files:,}" if effect.kind == "dir" and effect.files else ""
    held = words.size(effect.size) if effect.size or effect.kind == "file" else ""
    return inert(effect.id), effect.effect, _path(source), _path(to), files, held, _numbers(effect)


def _operation_row(row: OperationRow) -> Sequence[str]:
    source, to = (_path(name(text)) if text else "" for text in (row.source, row.to))
    return f"{row.number}", row.op, source, to, said(row.why, 160, cell=True), row.result


def _table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], room: int, total: int | None = None, where: str = ""
) -> list[str]:
    """The lines of a table in at most `room` bytes; `total` where there are more rows than are given."""
    lines = [f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
    return lines + _fitting((f"| {' | '.join(row)} |" for row in rows), room - _size(lines), "", total, where)


def _fitting(lines: Iterable[str], room: int, mark: str, total: int | None = None, where: str = "") -> list[str]:
    """As many lines as fit in `room` bytes, and how many more there are."""
    taken: list[str] = []
    left_out = 0
    for line in lines:
        room -= _size([mark + line])
        if room >= 0:
            taken.append(mark + line)
            continue
        left_out += 1
        if total is not None:
            break
    more = left_out if total is None else total - len(taken)
    return [*taken, "", f"... {more:,} more{where}"] if more > 0 else taken


def _size(lines: Iterable[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
