"""Looking: what cases there are, what is in their folders, in their files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from treegate.errors import PlanError
from treegate.gate.outcomes import Entries, cursor_of
from treegate.interfaces.agent import telling
from treegate.interfaces.agent.desk import Desk
from treegate.interfaces.agent.tool import Taken, Tool
from treegate.model.effects import Raw, Text, untagged

Case = Annotated[str, Meta(description="The case: a folder directly below projects/.", max_length=1024)]
Path = Annotated[
    str | Raw, Meta(description='A path within the case. One that is not UTF-8 is {"raw": percent-encoded bytes}.')
]
Cursor = Annotated[str, Meta(description="Where to go on: `next` of the answer before.", max_length=16_384)]
Limit = Annotated[int, Meta(ge=1, le=500, description="The most entries of one answer.")]
_PAGE = 100
_MOST_TEXT = 1 << 16
_MOST_BYTES = 1 << 15  # of a list


class ListFiles(Taken, frozen=True, kw_only=True):
    """A folder."""

    case: Annotated[str, Meta(description="The case; without one, the cases are listed.", max_length=1024)] = ""
    folder: Annotated[str | Raw, Meta(description="A folder of it; without one, the case itself.")] = ""
    cursor: Cursor = ""
    limit: Limit = _PAGE


class FindFiles(Taken, frozen=True, kw_only=True):
    """A pattern."""

    case: Case
    match: Annotated[
        str, Meta(description="A glob: `*` `?` `[a-z]` within a name, `**` across folders; `**/` finds folders.")
    ] = "**"
    containing: Annotated[str, Meta(description="Only lines of text files that hold this, literally.")] = ""
    cursor: Cursor = ""
    limit: Limit = _PAGE


class ReadText(Taken, frozen=True, kw_only=True):
    """A file."""

    case: Case
    path: Path
    offset: Annotated[int, Meta(ge=0, lt=1 << 53, description="The byte to begin at: `next` of before.")] = 0
    length: Annotated[int, Meta(ge=4, le=_MOST_TEXT, description="The most bytes of one answer.")] = 16_384


class FileInfo(Taken, frozen=True, kw_only=True):
    """An entry."""

    case: Case
    path: Path


def list_files(desk: Desk, asked: ListFiles) -> dict[str, Any]:
    """The cases, or what a folder holds."""
    if not asked.case:
        return _cases(desk, asked)
    page = desk.door.list_outcome(asked.case, untagged(asked.folder), cursor=asked.cursor, limit=asked.limit)
    return _told(page, lambda path: path.rpartition("/")[2])


def _cases(desk: Desk, asked: ListFiles) -> dict[str, Any]:
    if asked.folder:
        hint = "say of which `case`; list_files without one says which there are"
        raise PlanError("a folder is one of a case", code="arguments-invalid", hint=hint)
    found = [one for one in desk.door.cases() if not asked.cursor or cursor_of(untagged(one.case)) > asked.cursor]
    shown = found[: asked.limit]
    more = {"next": cursor_of(untagged(shown[-1].case))} if len(found) > len(shown) else {}
    return {"data": {"cases": [{"case": one.case, "plans_waiting": one.waiting} for one in shown]}, **more}


def _told(page: Entries, place: Callable[[str], str]) -> dict[str, Any]:
    """As much of a page as an answer may have, and where to go on; `place` is what a cursor names."""
    entries: list[dict[str, Any]] = []
    left = _MOST_BYTES
    for one in page.entries:
        told = telling.entry(one, _named(one.path, one.kind))
        left -= len(msgspec.json.encode(told))
        if left < 0 and entries:
            last = page.entries[len(entries) - 1]
            return {"data": {"entries": entries}, "next": cursor_of(place(untagged(last.path)))}
        entries.append(told)
    return {"data": {"entries": entries}, **({} if page.next is None else {"next": page.next})}


def find_files(desk: Desk, asked: FindFiles) -> dict[str, Any]:
    """What a glob means; with `containing`, lines."""
    if asked.containing:
        hits = desk.door.seek_in_outcome(asked.case, asked.containing, asked.match, limit=asked.limit)
        lines = [{"path": hit.path, "line": hit.line, "text": hit.text} for hit in hits.hits]
        return {"data": {"lines": lines}, **({} if hits.complete else {"complete": False})}
    page = desk.door.find_in_outcome(asked.case, asked.match, cursor=asked.cursor, limit=asked.limit)
    return _told(page, str)


def read_text(desk: Desk, asked: ReadText) -> dict[str, Any]:
    """A piece of a text file, cut at the end of a line where there is one."""
    piece = desk.door.read_outcome(asked.case, untagged(asked.path), offset=asked.offset, length=asked.length)
    if b"\0" in piece.data:
        hint = "only texts are read here; run_sandboxed can run a program on it, such as pdftotext"
        raise PlanError("the file is not a text", code="not-text", hint=hint)
    size, data = piece.entry.size, piece.data
    if asked.offset + len(data) < size:
        data = _cut(data)
    after = asked.offset + len(data)
    told: dict[str, Any] = {"size": size, "data": {"text": data.decode("utf-8", "replace")}}
    return told | ({"next": after} if after < size and data else {})


def file_info(desk: Desk, asked: FileInfo) -> dict[str, Any]:
    """All about one entry."""
    info = desk.door.outcome_info(asked.case, untagged(asked.path))
    more: dict[str, Any] = {"mode": info.mode, "sha256": info.sha256, "target": info.target, "holds": info.holds}
    return {"data": telling.entry(info.entry, info.entry.path) | {key: one for key, one in more.items() if one}}


def _named(path: Text, kind: str) -> Text:
    """A folder ends in a slash, as in `ls -p`."""
    if kind != "dir":
        return path
    return f"{path}/" if isinstance(path, str) else Raw(f"{path.raw}/")


def _cut(data: bytes) -> bytes:
    """Whole lines if there are any; else whole characters."""
    end = data.rfind(b"\n") + 1
    if end:
        return data[:end]
    for short in range(1, 4):  # a character of UTF-8 has four bytes at most
        if len(data) > short and data[-short] & 0xC0 == 0xC0:
            return data[:-short]
    return data


TOOLS = (
    Tool(
        name="list_files",
        says="List a folder of a case, or (without a case) the cases. Reads only; paged by `next`.",
        takes=ListFiles,
        does=list_files,
        reads=True,
        repeats=True,
        tells_data=True,
    ),
    Tool(
        name="find_files",
        says="Find files of a case by a glob, or lines of text in them. Reads only; paged by `next`.",
        takes=FindFiles,
        does=find_files,
        reads=True,
        repeats=True,
        tells_data=True,
    ),
    Tool(
        name="read_text",
        says="Read a text file of a case, piece by piece.",
        takes=ReadText,
        does=read_text,
        reads=True,
        repeats=True,
        tells_data=True,
    ),
    Tool(
        name="file_info",
        says="Size, time, mode and SHA-256 of a file; how much a folder holds; where a link points.",
        takes=FileInfo,
        does=file_info,
        reads=True,
        repeats=True,
        tells_data=True,
    ),
)
