"""Errors at the shell: one place that says what was found, where, what to do, and the next command to type."""

from __future__ import annotations

import difflib
import os
import sys
import traceback
from typing import Any, NoReturn

import click

from treegate.errors import TreegateError, UsageError, of_system
from treegate.model.names import restated, visible
from treegate.render import jsons

_ORDER = "options stand behind the command: treegate list --server URL"


SANDBOX_FAILED = 125  # of `run`, whose other statuses are those of what it runs; as env and docker have it


def guarded(command: click.Command, args: list[str]) -> int:
    """Runs a command line and returns its exit status; bad input never makes a traceback."""
    given = args[: args.index("--")] if "--" in args else args
    failed, status = _guarded(command, args, "--json" in given)
    return SANDBOX_FAILED if failed and given[:1] == ["run"] else status


def _guarded(command: click.Command, args: list[str], as_json: bool) -> tuple[bool, int]:
    """Whether treegate failed, and the exit status."""
    try:
        status = command.main(args=args, prog_name="treegate", standalone_mode=False)
        return False, status if isinstance(status, int) else 0
    except Exception as error:
        return True, _failed(error, as_json)
    except KeyboardInterrupt:
        tell(UsageError("interrupted", code="interrupted"), as_json)
        return True, 130


def _failed(error: Exception, as_json: bool) -> int:
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return tell(_as_ours(error), as_json)


def _as_ours(error: Exception) -> TreegateError:
    """Whatever went wrong, as an error of ours."""
    if isinstance(error, TreegateError):
        return error
    if isinstance(error, click.Abort):
        return UsageError("stopped; nothing was decided", code="aborted")
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, OSError):
        return of_system(error)
    if os.environ.get("TREEGATE_DEBUG"):
        traceback.print_exception(error)
    hint = "set TREEGATE_DEBUG=1 to see where, and report it"
    return TreegateError(f"{type(error).__name__}: {error}", hint=hint, next="treegate fsck")


def _usage(error: click.ClickException) -> UsageError:
    command = ""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        command = error.ctx.command_path
    next = f"{command} --help" if command else "treegate --help"
    early = isinstance(error, click.NoSuchOption) and error.ctx is not None and error.ctx.parent is None
    return UsageError(error.format_message(), hint=_ORDER if early else "", next=next)


def unknown_command(word: str, known: list[str]) -> NoReturn:
    """Says that there is no such command, and the nearest one."""
    near = difflib.get_close_matches(word, known, 1)
    next = f"treegate {near[0]} --help" if near else "treegate --help"
    raise UsageError(f"there is no command {word!r}", code="unknown-command", next=next)


def tell(error: TreegateError, as_json: bool) -> int:
    """Prints an error, as text on stderr or as the one JSON document on stdout; returns its exit status."""
    if as_json:
        click.echo(jsons.dumps({"error": document(error)}))
    else:
        click.echo(text(error, color=sys.stderr.isatty() and "NO_COLOR" not in os.environ), err=True)
    return error.exit_status


def document(error: TreegateError) -> dict[str, Any]:
    """An error as a document."""
    made: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "hint": error.hint,
        "next": next_command(error),
        "exit_status": error.exit_status,
    }
    if error.path:
        made["path"] = error.path
    problems = getattr(error, "problems", None)
    return made | ({"problems": problems} if problems else {})


def text(error: TreegateError, *, color: bool) -> str:
    """An error as lines: what, where, what to do, what to type."""
    label = click.style("error", fg="red", bold=True) if color else "error"
    lines = [f"{label}[{error.code}]: {_lines(error.message)}"]
    problems = getattr(error, "problems", None) or []
    if [(found.message, found.hint) for found in problems] == [(error.message, error.hint)]:
        problems = []  # said already
    for found in problems[:20]:
        where = f"operation {found.operation}: " if found.operation else ""
        lines.append(f"  {found.code}  {where}{restated(found.message)}")
        if found.hint:
            lines.append(f"      {restated(found.hint)}")
        if found.suggestion is not None:
            lines.append(f"      write: {jsons.dumps(found.suggestion)}")
    if error.hint:
        lines.append(f"  {_lines(error.hint)}")
    lines.append(f"  next: {visible(next_command(error))}")
    return "\n".join(lines)


# What to type where the error itself does not know better, by its exit status.
_NEXT = {3: "check PLAN --fix", 4: "list", 5: "list", 6: "doctor", 7: "recover", 8: "list", 10: "fsck"}


def next_command(error: TreegateError) -> str:
    """The next command to type, whole."""
    known = error.next or _NEXT.get(error.exit_status, "--help")
    problems = getattr(error, "problems", None)
    if problems and not any(found.suggests for found in problems):
        known = "schema plan"
    return known if known.startswith("treegate ") else f"treegate {known}"


def _lines(message: str) -> str:
    """A message that may have lines of its own, each made inert."""
    return "\n  ".join(restated(line) for line in message.split("\n"))
