"""The house's arrows: which module may import which, and what an import costs.

    errors <- model <- engine <- gate <- client <- interfaces
                  \\<- render <-/

Everything is read from the source with `ast`, so an import inside a function counts like any other.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import treegate

ROOT = Path(treegate.__file__).parent
LAYERS = ("errors", "model", "engine", "render", "gate", "client", "interfaces")
FACES = ("langgraph", "deepagents", "mcp")  # public names at the top for what is in interfaces
SIDE_BY_SIDE = ("engine", "render")  # neither knows the other

# What `model` may use: values in, values out. No disk, clock, network, randomness or environment.
PURE = {
    "__future__", "array", "base64", "binascii", "bisect", "calendar", "collections", "collections.abc",
    "contextlib", "copy", "dataclasses", "datetime", "difflib", "enum", "functools", "hashlib", "heapq",
    "itertools", "json", "math", "msgspec", "operator", "posixpath", "re", "shlex", "stat", "string", "struct",
    "types", "typing", "unicodedata", "urllib.parse",
}  # fmt: skip

# Each SDK and the one place that knows it. A name that ends in a dot stands for the package and all in it.
HOMES = {
    "alembic": "engine.migrations.",
    "cryptography": "engine.keys",
    "docker": "engine.sandbox.daemon",
    "requests": "engine.sandbox.daemon",
    "zstandard": "engine.packing",
    "wcwidth": "render.text",
    "fpdf": "interfaces.demo.pdf",
    "docx": "interfaces.demo.letters",
    "xlsxwriter": "interfaces.demo.sheets",
    "jinja2": "interfaces.http.ui.pages",
    "pypdfium2": "interfaces.http.picturing",
    "prometheus_client": "interfaces.http.metrics",
    "uvicorn": "interfaces.http.wire",
    "watchfiles": "interfaces.worker.watching",
    "slack_bolt": "interfaces.slack.app",
    "slack_sdk": "interfaces.slack.api",
    "aiohttp": "interfaces.slack.api",
    "authlib": "interfaces.http.oidc",
    "joserfc": "interfaces.http.oidc",
    "treegate_native": "engine.native",
    "mcp": "interfaces.mcp.",
    "mcp_types": "interfaces.mcp.",
    "deepagents": "interfaces.deepagents.",
}
# Known in more than one place: msgspec is the language of the values themselves; click is the command line's, and
# `render` borrows its colours; sqlalchemy stays in the schema, which gives the store its words, and in migrations,
# which have to stand still while the schema moves on.
SHARED = {
    "msgspec": ("model.", "engine.", "render.", "gate.", "client.", "interfaces."),
    "click": ("render.", "interfaces."),
    "sqlalchemy": ("engine.schema.", "engine.migrations."),
    "fastapi": ("interfaces.http.",),
    "starlette": ("interfaces.http.",),
    "PIL": ("interfaces.demo.scans", "interfaces.http.picturing"),  # one draws pages, the other reads them
    "langchain": ("interfaces.langgraph.",),
    "langchain_core": ("interfaces.langgraph.", "interfaces.deepagents."),
    "pydantic": ("interfaces.langgraph.",),
    "langgraph": ("interfaces.langgraph.", "interfaces.deepagents."),
    "httpx2": ("client.wire", "interfaces.http.oidc", "interfaces.notify.webhook"),
}
HEAVY = (
    "sqlalchemy",
    "alembic",
    "cryptography",
    "zstandard",
    "docker",
    "requests",
    "fpdf",
    "PIL",
    "pypdfium2",
    "docx",
    "xlsxwriter",
    "fastapi",
    "httpx2",
    "uvicorn",
    "slack_bolt",
    "slack_sdk",
    "aiohttp",
    "langchain",
    "langchain_core",
    "langgraph",
    "deepagents",
    "mcp",
)


class Import(NamedTuple):
    """One import: who, what, and whether it happens only for the type checker."""

    who: str
    what: str
    typing_only: bool

    @property
    def top(self) -> str:
        return self.what.partition(".")[0]


def module_name(path: Path) -> str:
    """The dotted name below `treegate`; "" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_in(source: str, who: str) -> Iterator[Import]:
    """Every import of a module, also those inside functions and those by `import_module`."""
    yield from _imports(ast.parse(source), who, False)


