"""Fills the made parts of README.md and docs/*.md from the code's own tables; `make docs` runs it.

A made part stands between `<!-- made: NAME -->` and `<!-- end -->`; NAME is a function in `PARTS`. With `--check`
nothing is written, and the exit status is 1 where a page is not what the code gives now.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

import treegate
from treegate import errors
from treegate.engine import configpages
from treegate.interfaces.agent.toolset import TOOLS
from treegate.interfaces.cli import cli, sections
from treegate.model import lifecycle, plan, problems

DOCS = Path(__file__).parent
ROOT = DOCS.parent
SOURCE = Path(treegate.__file__).parent
_PART = re.compile(r"(?<=<!-- made: )([a-z-]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
_QUIET = {"--json", "--workspace", "--state", "--server", "--help"}  # every command has them; said once


# --- exit statuses ---------------------------------------------------------------------------------------------

_NO_ERROR = {
    0: "done",
    130: "interrupted with Ctrl-C before a run began; in a run, Ctrl-C takes the run back and the status is 6",
}


def exit_statuses() -> str:
    """One table: status, class, meaning, codes."""
    rows = {status: (f"| {status} | | {meaning} | |") for status, meaning in _NO_ERROR.items()}
    codes = error_codes()
    for name, kind in error_classes().items():
        meaning = (kind.__doc__ or "").split("\n\n")[0].strip() if kind is not errors.TreegateError else _INTERNAL
        listed = ", ".join(f"`{code}`" for code in sorted(codes[name]))
        rows[kind.exit_status] = f"| {kind.exit_status} | `{name}` | {' '.join(meaning.split())} | {listed} |"
    lines = ["| status | error | meaning | codes |", "|---|---|---|---|", *(rows[status] for status in sorted(rows))]
    return "\n".join(lines) + "\n"


_INTERNAL = "An error that treegate did not foresee, or that the operating system gave."


def error_classes() -> dict[str, type[errors.TreegateError]]:
    """The exception tree by name, in the order of the source."""
    found = {name: one for name, one in vars(errors).items() if isinstance(one, type)}
    return {name: one for name, one in found.items() if issubclass(one, errors.TreegateError)}


def error_codes() -> dict[str, set[str]]:
    """The codes that the source gives each class of error."""
    found = {name: {kind.code} for name, kind in error_classes().items()}
    for node in nodes():
        for name, code in _codes_in(node):
            if name in found:
                found[name].add(code)
    return found


def _codes_in(node: ast.AST) -> Iterator[tuple[str, str]]:
    """(class, code) of a call such as `Stale(text, code="x")`, a row of refusals, or a class with a code."""
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        given = [one.value for one in node.keywords if one.arg == "code"]
        if name == "_Refusal":
            name, given = ast.unparse(node.args[0]), node.args[1:2]
        yield from ((name, str(one.value)) for one in given if isinstance(one, ast.Constant))
    elif isinstance(node, ast.ClassDef) and node.bases:
        for inner in node.body:
            if isinstance(inner, ast.Assign) and ast.unparse(inner.targets[0]) == "code":
                yield ast.unparse(node.bases[0]), ast.literal_eval(inner.value)


def nodes() -> Iterator[ast.AST]:
    """Every node of the package's syntax trees."""
    for path in sorted(SOURCE.rglob("*.py")):
        yield from ast.walk(ast.parse(path.read_text()))


# --- commands --------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command with what it takes, by section."""
    lines: list[str] = []
    for title, entries in sections().items():
        lines += [f"## {title}", ""]
        for name, _ in entries:
            for words, command in leaves((name,)):
                lines += [*_command(words, command), ""]
    return "\n".join(lines)


