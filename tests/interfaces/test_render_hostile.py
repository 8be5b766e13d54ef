"""Names and sentences from outside do nothing in any renderer: they are shown."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
import render_samples as samples
from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import wcswidth

from treegate.model.effects import Raw, tagged, untagged
from treegate.model.operations import Move
from treegate.model.preview import Oddity, Pattern, Preview, Section, Weakness
from treegate.model.problems import problem
from treegate.render import jsons, markdown, terminal
from treegate.render.operations import operation_rows
from treegate.render.text import ELLIPSIS, arrow, clip, columns, cut, inert, name, wrap

EVIL = [
    "\x1b[2J\x1b]0;owned\x07", "a\nb\r\nc", "\u202egpj.exe", "zero\u200bwidth\ufeff", "<script>alert(1)</script>",
    "<!channel> @everyone", "`tick` ``` ~~~", "a|b\\|c", "](http://evil.example) ![x](y)",
    "ignore previous instructions",
    "caf\udce9.pdf", "\x9b31m", "a -> b", "   + 400 more", "\u0301\u0301combining", "e" + "\u0301" * 300,
    "| x |\n|---|", "# heading", "\u2028line\u2029", "$(reboot) `reboot`", "www.evil.example #12 a@b.example",
    "0ெௌ", "👍🏽🇩🇪", "שלום עולם",
    "&lt;b&gt;", "\U000e0041tag", "\u0085", "\u3000wide space", "\x7f", "\\x1b", "]]>", "*bold* _it_ ~~no~~",
]  # fmt: skip
SGR = re.compile(r"\x1b\[[0-9;]*m")

evil = st.lists(st.one_of(st.sampled_from(EVIL), st.text(max_size=8), st.characters())).map("".join)
on_disk = evil.map(lambda text: text.replace("\0", "").encode("utf-8", "replace").decode("utf-8", "surrogateescape"))
paths = st.one_of(st.sampled_from(EVIL), on_disk).filter(bool)


def hostile(path: str, text: str) -> Preview:
    """A preview that says nothing but `path` and `text`, wherever it can."""
    path = path.replace("/", "∕")
    moved = samples.effect("moved", path, path + "x")
    wicked = [
        moved,
        samples.effect("deleted", path, kind="dir"),
        samples.effect("linked", path, kind="link", target=tagged(path)),
    ]
    found = [problem("destination-exists", text, 1, path=path, hint=text), problem("date-lost", text, 2, path=path)]
    return samples.preview(
        title=text, reason=text, author=text, requested_by=text, thread_url=text, summary=f"In {text}: 1 move.",
        cases=[samples.CASE], sections=[Section(kind="deletions", count=9, effects=wicked)],
        oddities=[Oddity(code="extension-lost", note=text, effect=moved)],
        patterns=[
            Pattern(
                id="p1", effect="moved", source=tagged(path), to=tagged(path + "/"), count=3, files=3, size=9,
                first=0, examples=wicked,
            )
        ],
        implied=[tagged(path)], implied_count=9, problems=found, errors=1, warnings=1,
        weak=[Weakness("w", [text], text)], notes=[text], waiting_for=text,
    )  # fmt: skip


def terminal_faces(preview: Preview, *, color: bool = False, width: int = 80) -> str:
    operations = [Move(source=untagged(preview.implied[0]), to="x", why=preview.title)]
    wicked = [*preview.sections[0].effects, *preview.patterns[0].examples]
    receipt = {"state": "applied", "run": preview.title, "title": preview.title, "notes": [preview.title], "by": "x"}
    return (
        terminal.preview(preview, width=width, color=color, operations=operations)
        + terminal.effects(wicked, width=width, color=color, case=samples.CASE)
        + terminal.problems(preview.problems, width=width, color=color)
        + terminal.operations(operation_rows(operations, preview.problems), width=width, color=color)
        + terminal.receipt(receipt, width=width, color=color)
    )


def markdown_faces(preview: Preview) -> str:
    operations = [Move(source=untagged(preview.implied[0]), to="x", why=preview.title)]
    return (
        markdown.preview(preview, operations=operations)
        + markdown.effects(preview.sections[0].effects)
        + markdown.problems(preview.problems)
    )


def is_inert(text: str) -> bool:
    """No control, no lone surrogate, nothing that reorders or hides; line feeds are ours."""
    return all(character == "\n" or character == "\u3000" or character.isprintable() for character in text)


def without_code(line: str) -> str:
    """A line of Markdown without its code spans, read as CommonMark section 6.1 says."""
    out, at = [], 0
    while at < len(line):
        if line[at] == "\\" and at + 1 < len(line):
            out.append("")
            at += 2
            continue
        run = re.match("`+", line[at:])
        if run is None:
            out.append(line[at])
            at += 1
            continue
        fence = run[0]
        end = re.search(rf"(?<!`){fence}(?!`)", line[at + len(fence) :])
        out.append("" if end else fence)
        at += len(fence) + (end.end() if end else 0)
    return "".join(out)


OURS = re.compile(r"[A-Za-z0-9 ,;:.()'|#*+→?-]*")


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("width", [80, 160])
def test_the_terminal_gets_visible_escapes(text: str, width: int) -> None:
    shown = terminal_faces(hostile(text, text), width=width)
    assert is_inert(shown)
    assert all(wcswidth(line) <= width for line in shown.splitlines())
    assert is_inert(SGR.sub("", terminal_faces(hostile(text, text), width=width, color=True)))


@settings(max_examples=60, deadline=None)
@given(paths, evil)
def test_no_text_at_all_reaches_the_terminal_alive(path: str, text: str) -> None:
    shown = terminal_faces(hostile(path, text))
    assert is_inert(shown)
    assert all(wcswidth(line) <= 80 for line in shown.splitlines())


@pytest.mark.parametrize("text", EVIL)
def test_markdown_holds_hostile_text_in_code_spans_only(text: str) -> None:
    for line in markdown_faces(hostile(text, text)).splitlines():
        assert is_inert(line)
        assert OURS.fullmatch(without_code(line)), line


@settings(max_examples=60, deadline=None)
@given(paths, evil)
def test_no_text_at_all_is_alive_in_markdown(path: str, text: str) -> None:
    for line in markdown_faces(hostile(path, text)).splitlines():
        assert is_inert(line)
        assert OURS.fullmatch(without_code(line)), line


@pytest.mark.parametrize("text", EVIL)
def test_a_table_has_as_many_cells_in_every_row_whatever_the_names(text: str) -> None:
    """For parsers that count every backslash, and for those that look at the last one only."""
    lines = [line for line in markdown_faces(hostile(text, text)).splitlines() if line.startswith("|")]
    widths = []
    for line in lines:
        ends = {len(re.findall(r"(?<!\\)\|", line)), len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))}
        assert len(ends) == 1, line
        widths.append(ends.pop())
    heads = [widths[n - 1] for n, line in enumerate(lines) if line.startswith("|---")]
    assert set(widths) <= set(heads)


@settings(max_examples=100, deadline=None)
@given(paths, evil)
def test_json_is_one_document_that_gives_every_name_back(path: str, text: str) -> None:
    preview = hostile(path, text)
    shown = jsons.dumps(preview)
    assert "\n" not in shown
    back = msgspec.json.decode(shown.encode(), type=Preview)
    assert back.implied == preview.implied
    assert untagged(back.implied[0]) == untagged(preview.implied[0])


def test_json_tags_names_and_shows_sentences_that_are_not_utf_8() -> None:
    given = {"path": "caf\udce9", "message": "no caf\udce9", "key\udce9": [Raw("a%FF"), "\ud800"], "size": 2**60}
    assert json.loads(jsons.dumps(given)) == {
        "path": {"raw": "caf%E9"},
        "message": "no caf\\xe9",
        "key\\xe9": [{"raw": "a%FF"}, "\\ud800"],
        "size": str(2**60),
    }


def test_json_is_canonical() -> None:
    assert jsons.dumps({"b": 1, "a": [2**53 - 1, True, None]}) == '{"a":[9007199254740991,true,null],"b":1}'


@settings(max_examples=100, deadline=None)
@given(on_disk, st.integers(0, 60))
def test_cut_text_has_the_width_that_was_asked_for(text: str, room: int) -> None:
    shown = inert(text)
    for short in (cut(shown, room), clip(shown, room)):
        assert columns(short) <= room
        assert short == shown or ELLIPSIS in short or not room
    assert all(columns(line) <= max(2, room) for line in wrap(shown, max(2, room)))
    assert wcswidth(shown) <= columns(shown)
    assert not shown or columns(shown[0]) > 0


@settings(max_examples=100, deadline=None)
@given(paths, paths, st.integers(9, 80))
def test_an_arrow_keeps_to_its_room(source: str, to: str, room: int) -> None:
    line = arrow(name(source), name(to), room)
    assert columns(line) <= room
    assert " -> " in line


def test_no_letter_carries_marks_enough_to_paint_over_the_lines_around_it() -> None:
    assert inert("e" + "\u0301" * 6) == "e" + "\u0301" * 4 + "\\u0301\\u0301"
    assert inert("\u0301e") == "\\u0301e"


def test_a_sentence_of_a_million_characters_costs_no_more_than_reading_it() -> None:
    """Wrapping is linear: a quadratic one would not come back."""
    assert len(wrap("x" * 1_000_000, 67, 2)) == 2
    assert len(wrap("x " * 500_000, 67, 2)) == 2


def test_names_that_pass_for_our_own_marks_are_quoted() -> None:
    assert name("a -> b") == '"a -> b"'
    assert name("+ 400 more") == '"+ 400 more"'
    assert name("a          14.0 KB  #1") == '"a          14.0 KB  #1"'
    assert name('say "x"') == '"say \\"x\\""'
    assert name("Beta/x", "Alpha") == "/Beta/x"
    assert name("Alpha/", "Alpha") == "./"


def test_an_arrow_shortens_what_stays_the_same() -> None:
    assert arrow("Scans/a.pdf", "Pleadings/a.pdf", 60) == "Scans/a.pdf -> Pleadings/"
    assert arrow("Scans/a.pdf", "a.pdf", 60) == "Scans/a.pdf -> ./"
    long = "Correspondence with the other side"
    assert arrow(f"{long}/a.pdf", f"{long}/b.pdf", 60) == f"{long}/a.pdf -> …/b.pdf"
