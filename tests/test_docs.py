"""The pages are true: made parts are what the code gives now, examples work, and every command can be typed."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest

import treegate
from treegate.engine.config import SETTINGS
from treegate.errors import TreegateError
from treegate.interfaces.cli import COMMANDS, cli
from treegate.model.operations import OPERATIONS
from treegate.model.plan import Head, Plan
from treegate.model.policy import NOT_YET
from treegate.model.problems import CODES

ROOT = Path(__file__).parent.parent
FACES = ("langgraph", "deepagents", "mcp")
SOURCE = Path(treegate.__file__).parent


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generate = _generator()
PAGES = {str(page.relative_to(ROOT)): page.read_text() for page in generate.pages()}


def page(name: str) -> str:
    return PAGES[f"docs/{name}.md"]


def by_hand(text: str) -> str:
    """A page without its made parts."""
    return re.sub(r"<!-- made: .*?<!-- end -->", "", text, flags=re.DOTALL)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a page in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


# --- made parts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
def test_made_parts_are_what_the_code_gives(name: str):
    """Whoever changes a table of the code runs `make docs`."""
    assert PAGES[name] == generate.filled(PAGES[name])


def test_every_part_is_on_a_page():
    """No table is made for nothing, and no page asks for one that there is not."""
    asked = [name for text in PAGES.values() for name in re.findall(r"<!-- made: (\S+) -->", text)]
    assert sorted(asked) == sorted(generate.PARTS)


# --- nothing is left out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", CODES)
def test_every_problem_code_is_described(code: str):
    """docs/problems.md has a row for each code."""
    assert f"| `{code}` |" in page("problems")


@pytest.mark.parametrize("key", [setting.key for setting in SETTINGS])
def test_every_setting_is_described(key: str):
    """docs/configuration.md has each key, under its section."""
    section, _, last = key.rpartition(".")
    within = (
        page("configuration").partition(f"## `[{section}]`" if section else "## At the top")[2].partition("\n## ")
    )
    assert f"| `{last}` |" in within[0]


@pytest.mark.parametrize("key", NOT_YET)
def test_every_key_that_is_refused_is_named(key: str):
    """What a later version acts on is said to be refused by this one."""
    assert f"`{key}`" in page("configuration")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_described(command: str):
    """docs/commands.md has a heading for each command, and for each under it."""
    for words, _ in generate.leaves((command,)):
        assert f"### `treegate {' '.join(words)}" in page("commands")


def test_every_exit_status_is_described():
    """Each class of error has its row, with its status."""
    for name, kind in generate.error_classes().items():
        assert re.search(rf"^\| {kind.exit_status} \| `{name}` \|", page("exit-statuses"), re.MULTILINE)
    statuses = re.findall(r"^\| (\d+) \|", page("exit-statuses"), re.MULTILINE)
    assert [int(one) for one in statuses] == [*range(15), 130]


def test_no_two_errors_share_a_status():
    """A script can tell the ends of a command apart by number."""
    statuses = [kind.exit_status for kind in _below(TreegateError) if kind.__module__ == "treegate.errors"]
    assert len(statuses) == len(set(statuses))


def _below(kind: type) -> list[type]:
    return [kind, *(deeper for inner in kind.__subclasses__() for deeper in _below(inner))]


@pytest.mark.parametrize("kind", OPERATIONS, ids=lambda kind: str(kind.__struct_config__.tag))
def test_every_operation_and_key_is_told_and_shown(kind: Any):
    """docs/plan.md has a row for each operation, a paragraph, and an example; and says each of its keys."""
    name = kind.__struct_config__.tag
    assert f"| `{name}` |" in page("plan")
    assert f"\n**{name}** " in page("plan")
    assert name in {operation["op"] for operation in example_operations()}
    for key in kind.__struct_encode_fields__:
        assert re.search(rf"[`\"]{key}[`\"]", page("plan"))


@pytest.mark.parametrize("key", [*Head.__struct_encode_fields__, "operations"])
def test_every_key_of_the_document_is_told(key: str):
    """So for the keys beside the operations."""
    assert f"`{key}`" in page("plan")


# --- examples --------------------------------------------------------------------------------------------------


def json_examples() -> Iterator[tuple[str, Any]]:
    for name, text in PAGES.items():
        for block in blocks(text, "json"):
            yield name, json.loads(block)


def example_operations() -> Iterator[dict[str, Any]]:
    for _, example in json_examples():
        yield from example.get("operations", [example])


@pytest.mark.parametrize(("name", "example"), list(json_examples()))
def test_every_plan_in_the_pages_is_a_plan(name: str, example: dict[str, Any]):
    """What the pages show can be copied; a single operation is put into a plan first."""
    document = example if "operations" in example else {"version": 1, "operations": [example]}
    assert len(Plan.decode(json.dumps(document)).operations) == len(document["operations"])


@pytest.mark.parametrize("name", ["README.md", "docs/getting-started.md"])
def test_the_first_plan_a_reader_copies_works(name: str, tmp_path: Path):
    """On a case with the files it speaks of, the plan has neither error nor warning."""
    (document,) = [json.loads(block) for block in blocks(PAGES[name], "json")]
    case = tmp_path / document["case"]
    for path in ("scan001.pdf", "scan002.pdf", "scan003.pdf", "Notes/todo.txt", "tmp/x", *map(str, range(20))):
        (case / path).parent.mkdir(parents=True, exist_ok=True)
        (case / path).write_text(path)
    assert list(treegate.check(document, case).problems) == []


@pytest.mark.parametrize("name", PAGES)
def test_python_in_the_pages_compiles_and_names_what_there_is(name: str):
    """Each `treegate.NAME` is public."""
    for block in blocks(PAGES[name], "python"):
        compile(block, name, "exec")
        assert set(re.findall(r"\btreegate\.(\w+)", block)) <= {*treegate.__all__, *FACES}


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str):
    """Relative links and pictures are files of the repository."""
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)|src=\"([^\"]+)\"", PAGES[name]):
        link = "".join(target)
        if "://" not in link:
            assert (ROOT / name).parent.joinpath(link).exists(), link


# --- commands can be typed -------------------------------------------------------------------------------------


def parse(line: str) -> None:
    """Feeds a command line to the parser and runs nothing; raises click's error where it would be refused."""
    words = shlex.split(line, comments=True)
    assert words.pop(0) == "treegate"
    command: click.Command = cli
    context = click.Context(cli, info_name="treegate", **cli.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        inner = command.get_command(context, words[0])
        if inner is None:
            raise click.UsageError(f"no such command: {line}")
        command, context = inner, click.Context(inner, parent=context, info_name=words.pop(0))
    if isinstance(command, click.Group) and not words:
        raise click.UsageError(f"not a whole command: {line}")
    with suppress(click.exceptions.Exit):  # --help, --version
        command.make_context(context.info_name or "", words, parent=context.parent)


def typed_in(text: str) -> Iterator[str]:
    """The command lines in the shell blocks of a page."""
    for block in blocks(by_hand(text), "sh"):
        for line in block.splitlines():
            bare = re.sub(r"^(\$ )?(\w+=\S+ )*(\.venv/bin/)?", "", line)
            bare = bare.replace("treegate-admin ", "treegate ", 1)  # the same, as the service's user
            if bare.startswith("treegate "):
                yield bare.partition(" > ")[0]


def named_in(text: str) -> Iterator[str]:
    """The commands that the running text of a page names."""
    prose = re.sub(r"^```.*?^```", "", by_hand(text), flags=re.DOTALL | re.MULTILINE)
    yield from (f"treegate {rest}" for rest in re.findall(r"`treegate(?:-admin)? ([^`]+)`", prose))


@pytest.mark.parametrize("line", sorted({line for text in PAGES.values() for line in typed_in(text)}))
def test_every_command_in_the_pages_can_be_typed(line: str):
    """Options, arguments and words are those of the parser."""
    parse(line)


@pytest.mark.parametrize("line", sorted({line for text in PAGES.values() for line in named_in(text)}))
def test_every_command_that_the_pages_name_is_there(line: str):
    """In running text a command may stand without its arguments, but not with options that it does not have."""
    with suppress(click.MissingParameter):
        parse(line)


SAMPLES = {"command": "treegate", "place": "--workspace 12"}


def written(node: ast.AST) -> str | None:
    """The text of a string in the source, with samples for what is filled in."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(
            SAMPLES.get(ast.unparse(one.value), "12") if isinstance(one, ast.FormattedValue) else str(written(one))
            for one in node.values
        )
    return None


def next_commands(tree: ast.AST) -> Iterator[str]:
    """What stands in `next=` of an error, and in the rows of refusals."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            given = [one.value for one in node.keywords if one.arg == "next"]
            if ast.unparse(node.func) == "_Refusal":
                given = node.args[4:5]
            for text in filter(None, map(written, given)):
                command = text.replace("{plan}", "12")
                yield command if command.startswith("treegate ") else f"treegate {command}"


def other_commands(tree: ast.AST, where: str) -> Iterator[str]:
    """Commands anywhere else in the source's texts; outside `interfaces`, where prose may begin with the name."""
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = written(node) if id(node) not in inner | docs else None
        for found in re.findall(r"(?:^|(?:next|more): |`)(treegate [a-z][^`\n]*)", text or ""):
            if where.startswith("interfaces/") or not reads_as_prose(found):
                yield re.sub(r"\bCOMMAND\b", "list", found)


def reads_as_prose(text: str) -> bool:
    """Whether a text that begins with the program's name is a sentence."""
    _, command, *rest = text.split()
    groups = [name for name in COMMANDS if len(list(generate.leaves((name,)))) > 1]
    return command not in COMMANDS or (
        command not in groups and any(word.isalpha() and word.islower() for word in rest)
    )


def printed() -> dict[str, str]:
    """Every command that the code can print, and a place that prints it."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        where = str(path.relative_to(SOURCE))
        tree = ast.parse(path.read_text())
        if where == "interfaces/cli/__init__.py":
            continue  # the overview's prose and its usage lines: `test_the_overview_...`
        for line in (*next_commands(tree), *other_commands(tree, where)):
            found[line] = where
    return found


@pytest.mark.parametrize(("line", "where"), sorted(printed().items()))
def test_every_printed_command_can_be_typed(line: str, where: str):
    """The next command at the end of an error, or of a preview, is one that there is."""
    parse(line)


def test_the_overview_shows_each_command_as_it_is_used():
    """What `treegate --help` says of a command's arguments is what its parser asks for."""
    for name, entry in COMMANDS.items():
        for words, _ in generate.leaves((name,)):
            assert entry.usage.split()[0] == name
            if len(words) > 1:
                assert words[1] in entry.usage


@pytest.mark.parametrize("line", ["treegate revize 12", "treegate show", "treegate vault", "treegate list --nope"])
def test_a_command_that_cannot_be_typed_is_refused(line: str):
    """The parser used here refuses what a shell's user would see refused."""
    with pytest.raises(click.UsageError):
        parse(line)
