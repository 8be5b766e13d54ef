"""new: a plan without writing JSON, from an edited list of the case's tree, a table, or a few moves."""

from __future__ import annotations

import csv
import io
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import click

from treegate.errors import Denied, NotFound, PlanError, UsageError
from treegate.interfaces.cli import common
from treegate.model import worksheet
from treegate.model.names import visible
from treegate.render import words

_BEFORE = ".before"  # beside an edited sheet: the same as it was
_SHOWN = 20  # faults or deletions that are listed


@click.command("new")
@click.argument("case")
@click.option("--edit", is_flag=True, help="Edit the list of the case's paths in $VISUAL or $EDITOR.")
@click.option("--from", "sheet", metavar="F", help="With --edit: go on with a list that was edited before.")
@click.option("--csv", "table", metavar="F", help="A table of from,to (a file, or - for standard input).")
@click.option("--mv", "moves", nargs=2, multiple=True, metavar="A B", help="Move A to B; may be repeated.")
@click.option("--title", default="", help="The plan's title.")
@click.option("--reason", default="", help="Why: the reviewer reads it.")
@click.option("--delete-missing", is_flag=True, help="With --edit: lines that are taken out are deletions, unasked.")
@click.option("-o", "--output", metavar="F", help="Write the plan there, to a file that is not there yet.")
@common.options
def new_command(
    case: str,
    edit: bool,
    sheet: str | None,
    table: str | None,
    moves: tuple[tuple[str, str], ...],
    title: str,
    reason: str,
    delete_missing: bool,
    output: str | None,
    workspace: str | None,
    state: str | None,
    as_json: bool,
) -> None:
    """Write a plan without writing JSON; it is printed, or written with -o. Nothing is changed, nothing submitted.

    With none of --edit, --csv and --mv: the beginning of a plan, which names the case and has no operations yet.
    """
    if edit + (table is not None) + bool(moves) > 1:
        text = "name one of --edit, --csv F, --mv A B"
        raise UsageError(text, code="usage", next="treegate new --help")
    target = None if output is None else _new(Path(output))
    gate = common.open_gate(workspace, state)
    if edit:
        document, edited = _edited(gate, case, sheet, delete_missing, (title, reason))
        _print(document, target, as_json)
        _forget(edited)
        return
    pairs = list(_table(table)) if table is not None else list(moves)
    _print(gate.write_moves(case, _pairs(pairs), title, reason), target, as_json)


def _pairs(given: list[tuple[str, str]]) -> list[Any]:
    from treegate.gate.writing import Pair

    return [Pair(*pair) for pair in given]


def _new(target: Path) -> Path:
    if target.exists():
        text, hint = f"{visible(str(target))} is there already", "name another file: what is there stays"
        raise UsageError(text, code="file-exists", hint=hint, next="treegate new --help")
    return target


def _print(document: bytes, target: Path | None, as_json: bool) -> None:
    from treegate.engine.workspace import replace_file

    if target is None:
        click.echo(document.decode(), nl=False)
        return
    try:
        replace_file(target, document)
    except OSError as error:
        text = f"{visible(str(target))} cannot be written: {error.strerror}"
        raise UsageError(text, code="file-unwritable", hint="name another file", next="treegate new --help") from None
    if as_json:
        common.emit({"written": str(target)})
    else:
        common.say(f"next: treegate check {shlex.quote(visible(str(target)))}")


# --- a table ---------------------------------------------------------------------------------------------------


def _table(name: str) -> Iterator[tuple[str, str]]:
    """The rows of a table; raises PlanError that names every row that is none."""
    text = common.read_document(name)
    try:
        lines = io.StringIO(text.decode("utf-8-sig"), newline="")
    except UnicodeDecodeError as error:
        raise _bad_table(name, [f"byte {error.start} is not UTF-8"]) from None
    reader = csv.reader(lines, strict=True)
    rows, faults = [], []
    try:
        for row in reader:
            cells = [cell.strip() if cell.strip() == "" else cell for cell in row]
            if reader.line_num == 1 and [cell.strip().lower() for cell in row] == ["from", "to"]:
                continue
            if not any(cells):
                continue
            if len(cells) != 2 or not all(cells):
                faults.append(f"line {reader.line_num}: {len(cells)} cells, where a path from and a path to belong")
            else:
                rows.append((cells[0], cells[1]))
    except csv.Error as error:
        faults.append(f"line {reader.line_num}: {error}")
    if faults or not rows:
        raise _bad_table(name, faults or ["there is no row in it"])
    yield from rows


def _bad_table(name: str, faults: list[str]) -> PlanError:
    text = "\n".join([f"{name} is no table of from,to:", *_few(faults)])
    hint = 'two cells a row, in quotes where they hold a comma: "old, old.pdf",new.pdf'
    return PlanError(text, code="table-invalid", hint=hint, next="treegate new --help")


