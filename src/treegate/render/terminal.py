"""Terminal text: a preview of any size in 60 lines, what matters most in the first 20; tables; the receipt.

Every line is laid out here, to the column, and never left to the terminal to wrap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from treegate.model.effects import Effect
from treegate.model.operations import Operation
from treegate.model.preview import Pattern, Preview
from treegate.model.problems import Problem
from treegate.render import receipts, tables, words
from treegate.render.grave import Item, Lot, allot, lots
from treegate.render.ink import Ink
from treegate.render.lines import effect_line, only_case, pattern_line
from treegate.render.operations import OperationRow, operation_rows
from treegate.render.text import ELLIPSIS, clip, columns, cut, inert, name, pad, sentence, wrap

LINES = 60  # that a preview may take
FIRST = 20  # lines that hold everything grave
NOTE = 16  # columns that a remark beside a path needs to be worth it
EXAMPLES = 3
NARROWEST = 40

Commands = Sequence[tuple[str, str]]


def preview(
    preview: Preview,
    *,
    width: int,
    color: bool,
    operations: Iterable[Operation] | None = None,
    commands: Commands | None = None,
) -> str:
    """The whole preview in at most 60 lines of at most `width` columns.

    `operations` are the plan's, for their reasons and, where there is room, their table; `commands` replaces what
    `words.next_commands` would propose.
    """
    page = _Page(preview, max(NARROWEST, width), Ink(color), list(operations or ()), commands)
    return "\n".join(page.lines()) + "\n"


def problems(problems: Iterable[Problem], *, width: int, color: bool, most: int | None = None) -> str:
    """Every problem with its hint and suggestion, wrapped to `width`; after `most`, how many more."""
    return _joined(tables.problem_lines(problems, width=max(NARROWEST, width), color=color, most=most))


def effects(effects: Iterable[Effect], *, width: int, color: bool, case: str = "") -> str:
    """The table of effects; `tables.effect_lines` gives the same line by line, for a pager."""
    return _joined(tables.effect_lines(effects, width=max(NARROWEST, width), color=color, case=case))


def operations(rows: Iterable[OperationRow], *, width: int, color: bool) -> str:
    """The table of operations; `tables.operation_lines` gives the same line by line, for a pager."""
    return _joined(tables.operation_lines(rows, width=max(NARROWEST, width), color=color))


def receipt(receipt: Mapping[str, Any], *, width: int, color: bool) -> str:
    """What a run did, where the old things are kept, and how to undo it; keys that are missing are left out."""
    return _joined(receipts.lines(receipt, max(NARROWEST, width), Ink(color)))


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


class _Row(NamedTuple):
    """A line of the list of grave things, before its columns are known."""

    label: str
    style: str
    item: Item | None  # None for a line that says how many more there are
    text: str = ""
    note: str = ""
    amount: str = ""
    operations: str = ""


class _Page:
    """One preview on its way to the terminal."""

    def __init__(
        self, preview: Preview, width: int, ink: Ink, operations: list[Operation], commands: Commands | None
    ) -> None:
        self.preview = preview
        self.width = width
        self.ink = ink
        self.operations = operations
        self.case = only_case(preview)
        self.commands = words.next_commands(preview) if commands is None else commands

    def lines(self) -> list[str]:
        """All lines, top to bottom."""
        top = [*self._header(), ""]
        top += self._grave(FIRST - len(top))
        foot = [*self._facts(), *self._next()]
        room = LINES - len(top) - len(foot)
        middle = self._patterns(room)
        middle += self._operations(room - len(middle))
        return [*top, *middle, *foot]

    # The head: what it is, in a sentence, who asked and why

    def _header(self) -> list[str]:
        shown = self.preview
        name_of = f"{shown.plan}, revision {shown.revision}" if shown.plan else "not submitted"
        right = clip(inert(name_of), self.width // 2) + f"  {shown.digest[: words.DIGEST]}"
        title = clip(inert(shown.title) or f"Plan {inert(shown.plan)}".strip(), self.width - columns(right) - 2)
        gap = min(self.width, 100) - columns(title) - columns(right)
        lines = [self.ink(title, "title") + " " * max(2, gap) + self.ink(right, "dim")]
        lines += wrap(inert(shown.summary), self.width, 2)
        if who := self._who():
            lines += wrap(who, self.width, 4 - len(lines))
        if shown.reason:
            lines.append(clip(f"Why: {inert(shown.reason)}", self.width))
        return lines

    def _who(self) -> str:
        shown = self.preview
        parts = [
            shown.author and f"Written by {inert(shown.author)}",
            shown.requested_by and f"asked for by {inert(shown.requested_by)}",
            shown.undo_of and f"takes back {inert(shown.undo_of)}",
            inert(shown.thread_url),
        ]
        text = ", ".join(part for part in parts if part)
        return (
            text[:1].upper() + text[1:] if not shown.thread_url or len(text) > len(inert(shown.thread_url)) else text
        )

    # What must not be missed

    def _grave(self, room: int) -> list[str]:
        """The list of grave things in at most `room` lines, each class its share of them."""
        found = lots(self.preview)
        if not found:
            return []
        hints = sum(lot.total for lot in found) + self.preview.errors <= room
        given = allot([lot.total for lot in found], room)
        rows: list[_Row] = []
        for lot, lines in zip(found, given, strict=True):
            rows += self._lot(lot, lines, hints) if lines else []
        if hidden := [lot for lot, lines in zip(found, given, strict=True) if not lines]:
            rest = words.listed([f"{lot.label} ({lot.total:,})" for lot in hidden], 2)
            rows[-1] = rows[-1]._replace(amount=f"also {rest}", operations="")
        return self._set(rows, room - len(rows))

    def _lot(self, lot: Lot, lines: int, hints: bool) -> list[_Row]:
        """The rows of one class in so many lines; the last one says how many more there are."""
        whole = lot.total <= min(lines, len(lot.items))
        shown = lot.items[: lines if whole or lines < 3 else lines - 1]
        rows: list[_Row] = []
        for item in shown:
            rows += self._item(lot, item, first=not rows, hints=hints)
        more = lot.total - len(shown)
        if more > 0 and lines >= 3:
            rows.append(_Row("", "dim", None, f"+ {more:,} more"))
        elif more > 0:
            rows[-1] = rows[-1]._replace(amount=f"+ {more:,} more", operations="")
        return rows

    def _item(self, lot: Lot, item: Item, *, first: bool, hints: bool) -> list[_Row]:
        label = lot.label if first else ""
        if item.effect is not None:
            note = inert("; ".join(filter(None, (item.note, "" if lot.kind == "odd" else self._why(item.effect)))))
            amount, numbers = words.holds(item.effect), words.operations(item.effect)
            named = f"{item.effect.id} {numbers}".rstrip() if self.preview.plan else numbers
            return [_Row(label, lot.kind, item, "", note, amount, named)]
        if item.problem is None:
            return []
        found, where = item.problem, f"#{item.problem.operation}" if item.problem.operation else ""
        text, code = sentence(found.message), inert(found.code)
        if lot.kind != "error":
            return [_Row(label, lot.kind, None, text, "", "", where)]
        label = f"error {where}".strip()
        if not hints:
            return [_Row(label, lot.kind, None, f"{text} ({code})")]
        ready = ", ".join(filter(None, (code, words.suggestion(found))))
        advice = ": ".join(filter(None, (ready, sentence(found.hint))))
        return [_Row(label, lot.kind, None, text), _Row("", "dim", None, advice)]

    def _set(self, rows: list[_Row], spare: int) -> list[str]:
        """The rows with their columns; remarks that do not fit beside go below, while there are `spare` lines."""
        left = 2 + max(columns(row.label) for row in rows) + 2
        amount = min(max(columns(row.amount) for row in rows), (self.width - left) // 3)
        numbers = max(columns(row.operations) for row in rows)
        right = amount + 2 * bool(amount) + numbers + 2 * bool(numbers)
        texts = [self._text(row, self.width - left - right * bool(row.amount or row.operations)) for row in rows]
        measured = [columns(text) for text, row in zip(texts, rows, strict=True) if row.amount or row.operations]
        wide = max(measured, default=0)
        beside = self.width - left - wide - right - 2
        lines = []
        for row, text in zip(rows, texts, strict=True):
            below = bool(row.note) and columns(row.note) > beside and spare > 0
            spare -= below
            note = clip(row.note, beside) if not below and (beside >= NOTE or columns(row.note) <= beside) else ""
            lines.append(self._line(row, left, text, wide, (amount, numbers), note))
            if below:
                lines.append(" " * (left + 2) + self.ink(clip(row.note, self.width - left - 2), "dim"))
        return lines

    def _line(self, row: _Row, left: int, text: str, wide: int, right: tuple[int, int], note: str) -> str:
        line = self.ink(pad(f"  {row.label}", left), row.style)
        line += self.ink(text, "dim") if row.style == "dim" else text
        if row.amount or row.operations or note:
            cells = [" " * (wide - columns(text))]
            cells += [pad(clip(row.amount, right[0]), right[0], right=True)] * bool(right[0])
            cells += [pad(row.operations, right[1])] * bool(right[1])
            line += self.ink("  ".join([*cells, note]).rstrip(), "dim")
        return line.rstrip()

    def _text(self, row: _Row, room: int) -> str:
        effect = row.item.effect if row.item else None
        if effect is None:
            return clip(row.text, room)
        verb = f"{effect.effect} " if row.style == "odd" and effect.effect != "moved" else ""
        return verb + effect_line(effect, room - len(verb), self.case)

    def _why(self, effect: Effect) -> str:
        """The reason that the plan gives for an effect: that of its last operation that has one."""
        for number in reversed(effect.operations):
            if 0 < number <= len(self.operations) and self.operations[number - 1].why:
                return str(self.operations[number - 1].why)
        return ""

    # Everything else, by its shape

    def _patterns(self, room: int) -> list[str]:
        """The patterns in at most `room` lines, blank line and heading among them."""
        shown = self.preview.patterns
        if not shown or room < 4:
            return []
        lines = ["", self.ink("Everything else, rarest first", "title")]
        if not lots(self.preview):
            lines = [self.ink("Effects by pattern, rarest first", "title")]
        room -= len(lines)
        many = self.preview.pattern_count
        head, tail = list(shown), list[Pattern]()
        if many > room:
            complete = many == len(shown)
            tail = list(shown[-2:]) if complete else []
            head = list(shown[: room - 1 - len(tail)])
        examples = self._examples(head, room) if many <= room else 0
        made = self._pattern_lines([*head, *tail], examples)
        if more := many - len(head) - len(tail):
            note = self.ink(f"  + {words.plural(more, 'more pattern', 'more patterns')}", "dim")
            made.insert(len(made) - len(tail), note)
        return lines + made

    def _examples(self, patterns: Sequence[Pattern], room: int) -> int:
        """How many examples each pattern may show."""
        spare = room - len(patterns)
        for most in range(EXAMPLES, 0, -1):
            if sum(min(most, len(pattern.examples)) for pattern in patterns if pattern.count > 1) <= spare:
                return most
        return 0

    def _pattern_lines(self, patterns: Sequence[Pattern], examples: int) -> list[str]:
        """A line for each pattern, its amount in a column, and its examples below it."""
        widest = len(f"{max(pattern.count for pattern in patterns):,}")
        heads = [f"  {pattern.effect:8}  {pattern.count:{widest},} x " for pattern in patterns]
        ids = max(len(pattern.id) for pattern in patterns) if self.preview.plan else 0
        amounts = [self._amount(pattern) + (f"  {pattern.id:{ids}}" if ids else "") for pattern in patterns]
        right = max(map(len, amounts))
        room = self.width - len(heads[0]) - right - 2 * bool(right)
        texts = [pattern_line(pattern, room, self.case) for pattern in patterns]
        wide = max(map(columns, texts))
        lines = []
        for pattern, head, text, amount in zip(patterns, heads, texts, amounts, strict=True):
            detail = f"{pad('', wide - columns(text))}  {amount:>{right}}" if amount else ""
            lines.append(self.ink(head, pattern.effect) + text + self.ink(detail, "dim"))
            for effect in pattern.examples[: examples if pattern.count > 1 else 0]:
                line = effect_line(effect, self.width - len(head), self.case)
                lines.append(" " * len(head) + self.ink(line, "dim"))
        return lines

    def _amount(self, pattern: Pattern) -> str:
        held = pattern.files != pattern.count and pattern.files
        files = words.plural(pattern.files, "file") if held else ""
        return ", ".join(filter(None, (files, words.size(pattern.size) if pattern.size else "")))

    def _operations(self, room: int) -> list[str]:
        """The first rows of the table of operations, where there is room for a few."""
        if not self.operations or room < 6:
            return []
        count = len(self.operations)
        fits = count <= room - 3
        rows = operation_rows(self.operations, self.preview.problems)
        first = list(islice(rows, count if fits else room - 4))
        lines = ["", self.ink("What the plan says", "title")]
        lines += ["  " + line for line in tables.operation_lines(first, width=self.width - 2, color=self.ink.color)]
        if not fits:
            where = f": treegate show {inert(self.preview.plan)} --operations" if self.preview.plan else ""
            lines.append(self.ink(clip(f"  + {count - len(first):,} more{where}", self.width), "dim"))
        return lines

    # The foot: what holds, and what to type

    def _facts(self) -> list[str]:
        shown = self.preview
        facts = [
            ("Came of", words.origin(shown)),
            ("Folders", self._implied()),
            ("Settings", f"{words.plural(shown.counts.set, 'entry', 'entries')} with another mode or time")
            if shown.counts.set else ("", ""),
            ("Kept", "deleted and replaced things go to the vault; undo brings them back")
            if shown.counts.deleted or shown.counts.replaced else ("", ""),
            ("Backups", words.backup(shown.backup) if shown.backup else ""),
            *[("Weaker here", text) for text in self._weak()],
            *[("Note", sentence(note)) for note in _few(shown.notes)],
            ("If stale", words.stale(shown)) if shown.valid else ("", ""),
            *[("Approvals", text) for text in self._approvals()],
            *[("Other plans", other) for other in words.others(shown)],
            ("Waiting for", inert(shown.waiting_for)),
        ]  # fmt: skip
        given = [(label, text) for label, text in facts if text]
        lines: list[str] = [""] if given else []
        for at, (label, text) in enumerate(given):
            head = "" if at and given[at - 1][0] == label else label
            for line in wrap(text, self.width - 13, 2):
                lines.append(self.ink(f"{head:13}", "dim") + line)
                head = ""
        return lines

    def _approvals(self) -> list[str]:
        """Who has to say yes; each rule that asks for something has a line of its own."""
        if not self.preview.valid:
            return []
        why = [inert(one) for one in self.preview.approvals.why]
        return ["; ".join([words.approvals(self.preview), *why[:1]]), *_few(why[1:])]

    def _implied(self) -> str:
        """The folders that are made on the way, as many as fit."""
        shown, count = self.preview.implied, self.preview.implied_count
        if not count:
            return ""
        room, names = 2 * (self.width - 13) - 60, list[str]()
        for path in shown:
            text = name(path, self.case, folder=True)
            if names and columns(", ".join([*names, text])) > room:
                break
            names.append(cut(text, room))
        more = f" and {count - len(names):,} more" if count > len(names) else ""
        return f"made on the way: {', '.join(names)}{more}"

    def _weak(self) -> list[str]:
        weak = self.preview.weak
        many = len({case for weakness in weak for case in weakness.cases}) > 1 or len(self.preview.cases) > 1
        texts = [
            (f"{words.listed([inert(case) for case in weakness.cases])}: " if many else "")
            + sentence(weakness.message)
            for weakness in weak
        ]
        return _few(texts)

    def _next(self) -> list[str]:
        if not self.commands:
            return []
        wide = max(columns(command) for command, _ in self.commands)
        lines = [""]
        for command, meaning in self.commands:
            text = clip(inert(command), self.width - 2)
            room = self.width - 2 - max(wide, columns(text)) - 2
            beside = "  " + clip(inert(meaning), room) if room >= NOTE else ""
            lines.append("  " + self.ink(pad(text, wide) if beside else text, "command") + self.ink(beside, "dim"))
        return lines


def _few(texts: Sequence[str], most: int = 3) -> list[str]:
    return [*texts[:most], f"+ {len(texts) - most:,} more {ELLIPSIS}"] if len(texts) > most else list(texts)
