"""audit verify, checkpoint, export."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

from treegate.interfaces.cli import common
from treegate.interfaces.cli.care import DOES_NOT_VERIFY
from treegate.model.names import restated, visible
from treegate.render import words

_FILE = click.Path(path_type=Path)


@click.group("audit")
def audit_command() -> None:
    """The log of every event: each row is chained to the one before it, and its head is signed now and then."""


@audit_command.command("verify")
@click.option(
    "--checkpoint",
    "checkpoints",
    multiple=True,
    type=_FILE,
    metavar="F",
    help="A checkpoint that was kept elsewhere; may be repeated.",
)
@click.option("--export", "exported", type=_FILE, metavar="F", help="Verify an exported file alone, not this log.")
@common.options
def verify(
    checkpoints: tuple[Path, ...], exported: Path | None, workspace: str | None, state: str | None, as_json: bool
) -> None:
    """Whether anybody changed the log: an edited, missing or moved row, a cut end, all of it written anew.

    The last two show only against a checkpoint, or the count of runs. Exit status 10 where it does not hold, and
    where the signing key is missing.
    """
    if exported is not None:
        from treegate.gate import auditing

        found = auditing.verify_export(exported, checkpoints)
    else:
        found = common.open_gate(workspace, state).verify_audit(checkpoints)
    common.emit(found) if as_json else _tell(found)
    if not found.verified:
        raise click.exceptions.Exit(DOES_NOT_VERIFY)


def _tell(found: Any) -> None:
    for one in found.findings:
        common.say(f"{one.severity}: {restated(one.title)}")
        if one.advice:
            common.say(f"    {restated(one.advice)}")
    events = words.plural(found.events, "event")
    if not found.verified:
        common.say(f"the log does not verify: {events}")
        return
    common.say(f"the log holds: {events}, the last is {found.seq} ({found.hash[: words.DIGEST]})")
    if found.checkpoints:
        signed = words.plural(found.checkpoints, "signed checkpoint")
        common.say(f"{signed}; all up to row {found.vouched} is vouched for")


@audit_command.command("checkpoint")
@click.option("-o", "--output", type=_FILE, metavar="F", help="Write it to this file, which must not be there yet.")
@common.options
def checkpoint(output: Path | None, workspace: str | None, state: str | None, as_json: bool) -> None:
    """Sign the head of the log. Kept elsewhere, the checkpoint proves all that came before it."""
    from treegate.engine import checkpoints

    gate = common.open_gate(workspace, state)
    if output is None:
        common.emit(gate.checkpoint())
        return
    with _new_file(output) as file:
        made = gate.checkpoint()
        file.write(checkpoints.encode(made) + b"\n")
    if as_json:
        common.emit(made)
    else:
        common.say(f"signed row {made.seq} ({made.hash[: words.DIGEST]}) into {visible(str(output))}")


@audit_command.command("export")
@click.option("-o", "--output", type=_FILE, metavar="F", help="Write to this file, which must not be there yet.")
@click.option("--after", default=0, type=click.IntRange(min=0), metavar="ROW", help="Only the rows after this one.")
@common.options
def export(output: Path | None, after: int, workspace: str | None, state: str | None, as_json: bool) -> None:
    """The log as JSON lines, one row each with its hash: `audit verify --export` reads them anywhere.

    With --json and no file, as one JSON document.
    """
    lines = common.open_gate(workspace, state).export_audit(after)
    if output is None:
        _write(sys.stdout.buffer, _one_document(lines) if as_json else (line + b"\n" for line in lines))
        return
    with _new_file(output) as file:
        count = _write(file, (line + b"\n" for line in lines))
    if as_json:
        common.emit({"events": count, "after": after, "path": str(output)})
    else:
        common.say(f"{words.plural(count, 'event')} into {visible(str(output))}")


@audit_command.command("rekey")
@common.options
def rekey(workspace: str | None, state: str | None, as_json: bool) -> None:
    """Make a new signing key where the old one is lost or damaged; one that works stays.

    The log says that it was replaced. What the old key signed stays verifiable, for the log knows its public half.
    """
    public = common.open_gate(workspace, state).rekey()
    common.emit({"public_key": public}) if as_json else common.say(f"the key that signs here: {public}")


def _one_document(lines: Iterable[bytes]) -> Iterator[bytes]:
    yield b'{"events":['
    for at, line in enumerate(lines):
        yield b"," * bool(at) + line
    yield b"]}\n"


def _write(file: BinaryIO, parts: Iterable[bytes]) -> int:
    count = 0
    for part in parts:
        file.write(part)
        count += 1
    file.flush()
    return count


@contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that was not there before, whole or not at all."""
    from treegate.errors import UsageError

    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "xb"))
        except FileExistsError:
            text, hint = f"{path} is there already", "name a new file; nothing was written"
            raise UsageError(text, code="output-exists", hint=hint) from None
        except OSError as error:
            text, hint = f"{path}: {error.strerror}", "name a file that can be written"
            raise UsageError(text, code="output-unwritable", hint=hint) from None
        try:
            yield file
        except BaseException:
            path.unlink(missing_ok=True)
            raise