def _few(faults: list[str]) -> list[str]:
    more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
    return [*faults[:_SHOWN], *more]


# --- a list of paths in an editor ------------------------------------------------------------------------------


def _edited(
    gate: Any, case: str, sheet: str | None, delete_missing: bool, head: tuple[str, str]
) -> tuple[bytes, Path]:
    """The plan that an edited list means, and the list, which is kept wherever it does not become a plan."""
    path = _written(gate, case) if sheet is None else _found(Path(sheet))
    before = _read(path.with_name(path.name + _BEFORE))
    status = _edit(path)
    after = _read(path)
    if status:
        _failed(path, case, status, touched=after != before)
    if after == before:
        _forget(path)
        text = "nothing was edited, so there is no plan"
        raise UsageError(text, code="nothing-edited", next=f"treegate new {shlex.quote(case)} --edit")
    found = gate.read_sheet(case, after, before)
    if found.faults:
        told = [f"line {fault.line}: {fault.text}" if fault.line else fault.text for fault in found.faults]
        _keep(path, case, PlanError, "sheet-invalid", "\n".join(["the edited list is no plan yet:", *_few(told)]))
    if found.deleted and not delete_missing:
        _confirm(path, case, found.deleted)
    if not found.changes:
        _forget(path)
        raise UsageError("what was edited changes nothing", code="nothing-edited", next="treegate new --help")
    return bytes(gate.write_changes(case, found.changes, *head)), path


def _written(gate: Any, case: str) -> Path:
    """A fresh list of the case's tree, and beside it the same for comparison."""
    rows = gate.worksheet(case)
    folder = Path(tempfile.mkdtemp(prefix="treegate-"))
    path = folder / "case.txt"
    text = "".join(worksheet.sheet(rows, f"The case {case}"))
    for one in (path, path.with_name(path.name + _BEFORE)):
        one.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def _found(path: Path) -> Path:
    if not path.exists() or not path.with_name(path.name + _BEFORE).exists():
        text = f"{visible(str(path))} is no list that `new --edit` left"
        raise NotFound(text, code="file-missing", next="treegate new --help")
    return path


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        text = f"{visible(str(path))} cannot be read: {error.strerror}"
        raise UsageError(text, code="file-unreadable", next="treegate new --help") from None


def _editor() -> str:
    return os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"


def _edit(path: Path) -> int:
    """Opens the person's editor, and waits for it; its exit status."""
    editor = _editor()
    before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is the editor's; no child inherits a handler
    try:
        return subprocess.run([*shlex.split(editor), str(path)], stdout=sys.stderr, check=False).returncode
    except (OSError, ValueError) as error:
        text = f"the editor {editor!r} cannot be started: {getattr(error, 'strerror', None) or error}"
        hint = f"set EDITOR to one that can; the list is in {path}"
        raise UsageError(text, code="editor-missing", hint=hint, next="treegate new --help") from None
    finally:
        signal.signal(signal.SIGINT, before)


def _failed(path: Path, case: str, status: int, *, touched: bool) -> NoReturn:
    """Ends because the editor said that it failed; what it saved stays."""
    text = f"the editor {_editor()!r} ended with status {status}, so there is no plan"
    if touched:
        _keep(path, case, UsageError, "editor-failed", text)
    _forget(path)
    raise UsageError(text, code="editor-failed", next="treegate new --help")


def _confirm(path: Path, case: str, deleted: list[str]) -> None:
    """Lines that were taken out are deletions only if somebody says so."""
    if common.interactive():
        for one in _few([worksheet.shown(name) for name in deleted]):
            click.echo(f"  delete {one}", err=True)
        if click.confirm(f"{words.plural(len(deleted), 'line')} taken out: delete these?", err=True):
            return
    text = f"{words.plural(len(deleted), 'line is', 'lines are')} gone, and nobody said that they are deletions"
    _keep(path, case, Denied, "deletions-unconfirmed", text, " --delete-missing")


def _keep(path: Path, case: str, kind: type[Any], code: str, text: str, option: str = "") -> NoReturn:
    """Ends without a plan; what was edited stays, to go on with."""
    go_on = f"treegate new {shlex.quote(case)} --edit --from {shlex.quote(str(path))}{option}"
    raise kind(text, code=code, hint=f"what you edited is kept in {path}", next=go_on)


def _forget(path: Path) -> None:
    for one in (path, path.with_name(path.name + _BEFORE)):
        one.unlink(missing_ok=True)
    if path.parent.name.startswith("treegate-"):
        with suppress(OSError):  # an editor's backup is there: the person's, not ours to remove
            path.parent.rmdir()