def leaves(words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """The commands at and under some words that can be run."""
    command: Any = cli
    context = context_of(cli)
    for word in words:
        command = command.get_command(context, word)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            yield from leaves((*words, name))
    else:
        yield words, command


def context_of(command: click.Command) -> click.Context:
    """A context to ask a command in, with the settings of the top: click remembers the help option it first made."""
    return click.Context(command, parent=click.Context(cli, **cli.context_settings))


def _command(words: tuple[str, ...], command: click.Command) -> Iterator[str]:
    context = context_of(command)
    pieces = [*words, *(one for one in command.collect_usage_pieces(context) if one != "[OPTIONS]")]
    yield f"### `treegate {' '.join(pieces)}`"
    yield ""
    yield " ".join((command.help or "").split())
    own = [one.get_help_record(context) for one in command.get_params(context) if isinstance(one, click.Option)]
    shown = [record for record in own if record and not _QUIET & set(record[0].replace(",", " ").split())]
    if shown:
        yield ""
    for option, says in shown:
        text = " ".join(says.split())
        yield f"- `{option}`{': ' + text if text else ''}"


# --- the plan --------------------------------------------------------------------------------------------------


def operations() -> str:
    """Which keys each operation takes, from the JSON Schema."""
    lines = ["| op | needs | may have | does |", "|---|---|---|---|"]
    for name, shape in operation_shapes().items():
        keys = [key for key in shape["properties"] if key not in ("op", "why", "raw")]
        must = [f"`{key}`" for key in keys if key in shape["required"]]
        may = [f"`{key}`" for key in keys if key not in shape["required"]]
        lines.append(f"| `{name}` | {', '.join(must)} | {', '.join(may)} | {_first(shape['description'])} |")
    return "\n".join(lines) + "\n"


def operation_shapes() -> dict[str, dict[str, Any]]:
    """The schema of each operation by its `op`."""
    shapes = [one for one in plan.schema()["$defs"].values() if "op" in one.get("properties", {})]
    named = {one["properties"]["op"]["enum"][0]: one for one in shapes}
    order = problems.CODES["unknown-operation"].hint.removeprefix("use one of ").split(", ")
    return {name: named[name] for name in sorted(named, key=order.index)}


def _first(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


# --- the house -------------------------------------------------------------------------------------------------


def tools() -> str:
    """One table: what an agent may do."""
    lines = ["| tool | takes | does |", "|---|---|---|"]
    for tool in TOOLS:
        required = set(tool.schema.get("required", ()))
        takes = ", ".join(f"`{name}`" if name in required else f"*`{name}`*" for name in tool.schema["properties"])
        lines.append(f"| `{tool.name}` | {takes} | {tool.says} |")
    return "\n".join(lines) + "\n"


LAYERS = (
    *("", "errors", "langgraph", "deepagents", "mcp"),
    *("model", "engine", "render", "gate", "client", "interfaces"),
)


def files() -> str:
    """Every module and what it is for, by layer: the first line of its docstring."""
    lines: list[str] = []
    for layer in LAYERS:
        lines += ["| file | what it is for |", "|---|---|"] if not layer else []
        for path in _of_layer(layer):
            says = ast.get_docstring(ast.parse(path.read_text()))
            if says and "versions/" not in str(path):
                lines.append(f"| `{path.relative_to(SOURCE)}` | {_first(says).replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


def _of_layer(layer: str) -> list[Path]:
    if not (SOURCE / layer).is_dir() or not layer:
        alone = SOURCE / f"{layer or '__init__'}.py"
        return [alone] if alone.exists() else []
    return sorted((SOURCE / layer).rglob("*.py"), key=lambda path: (len(path.parent.parts), str(path)))


def states() -> str:
    """The lifecycle as a Mermaid diagram."""
    return f"```mermaid\n{lifecycle.diagram()}```\n"


# --- what was tried --------------------------------------------------------------------------------------------


def proof() -> str:
    """What the fault harnesses tried, and how it ended; `make test-faults` writes it down in proof.json."""
    rows = json.loads((DOCS / "proof.json").read_text())
    points = sum(row["points"] for row in rows)
    lines = [f"{points:,} points in {len(rows)} rows.", ""]
    lines += ["| what was done | on | points | how it ended | when | version |", "|---|---|---|---|---|---|"]
    for row in rows:
        ended = ", ".join(f"{outcome} {count:,}" for outcome, count in row["outcomes"].items())
        shown = (row["method"], row["filesystem"], f"{row['points']:,}", ended, row["date"], row["version"])
        lines.append(f"| {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


# --- pages -----------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], str]] = {
    "problems": problems.reference,
    "configuration": configpages.reference,
    "exit-statuses": exit_statuses,
    "commands": commands,
    "operations": operations,
    "tools": tools,
    "files": files,
    "lifecycle": states,
    "proof": proof,
}


def pages() -> list[Path]:
    """Every page that people read."""
    return [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def filled(text: str) -> str:
    """A page with its made parts as the code gives them now."""
    return _PART.sub(lambda found: f"{found[1]}{found[2]}\n{PARTS[found[1]]().strip()}\n\n", text)


def main(arguments: list[str]) -> int:
    """Writes the pages, or with `--check` only says which are out of date."""
    old = [page for page in pages() if filled(page.read_text()) != page.read_text()]
    for page in old:
        print(page.relative_to(ROOT))
        if "--check" not in arguments:
            page.write_text(filled(page.read_text()))
    return int(bool(old) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