def _imports(node: ast.AST, who: str, typing_only: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(who, alias.name, typing_only) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{who}: imports are written out, not relative"
        names = [f"{node.module}.{alias.name}" for alias in node.names]
        known = [name if _is_module(name) else str(node.module) for name in names]
        yield from (Import(who, name, typing_only) for name in dict.fromkeys(known))
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        by_name = node.args[0]
        if isinstance(by_name, ast.Constant):
            yield Import(who, str(by_name.value), typing_only)
    for child in ast.iter_child_nodes(node):
        guarded = isinstance(node, ast.If) and child in node.body and "TYPE_CHECKING" in ast.unparse(node.test)
        yield from _imports(child, who, typing_only or guarded)


def _is_module(name: str) -> bool:
    """Whether `from a import b` names a module of ours, or of the standard library's that has such inner ones."""
    if name.startswith("treegate."):
        path = ROOT.joinpath(*name.split(".")[1:])
        return path.is_dir() or path.with_suffix(".py").is_file()
    return name in ("urllib.parse", "collections.abc")


def sources() -> dict[str, str]:
    return {module_name(path): path.read_text() for path in sorted(ROOT.rglob("*.py"))}


IMPORTS = [found for name, text in sources().items() for found in imports_in(text, name)]


def layer(module: str) -> int:
    """The position of a module's layer, counted from the bottom."""
    top = module.partition(".")[0]
    return LAYERS.index("interfaces" if top in FACES else top)


def arrows_up(found: list[Import]) -> list[str]:
    """Imports that point from a lower layer to a higher one."""
    ours = [(one, one.what.removeprefix("treegate.")) for one in found if one.what.startswith("treegate.")]
    return [f"{one.who} -> {what}" for one, what in ours if one.who and layer(one.who) < layer(what)]


def within(module: str, homes: tuple[str, ...]) -> bool:
    """Whether a module is one of `homes`, or inside one that ends in a dot."""
    return any(module == home.rstrip(".") or (home.endswith(".") and module.startswith(home)) for home in homes)


def strangers(found: list[Import]) -> list[str]:
    """Third-party imports outside the place that is their home."""
    homes = {**{sdk: (home,) for sdk, home in HOMES.items()}, **SHARED}
    foreign = [one for one in found if one.top not in sys.stdlib_module_names and one.top != "treegate"]
    return [f"{one.who} -> {one.what}" for one in foreign if not within(one.who, homes.get(one.top, ()))]


def impure(found: list[Import]) -> list[str]:
    """Imports of `model` that reach beyond values."""
    of_model = [one for one in found if one.who.split(".")[0] == "model" and one.top != "treegate"]
    return [f"{one.who} -> {one.what}" for one in of_model if one.what not in PURE]


def test_every_module_belongs_to_a_layer():
    """A new file at the top of the package is in a layer or is the public face itself."""
    tops = {name.partition(".")[0] for name in sources()}
    assert tops - {"", "__main__"} == {*LAYERS, *FACES}


def test_imports_point_down():
    """No layer imports one above it."""
    assert arrows_up(IMPORTS) == []


def test_faces_are_made_of_the_model_alone():
    """`render` takes values and gives text: it reads no disk and no store, and the engine knows nothing of it."""
    across = [
        f"{one.who} -> {one.what}"
        for one in IMPORTS
        if {one.who.partition(".")[0], one.what.removeprefix("treegate.").partition(".")[0]} == set(SIDE_BY_SIDE)
    ]
    reaching = [
        f"{one.who} -> {one.what}"
        for one in IMPORTS
        if one.who.startswith("render.") and one.top in sys.stdlib_module_names and one.what not in {*PURE, "shlex"}
    ]
    assert (across, reaching) == ([], [])


def test_an_arrow_that_points_up_is_seen():
    """The walker finds imports in functions, of modules and of names alike."""
    source = "def f():\n    from treegate import gate\n    from treegate.engine.posix import rename\n"
    assert arrows_up(list(imports_in(source, "model.plan"))) == [
        "model.plan -> gate",
        "model.plan -> engine.posix",
    ]


def test_errors_import_nothing_of_ours():
    """The exception tree stands alone, so that anything may raise it."""
    assert [one.what for one in IMPORTS if one.who == "errors" and one.what.startswith("treegate")] == []


def test_the_model_is_pure():
    """`model` uses the allowed modules and msgspec, and has no other way to a disk, a clock or chance."""
    assert impure(IMPORTS) == []


@pytest.mark.parametrize("module", ["os", "os.path", "time", "random", "secrets", "socket", "subprocess", "pathlib"])
def test_an_impure_import_is_seen(module: str):
    """What reaches the world is not on the list of pure modules."""
    assert impure(list(imports_in(f"import {module}", "model.plan"))) == [f"model.plan -> {module}"]


def test_the_model_never_opens_files_nor_asks_for_the_time():
    """Builtins and methods that need no import are no way out either."""
    calls = {"open", "input", "print", "exec", "eval", "__import__"}
    clocks = {
        f"{kind}.{word}"
        for kind in ("datetime", "date", "datetime.datetime", "datetime.date")
        for word in ("now", "utcnow", "today")
    }
    lexical = {
        "join",
        "normpath",
        "dirname",
        "basename",
        "split",
        "splitext",
    }  # of posixpath; the rest looks at disks
    found = []
    for name, text in sources().items():
        if name.split(".")[0] != "model":
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                by_name = isinstance(node.func, ast.Name) and node.func.id in calls
                said = ast.unparse(node.func)
                by_clock = said in clocks
                by_disk = said.startswith("posixpath.") and said.removeprefix("posixpath.") not in lexical
                if by_name or by_clock or by_disk:
                    found.append(f"{name}:{node.lineno} {ast.unparse(node.func)}")
    assert found == []


def test_each_sdk_is_known_in_one_place():
    """A third-party library is imported by its home and nobody else."""
    assert strangers(IMPORTS) == []


def test_each_home_is_lived_in():
    """The table of homes has no row that the code has left behind."""
    used = {(one.top, one.who) for one in IMPORTS}
    empty = [sdk for sdk, home in HOMES.items() if not any(s == sdk and within(who, (home,)) for s, who in used)]
    assert empty == []


def loaded_by(code: str) -> set[str]:
    """The modules a fresh interpreter holds after some code."""
    script = f"import sys\n{code}\nprint('\\0' + '\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("\0")[2].split())  # behind what the code itself prints


def test_importing_treegate_loads_nothing_heavy():
    """`import treegate` is cheap: no SDK, not even the layers."""
    found = loaded_by("import treegate")
    assert {one for one in found if one.partition(".")[0] in HEAVY} == set()
    assert {one for one in found if one.startswith("treegate.")} == set()


def test_help_loads_nothing_heavy():
    """`treegate --help` needs neither the database nor a key."""
    code = "import click\nfrom treegate.interfaces.cli import cli\ncli.main(['--help'], standalone_mode=False)"
    found = loaded_by(code)
    assert {one for one in found if one.partition(".")[0] in HEAVY} == set()
    assert not any(one.startswith(("treegate.engine", "treegate.gate")) for one in found)


def test_completing_loads_nothing_heavy(tmp_path: Path):
    """A person waits for a key: neither the script nor an answer with ids needs SQLAlchemy or a key."""
    code = f"""
import os
os.environ["_TREEGATE_COMPLETE"], os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "%s", "treegate show ", "2"
os.chdir({str(tmp_path)!r})
from treegate.interfaces.cli import main
try:
    main()
except SystemExit:
    pass
"""
    for asked in ("bash_source", "bash_complete"):
        found = loaded_by(code % asked)
        assert {one for one in found if one.partition(".")[0] in HEAVY} == set()
        assert "treegate.interfaces.cli.completing" in found
    found = loaded_by("from treegate.engine import configfile, glance, workspace")  # what a workspace is asked with
    assert {one for one in found if one.partition(".")[0] in HEAVY} == set()
