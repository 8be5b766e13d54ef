"""HTML: a preview as one page that stands for itself, without script, style or link; all text in it is inert.

It says what the Markdown of the same preview says; the pages of the service, which are worked with, are others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from treegate.model.effects import untagged
from treegate.model.preview import Pattern, Preview
from treegate.model.problems import Problem
from treegate.render import words
from treegate.render.grave import Item, Lot, lots
from treegate.render.lines import ends, only_case, pattern_line
from treegate.render.text import clip, cut, inert, name, sentence

MOST = 200  # rows of one table, and problems that are listed
PATH, SENTENCE = 400, 1000  # columns of a path and of a sentence that are shown
_MEANT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_GRAVE = ("path", "becomes", "size", "operation", "remark")
_PATTERNS = ("effect", "pattern", "files", "size", "example")
_HEAD = (
    '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">'
)


def preview(preview: Preview) -> str:
    """The whole preview as a document."""
    title = escape(clip(inert(preview.title or f"Plan {preview.plan}".strip()), SENTENCE))
    case = only_case(preview)
    grave = lots(preview)
    parts = [
        f"{_HEAD}\n<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>",
        f"<p>{_said(preview.summary)}</p>",
        _list(_origin(preview)),
        *(_lot(lot, case) for lot in grave if lot.kind != "error"),
        _problems(preview.problems),
        _patterns(preview, case, "Everything else, rarest first" if grave else "Effects, rarest first"),
        _folders(preview, case),
        _section("Before it is applied", _list(_facts(preview))),
        "</body>\n</html>",
    ]
    return "".join(f"{part}\n" for part in parts if part)


def escape(text: str) -> str:
    """Text in which no character means anything to HTML."""
    return text.translate(_MEANT)


def _said(text: str, room: int = SENTENCE) -> str:
    return escape(clip(sentence(text), room))


def _code(text: str) -> str:
    return f"<code>{escape(cut(text, PATH))}</code>" if text else ""


def _section(title: str, body: str) -> str:
    return f"<h2>{title}</h2>\n{body}" if body else ""


def _list(items: Iterable[str], more: int = 0) -> str:
    rows = [*items, *([f"{more:,} more"] if more > 0 else [])]
    return "<ul>\n" + "".join(f"<li>{row}</li>\n" for row in rows) + "</ul>" if rows else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], more: int) -> str:
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    foot = f"\n<p>{more:,} more</p>" if more > 0 else ""
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>{foot}"


def _origin(shown: Preview) -> Iterator[str]:
    """Which plan this is, by whom and why."""
    plan = f"{_code(inert(shown.plan))}, revision {shown.revision}" if shown.plan else "Not submitted"
    yield f"{plan}, digest <code>{escape(shown.digest)}</code>"
    said = (
        ("Written by", shown.author),
        ("Asked for by", shown.requested_by),
        ("Takes back", shown.undo_of),
        ("Thread:", shown.thread_url),
        ("Why:", shown.reason),
    )
    yield from (f"{word} {_said(text)}" for word, text in said if text)


def _lot(lot: Lot, case: str) -> str:
    shown = lot.items[:MOST]
    rows = (_row(item, case) for item in shown)
    return _section(f"{escape(lot.label.capitalize())} ({lot.total:,})", _table(_GRAVE, rows, lot.total - len(shown)))


def _row(item: Item, case: str) -> Sequence[str]:
    found, effect = item.problem, item.effect
    if effect is not None:
        source, to = ends(effect, case)
        path, becomes = (source, to) if source else (to, "")
        return _code(path), _code(becomes), words.holds(effect), escape(words.operations(effect)), _said(item.note)
    assert found is not None
    path = name(found.path, case) if found.path is not None and untagged(found.path) else ""
    remark = f"{_code(inert(found.code))} {_said(found.message)}"
    return _code(path), "", "", f"{found.operation or ''}", remark


def _problems(problems: Sequence[Problem]) -> str:
    """Errors first."""
    found = sorted(problems, key=lambda one: one.severity)
    body = _list(map(_problem, found[:MOST]), len(found) - MOST)
    return _section(f"Problems ({len(found):,})", body)


def _problem(found: Problem) -> str:
    where = f" in operation {found.operation}" if found.operation else ""
    told = f"<strong>{found.severity}</strong>{where}: {_said(found.message)} ({_code(inert(found.code))})"
    return "; ".join(part for part in (told, _said(found.hint), escape(words.suggestion(found))) if part)


def _patterns(shown: Preview, case: str, title: str) -> str:
    if not shown.patterns:
        return ""
    rows = (_pattern(pattern, case) for pattern in shown.patterns[:MOST])
    return _section(title, _table(_PATTERNS, rows, shown.pattern_count - min(len(shown.patterns), MOST)))


def _pattern(pattern: Pattern, case: str) -> Sequence[str]:
    before, after = ends(pattern.examples[0], case) if pattern.examples else ("", "")
    shape = f"{pattern.count:,} x {pattern_line(pattern, PATH, case)}"
    files = f"{pattern.files:,}" if pattern.files else ""
    example = " → ".join(_code(end) for end in (before, after) if end)
    return pattern.effect, _code(shape), files, words.size(pattern.size) if pattern.size else "", example


def _folders(shown: Preview, case: str) -> str:
    made = [_code(name(path, case, folder=True)) for path in shown.implied[:MOST]]
    body = _list(made, shown.implied_count - len(made))
    return _section(f"Folders made on the way ({shown.implied_count:,})", body)


def _facts(shown: Preview) -> Iterator[str]:
    """What holds of it before it is carried out."""
    if shown.counts.deleted or shown.counts.replaced:
        yield "What is deleted or replaced goes to the vault, from where it can be brought back."
    if came := words.origin(shown):
        yield f"It is what a command did in a sandbox: {_said(came)}."
    if shown.counts.set:
        yield f"{words.plural(shown.counts.set, 'entry', 'entries')} with another mode or time."
    if shown.backup:
        yield f"Backups: {escape(words.backup(shown.backup))}."
    for weakness in shown.weak:
        yield f"Weaker in {escape(words.listed([inert(case) for case in weakness.cases]))}: {_said(weakness.message)}"
    yield from (f"Note: {_said(note)}" for note in shown.notes)
    if shown.valid:
        stale, why = words.stale(shown), "; ".join(_said(why) for why in shown.approvals.why)
        yield f"{escape(stale[:1].upper() + stale[1:])}."
        yield f"Approvals: {escape(words.approvals(shown))}{f' ({why})' if why else ''}."
    yield from (f"{_said(other)}." for other in words.others(shown))
    if shown.waiting_for:
        yield f"Waiting for {_said(shown.waiting_for)}."
