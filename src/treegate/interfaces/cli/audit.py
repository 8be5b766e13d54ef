"""audit verify, checkpoint, export, rekey."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import click

from treegate.errors import NotFound, UsageError
from treegate.interfaces.cli import common
from treegate.model.names import restated, visible

DOES_NOT_VERIFY = 10

_CHECKPOINT = click.option(
    "--checkpoint", "checkpoints", multiple=True, metavar="F", help="A checkpoint kept elsewhere; may be repeated."
)


@click.group("audit")
def audit_command() -> None:
    """The log of every event: proved, signed, exported."""


@audit_command.command("verify")
@_CHECKPOINT
@click.option(
    "--log", "log", metavar="F", help="An exported log, instead of the workspace's own; needs no workspace."
)
@common.options
def verify(
    checkpoints: tuple[str, ...], log: str | None, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """Whether any event was edited, removed, moved or cut off since it was written. Exit status 10 if so."""
    from treegate.engine.checkpoints import MOST_BYTES
    from treegate.gate import auditing

    given = [(visible(path), _read(path, MOST_BYTES)) for path in checkpoints]
    if log is None:
        found = common.open_gate(workspace, state).verify_audit(given)
    else:
        with _opened(log) as file:
            found = auditing.verify_export(file, given)
    if as_json:
        common.emit(found)
    else:
        _tell(found)
    if found.faults:
        raise click.exceptions.Exit(DOES_NOT_VERIFY)


def _tell(found: Any) -> None:
    for fault in found.faults:
        common.say(f"error: {restated(fault)}")
    for note in found.notes:
        common.say(f"note: {restated(note)}")
    if not found.faults:
        signed = f"; {found.checkpoints:,} checkpoints hold" if found.checkpoints else ""
        common.say(f"{found.rows:,} events, each as it was written{signed}; head {found.head[:16]}")


@audit_command.command("checkpoint")
@click.option("-o", "--output", metavar="F", help="Write it there, to a file that is not there yet.")
@common.options
def checkpoint(output: str | None, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Sign the head of the log; keep what is printed where nobody who works here can write."""
    from treegate.render import jsons

    gate = common.open_gate(workspace, state)
    target = None if output is None else _target(output)
    made = gate.checkpoint()
    if target is not None:
        _write(target, iter([jsons.dumps(made).encode() + b"\n"]))
    if target is None or as_json:
        common.emit(made)
    else:
        common.say(f"{visible(str(target))} vouches for all {made.seq:,} events so far")
        common.say(f"next: treegate audit verify --checkpoint {visible(str(target))}")


@audit_command.command("export")
@click.option("-o", "--output", metavar="F", help="Write it there, to a file that is not there yet.")
@click.option("--after", default=0, type=click.IntRange(0, 2**53), metavar="N", help="Only events after this one.")
@common.options
def export(output: str | None, after: int, workspace: str | None, state: str | None, as_json: bool) -> None:
    """The log as JSON lines, each event with its hash; `audit verify --log` proves it without the database."""
    gate = common.open_gate(workspace, state)
    if output is None and not as_json:
        for line in gate.export_audit(after):
            sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
        return
    if output is None:
        raise UsageError("lines are no single document: name a file with -o", code="output-needed")
    target = _target(output)
    count = _write(target, gate.export_audit(after))
    if as_json:
        common.emit({"events": count, "file": str(target)})
    else:
        common.say(f"{count:,} events in {visible(str(target))}")


@audit_command.command("rekey")
@common.options
def rekey(workspace: str | None, state: str | None, as_json: bool) -> None:
    """Make a new signing key where the old one is lost or damaged; one that works stays.

    What the old key signed stays verifiable, for the log knows its public half.
    """
    public = common.open_gate(workspace, state).rekey()
    common.emit({"public_key": public}) if as_json else common.say(f"the key that signs here: {public}")


def _target(output: str) -> Path:
    target = Path(output)
    if target.exists():
        text, hint = f"{visible(output)} is there already", "name another file: what is there stays"
        raise UsageError(text, code="file-exists", hint=hint, next="treegate audit --help")
    return target


def _write(target: Path, lines: Iterator[bytes]) -> int:
    """Writes a new file; how many lines."""
    count = 0
    try:
        with open(target, "xb") as file:
            for line in lines:
                file.write(line)
                count += 1
    except OSError as error:
        text = f"{visible(str(target))} cannot be written: {error.strerror}"
        hint = "name another file; what was written of it is not whole"
        raise UsageError(text, code="file-unwritable", hint=hint, next="treegate audit --help") from None
    return count


def _read(path: str, most: int) -> bytes:
    with _opened(path) as file:
        return file.read(most)


def _opened(path: str) -> BinaryIO:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise NotFound(f"there is no file {path!r}", code="file-missing", next="treegate audit --help") from None
    except OSError as error:
        text = f"{path}: {error.strerror}"
        raise UsageError(text, code="file-unreadable", next="treegate audit --help") from None
