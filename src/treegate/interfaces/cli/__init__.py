"""The command line: one file per group of commands, each loaded only when one of its commands is used."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
from typing import NamedTuple

import click

from treegate import __version__
from treegate.interfaces.cli import failures


class Entry(NamedTuple):
    """Where a command is, and what the overview says of it."""

    section: str
    module: str
    usage: str
    says: str


_SETUP, _PLANS, _DECIDE = "Begin", "Propose", "Look and decide"
_RUNS, _KEEP, _CARE = "Carry out and take back", "Keep", "Look after"

COMMANDS: dict[str, Entry] = {
    "init": Entry(_SETUP, "setup", "init DIR", "make or adopt a workspace; touches no file"),
    "demo": Entry(_SETUP, "demo", "demo [DIR]", "a sample law office, and the loop told on it"),
    "completion": Entry(_SETUP, "completion", "completion SHELL", "let bash, zsh or fish complete all this"),
    "new": Entry(_PLANS, "writing", "new CASE --edit|--csv F|--mv", "write a plan without writing JSON"),
    "check": Entry(_PLANS, "plans", "check PLAN", "what a plan would do; stored nowhere"),
    "submit": Entry(_PLANS, "plans", "submit PLAN", "hand in a plan for approval"),
    "run": Entry(_PLANS, "sandboxing", "run CASE -- COMMAND", "sandboxed; its effects become a plan"),
    "revise": Entry(_PLANS, "revising", "revise ID PLAN", "a new version of a plan, decided on anew"),
    "refresh": Entry(_PLANS, "revising", "refresh ID", "preview a plan anew, as the tree is now"),
    "withdraw": Entry(_PLANS, "revising", "withdraw ID", "take a plan back"),
    "status": Entry(_DECIDE, "waiting", "status", "what waits for whom, is paused or unfinished"),
    "review": Entry(_DECIDE, "review", "review", "walk through what waits for you, and decide"),
    "list": Entry(_DECIDE, "plans", "list", "plans, and where they stand"),
    "show": Entry(_DECIDE, "plans", "show ID", "a plan's preview, or a run's receipt"),
    "diff": Entry(_DECIDE, "revising", "diff ID [REV]", "since it was approved, or between revisions"),
    "approve": Entry(_DECIDE, "deciding", "approve ID", "say yes to exactly what the preview shows"),
    "reject": Entry(_DECIDE, "deciding", "reject ID -c WHY", "say no, and why"),
    "request-changes": Entry(_DECIDE, "deciding", "request-changes ID -c WHAT", "send it back to its author"),
    "reduce": Entry(_DECIDE, "revising", "reduce ID --leave-out E", "leave effects or patterns out of a plan"),
    "revoke": Entry(_DECIDE, "deciding", "revoke ID", "take your own approval back"),
    "wait": Entry(_DECIDE, "waiting", "wait ID --until WHAT", "until a plan is decided, or applied"),
    "apply": Entry(_RUNS, "runs", "apply ID", "carry out what was approved"),
    "undo": Entry(_RUNS, "runs", "undo [RUN]", "the plan that takes a run back"),
    "recover": Entry(_RUNS, "runs", "recover [RUN]", "bring an unfinished run to an end"),
    "pause": Entry(_RUNS, "waiting", "pause [--case C]", "no run begins until it is resumed"),
    "resume": Entry(_RUNS, "waiting", "resume [--case C]", "lift a pause"),
    "vault": Entry(_KEEP, "vault", "vault list|restore|prune", "what went away, and how long it is kept"),
    "log": Entry(_KEEP, "log", "log [--path P]", "what happened, or a file's whole life"),
    "audit": Entry(_KEEP, "audit", "audit verify|checkpoint|export|rekey", "prove that nobody changed the log"),
    "doctor": Entry(_CARE, "care", "doctor", "what this mount promises; who gets around it"),
    "fsck": Entry(_CARE, "care", "fsck", "whether records, vault and tree agree"),
    "policy": Entry(_CARE, "policy", "policy explain PLAN", "which rule asks what of a plan, and why"),
    "sandbox": Entry(_CARE, "sandboxcare", "sandbox build-image|sweep|helper", "what commands in sandboxes need"),
    "serve": Entry(_CARE, "serving", "serve", "the HTTP API and the review pages"),
    "mcp": Entry(_CARE, "agents", "mcp [--http]", "agents' tools, for MCP clients"),
    "worker": Entry(_CARE, "working", "worker [--once]", "plans dropped as files, and carried out"),
    "token": Entry(_CARE, "tokens", "token create|list|revoke", "who may propose, decide, carry out"),
    "config": Entry(_CARE, "care", "config show|path", "the settings, and where each comes from"),
    "prompt": Entry(_CARE, "prompting", "prompt", "a page for an agent's system prompt"),
    "schema": Entry(_CARE, "care", "schema plan|preview|receipt", "JSON Schemas"),
}

SECTIONS = (_SETUP, _PLANS, _DECIDE, _RUNS, _KEEP, _CARE)
COMPLETE = "_TREEGATE_COMPLETE"  # set by the scripts of shells
WIDTH, _COLUMN = 80, 36  # of the overview: its width, and where it says what a command does

_INTRO = """\
An AI agent hands in a plan for people's files; a person sees and approves just
what would change; no crash loses a byte of it, and all can be taken back.

Usage: treegate COMMAND [OPTIONS]. New here? `treegate demo` tells the loop.
"""

_OUTRO = """
`treegate COMMAND --help` says more; every command takes --json. The workspace
is found from here upwards, by --workspace or, behind a service, by --server.
"""


def sections() -> dict[str, list[tuple[str, Entry]]]:
    """The commands by what a person wants to do."""
    return {title: [(name, one) for name, one in COMMANDS.items() if one.section == title] for title in SECTIONS}


def overview() -> str:
    """The page that `treegate --help` prints."""
    lines = [_INTRO]
    for title, entries in sections().items():
        lines += [title, *(line for _, entry in entries for line in _row(entry)), ""]
    return "\n".join(lines).rstrip("\n") + "\n" + _OUTRO


def _row(entry: Entry) -> list[str]:
    """A command's line: its usage, and what it does in a column; more lines where either is too long for that."""
    usage, says = f"  {entry.usage}", textwrap.wrap(entry.says, WIDTH - _COLUMN)
    rows = [usage.ljust(_COLUMN) + says.pop(0)] if len(usage) <= _COLUMN - 2 else [usage]
    return rows + [" " * _COLUMN + rest for rest in says]


class Overview(click.Group):
    """The top-level command: its help is a page, and commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"treegate.interfaces.cli.{entry.module}")
        command: click.Command = getattr(module, f"{cmd_name.replace('-', '_')}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            failures.unknown_command(args[0], list(COMMANDS))
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(overview())


@click.command(cls=Overview, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="treegate %(version)s")
def cli() -> None:
    """Treegate."""


def main(args: list[str] | None = None) -> None:
    """Runs one command; the exit status is docs/exit-statuses.md's."""
    if instruction := os.environ.get(COMPLETE):
        from treegate.interfaces.cli import completing

        sys.exit(completing.answer(instruction))
    given = sys.argv[1:] if args is None else args
    sys.exit(failures.guarded(cli, given))
