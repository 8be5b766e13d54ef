"""Shell completion, asked as a shell asks: the script is sourced and its function called with the words typed."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import pytest

from treegate.engine import glance
from treegate.gate import Gate
from treegate.interfaces.cli import COMMANDS, WIDTH, Entry, cli, failures, offers, overview
from treegate.model.names import visible

PROGRAM = "from treegate.interfaces.cli import main; main()"
CASES = ["Smith", "Müller v Söhne", 'it\'s "odd" $HOME', "a:b", "star*"]


class Place:
    """A workspace with odd cases and some plans, and a `treegate` in the path."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "ws", folder / "state"
        for case in CASES:
            (self.root / "projects" / case).mkdir(parents=True)
        (self.root / "projects/Smith/a.txt").write_text("a")
        (self.root / "projects/Smith/b.txt").write_text("b")
        (self.root / "my plan.json").write_text("{}")
        (folder / "bin").mkdir()
        program = folder / "bin/treegate"
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(PROGRAM)} "$@"\n')
        program.chmod(0o755)
        self.env = {name: text for name, text in os.environ.items() if not name.startswith("TREEGATE_")}
        self.env |= {"PATH": f"{folder}/bin:{os.environ['PATH']}", "TREEGATE_STATE": str(self.state), "TERM": "dumb"}
        self.env |= {"HOME": str(folder), "LC_ALL": "C.UTF-8", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self.plans: dict[str, str] = {}

    def gate(self) -> Gate:
        return Gate.open(self.root, {"TREEGATE_STATE": str(self.state), "TREEGATE_POLICY_APPROVAL_OWN": "true"})

    def furnish(self) -> None:
        """One plan that waits, one that is applied, one with errors."""
        Gate.init(self.root, environ={"TREEGATE_STATE": str(self.state)}).close()
        with self.gate() as gate:
            for name, path, to in (("waiting", "a.txt", "c.txt"), ("applied", "b.txt", "d.txt"), ("wrong", "x", "y")):
                operation = {"op": "move", "from": path, "to": to}
                head = {"version": 1, "case": "Smith", "title": f"The {name}, one"}
                done = gate.submit(json.dumps({**head, "operations": [operation]}))
                self.plans[name] = done.id
                if name == "applied":
                    gate.approve(done.id, done.digest)
                    self.plans["run"] = gate.apply(done.id).run

    def script(self, shell: str) -> str:
        line = ["treegate", "completion", shell]
        return subprocess.run(line, env=self.env, capture_output=True, text=True, check=True).stdout

    def bash(self, *words: str, at: int | None = None, cwd: Path | None = None) -> list[str]:
        """What bash is offered for the last of some words (or for word `at`); nothing may be said besides."""
        number = len(words) - 1 if at is None else at
        typed = " ".join(map(shlex.quote, words))
        lines = (
            'source /dev/stdin <<< "$SCRIPT"',
            f"COMP_WORDS=({typed}); COMP_CWORD={number}",
            'compopt() { OPTIONS+=("$2"); }',
            "_treegate_completion treegate",
            'for one in "${COMPREPLY[@]}" "${OPTIONS[@]/#/option }"; do printf "%s\\n" "$one"; done',
        )
        env = {**self.env, "SCRIPT": self.script("bash")}
        line = [need("bash"), "--norc", "-c", "\n".join(lines)]
        done = subprocess.run(line, env=env, cwd=cwd or self.root, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.splitlines()


def need(shell: str) -> str:
    """The shell, or a skip."""
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"needs {shell}, which is not installed")
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("completion"))
    made.furnish()
    return made


# --- bash ------------------------------------------------------------------------------------------------------


def test_commands_are_completed(place: Place):
    """All of them for an empty word, in the order of the overview; those that begin like it for others."""
    assert place.bash("treegate", "") == list(COMMANDS)
    assert place.bash("treegate", "app") == ["approve", "apply"]
    assert place.bash("treegate", "vault", "") == ["list", "prune", "restore"]
    assert place.bash("treegate", "nonsense", "") == []


def test_options_and_choices_are_completed(place: Place):
    """As the command has them."""
    assert place.bash("treegate", "undo", "--p") == ["--path"]
    assert set(place.bash("treegate", "vault", "prune", "--")) >= {"--dry-run", "--json", "--workspace"}
    assert place.bash("treegate", "completion", "") == ["bash", "zsh", "fish"]
    assert place.bash("treegate", "list", "--in-state", "app") == ["approved", "applying", "applied"]
    assert place.bash("treegate", "list", "--in-state", "=", "app") == ["approved", "applying", "applied"]


def test_ids_are_those_that_the_command_can_do_something_with(place: Place):
    """`approve` offers what waits, `show` everything, `undo` runs that were applied, `recover` unfinished ones."""
    waiting, run = place.plans["waiting"], place.plans["run"]
    assert place.bash("treegate", "approve", "") == [waiting]
    assert place.bash("treegate", "approve", waiting[:8]) == [waiting]
    assert place.bash("treegate", "approve", "pl_nothing") == []
    assert place.bash("treegate", "apply", "pl_") == []
    assert sorted(place.bash("treegate", "show", "")) == sorted(place.plans.values())
    assert place.bash("treegate", "undo", "run_") == [run]
    assert place.bash("treegate", "vault", "restore", "") == [run]
    assert place.bash("treegate", "recover", "") == []


def test_words_after_the_one_being_typed_do_not_matter(place: Place):
    """The cursor may stand in the middle of a line."""
    assert place.bash("treegate", "app", "pl_x", at=1) == ["approve", "apply"]


def test_cases_are_quoted_as_the_shell_needs_them(place: Place):
    """bash takes what is offered literally: read back, each is the case's own name."""
    offered = place.bash("treegate", "list", "--case", "")
    assert [read_back(one) for one in offered] == sorted(CASES)
    assert place.bash("treegate", "list", "--case", "Mül") == ["Müller\\ v\\ Söhne"]
    assert place.bash("treegate", "list", "--case", "Müller\\ v") == ["Müller\\ v\\ Söhne"]
    assert place.bash("treegate", "list", "--case", '"Müller v') == ["Müller v Söhne"]
    for quote in ('"', "'"):
        (odd,) = place.bash("treegate", "list", "--case", f"{quote}it")
        assert read_back(f"{quote}{odd}{quote}") == CASES[2]


def read_back(word: str) -> str:
    """What bash makes of a word."""
    done = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, text=True, check=True)
    return done.stdout


def test_words_that_bash_breaks_are_put_together(place: Place):
    """At = and at a colon: only what follows the last break is offered."""
    assert place.bash("treegate", "list", "--case", "=", "Sm") == ["Smith"]
    assert place.bash("treegate", "list", "--case", "=") == place.bash("treegate", "list", "--case", "")
    assert place.bash("treegate", "list", "--case", "a", ":") == ["b"]
    assert place.bash("treegate", "list", "--case", "a", ":", "b") == ["b"]
    assert place.bash("treegate", "list", "--case", "=", "a", ":", "b") == ["b"]


def test_plans_are_files_and_workspaces_are_folders(place: Place):
    """The shell itself completes those."""
    assert place.bash("treegate", "check", "my") == ["option default"]
    assert place.bash("treegate", "check", "plan.json", "--output", "") == ["option default"]
    assert place.bash("treegate", "init", "") == ["option dirnames"]
    assert place.bash("treegate", "list", "--workspace", "") == ["option dirnames"]


def test_another_workspace_can_be_named_on_the_line(place: Place, tmp_path: Path):
    """As for the command itself; elsewhere there is nothing to offer, and nothing is said."""
    assert place.bash("treegate", "approve", "", cwd=tmp_path) == []
    assert place.bash("treegate", "list", "--case", "", cwd=tmp_path) == []
    named = ("--workspace", str(place.root), "--state", str(place.state))
    assert place.bash("treegate", "approve", *named, "", cwd=tmp_path) == [place.plans["waiting"]]


def test_tab_in_a_real_terminal(place: Place):
    """bash itself, at a terminal: a case with spaces, within a quote and without; a plan's file; a command."""
    script = place.root.parent / "rc"
    script.write_text(place.script("bash") + "PS1='> '\nbind 'set enable-bracketed-paste off'\n")
    lines = {
        "treegate list --case M\t": "treegate list --case Müller\\ v\\ Söhne ",
        'treegate list --case "M\t': 'treegate list --case "Müller v Söhne" ',
        "treegate list --case=M\t": "treegate list --case=Müller\\ v\\ Söhne ",
        "treegate list --case a:\t": "treegate list --case a:b ",
        "treegate check my\t": "treegate check my\\ plan.json ",
        "treegate appl\t": "treegate apply ",
    }
    for typed, shown in lines.items():
        assert shown in typed_at_terminal([need("bash"), "--rcfile", str(script), "-i"], typed, shown, place), typed


def typed_at_terminal(line: list[str], typed: str, wanted: str, place: Place, **env: str) -> str:
    """What a terminal shows after some keys, as soon as it shows what is wanted (or within ten seconds)."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(place.root)
        os.execve(line[0], line, {**place.env, "COLUMNS": "200", **env})
    seen = ""
    try:
        seen = read_until(terminal, "> ")
        os.write(terminal, typed.encode())
        seen = read_until(terminal, wanted)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
    return seen


def read_until(terminal: int, wanted: str) -> str:
    seen = b""
    while wanted not in seen.decode(errors="replace") and select.select([terminal], [], [], 10)[0]:
        seen += os.read(terminal, 4096)
    return seen.decode(errors="replace")


# --- zsh and fish ----------------------------------------------------------------------------------------------


def test_zsh_is_offered_the_same_with_what_each_is(place: Place):
    """The completion function, with the builtins that only work in the line editor replaced by ones that tell."""
    asked = {
        ("approve", ""): f"{place.plans['waiting']}:pending: The waiting, one",
        ("list", "--case", "Mül"): "Müller v Söhne",
        ("list", "--case", "'Müller v"): "Müller v Söhne",
        ("list", "--case=Mül"): "--case=Müller v Söhne",
        ("appr",): "approve:say yes to exactly what the preview shows",
        ("check", "my"): "files",
    }
    tell = r"""
        compdef() { :; }
        _describe() { print -rl -- $completions_with_descriptions; }
        compadd() { print -rl -- $completions; }
        _path_files() { print files; }
        source <(print -r -- "$SCRIPT")
        words=("${(@)argv}"); CURRENT=$#words
        _treegate_completion
    """
    env = {**place.env, "SCRIPT": place.script("zsh")}
    for typed, wanted in asked.items():
        line = [need("zsh"), "-f", "-c", textwrap.dedent(tell), "zsh", "treegate", *typed]
        done = subprocess.run(line, env=env, cwd=place.root, capture_output=True, text=True, check=False)
        assert (done.stdout.splitlines(), done.stderr) == ([wanted], ""), typed


def test_tab_in_a_real_terminal_of_zsh(place: Place, tmp_path: Path):
    """zsh itself: it quotes what is offered."""
    (tmp_path / ".zshrc").write_text(f"autoload -U compinit; compinit -u -D; PS1='> '\n{place.script('zsh')}")
    line = [need("zsh"), "-i"]
    for typed, shown in {
        "treegate list --case M\t": "treegate list --case Müller\\ v\\ Söhne",
        "treegate list --case=M\t": "treegate list --case=Müller\\ v\\ Söhne",
        "treegate check my\t": "treegate check my\\ plan.json",
        "treegate appl\t": "treegate apply ",
    }.items():
        assert shown in typed_at_terminal(line, typed, shown, place, ZDOTDIR=str(tmp_path)), typed


def test_fish_is_offered_the_same_with_what_each_is(place: Place):
    """fish's own `complete --do-complete` says what it would show; commas in a title do it no harm."""
    asked = {
        "treegate approve ": f"{place.plans['waiting']}\tpending: The waiting, one",
        "treegate list --case Mül": "Müller v Söhne",
        "treegate list --case 'Müller v": "Müller v Söhne",
        "treegate list --case=Mül": "--case=Müller v Söhne",
        "treegate appr": "approve\tsay yes to exactly what the preview shows",
        "treegate check my": "my plan.json",
    }
    shell = need("fish")
    for typed, wanted in asked.items():
        line = [
            shell,
            "--no-config",
            "-c",
            f"printf '%s\\n' $SCRIPT | source; complete --do-complete {shlex.quote(typed)}",
        ]
        env = {**place.env, "SCRIPT": place.script("fish")}
        done = subprocess.run(line, env=env, cwd=place.root, capture_output=True, text=True, check=False)
        assert (done.stdout.splitlines(), done.stderr) == ([wanted], ""), typed


# --- what holds for every shell --------------------------------------------------------------------------------


def ask(place: Place, *, words: str, at: int, shell: str = "zsh", **env: str) -> tuple[str, str]:
    """The raw answer of the program, and what it says on stderr."""
    word = "" if shell == "fish" else str(at)  # fish gives the word itself
    asked = {"_TREEGATE_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": word}
    line = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(line, env={**place.env, **asked, **env}, cwd=place.root, capture_output=True, text=True)
    return done.stdout, done.stderr


def files_of(place: Place) -> dict[str, tuple[int, bytes]]:
    """Every file and folder of state and workspace: when it was changed, and its content."""
    paths = [path for top in (place.root, place.state) for path in (top, *top.rglob("*"))]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in paths}


def test_completing_writes_nothing(place: Place):
    """Not a log nor a lock beside the database, nor a time on any file."""
    before = files_of(place)
    for words in ("treegate approve ", "treegate undo ", "treegate list --case ", "treegate ", "treegate check "):
        assert ask(place, words=words, at=len(words.split()))[0].strip()
    assert files_of(place) == before


def test_a_writer_at_work_is_no_obstacle(place: Place):
    """While another process has the database open, with changes still in its log, they are seen."""
    with place.gate() as gate:
        done = gate.submit(
            json.dumps({"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "new"}]})
        )
        assert (place.state / "treegate.db-wal").stat().st_size > 0
        assert done.id in place.bash("treegate", "approve", "")
        gate.reject(done.id, done.digest, "only for this test")
    assert done.id not in place.bash("treegate", "approve", "")


BROKEN = {
    "no database": lambda state: (state / "treegate.db").unlink(),
    "no database at all": lambda state: shutil.rmtree(state),
    "a damaged database": lambda state: (state / "treegate.db").write_bytes(b"SQLite format 3\0" + b"\xff" * 4096),
    "a damaged configuration": lambda state: (state / "treegate.toml").write_text("[["),
}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("fault", BROKEN)
def test_a_fault_offers_nothing_and_says_nothing(place: Place, tmp_path: Path, fault: str, shell: str):
    """A traceback in the middle of somebody's line helps nobody."""
    shutil.copytree(place.state, tmp_path / "state")
    BROKEN[fault](tmp_path / "state")
    words = "treegate list --case " if fault == "a damaged configuration" else "treegate approve "
    assert ask(place, words=words, at=len(words.split()), shell=shell)[0].strip()
    for line in (words, "treegate nonsense "):
        out, err = ask(place, words=line, at=len(line.split()), shell=shell, TREEGATE_STATE=str(tmp_path / "state"))
        assert (out.strip(), err) == ("", "")


@pytest.mark.parametrize(
    "asked",
    [{"COMP_CWORD": "x"}, {"COMP_CWORD": "-5"}, {"COMP_WORDS": '"'}, {"_TREEGATE_COMPLETE": "tcsh_complete"}],
    ids=str,
)
def test_nonsense_from_a_shell_is_no_traceback(place: Place, asked: dict[str, str]):
    """Whatever the variables say."""
    env = {**place.env, "_TREEGATE_COMPLETE": "bash_complete", "COMP_WORDS": "treegate x", "COMP_CWORD": "1", **asked}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, cwd=place.root, capture_output=True, text=True)
    assert done.stderr == ""


def test_a_glance_shows_the_newest_of_many(place: Place):
    """By prefix and state; a prefix is text, not a pattern."""
    database = place.state / "treegate.db"
    assert [row.title for row in glance.plans(database, states=["invalid"])] == ["The wrong, one"]
    assert glance.plans(database, "pl%") == glance.plans(database, "p'") == []
    assert glance.runs(database)[0] == (place.plans["run"], "applied", "The applied, one")


def test_titles_are_made_inert(place: Place, monkeypatch: pytest.MonkeyPatch):
    """What an author wrote cannot reach the terminal as it is, nor break the lines of an answer."""
    row = glance.Row("pl_x", "pending", "a\nb\x1b[31m" + "c" * 200)
    item = offers._id(row)
    assert item.help == f"pending: {visible(row.title)[:60]}"
    assert item.help.isprintable()


# What a parameter is called when the workspace knows what it may be.
KNOWN = {"id", "run", "case", "cases", "plan"}


def test_every_id_case_and_plan_of_every_command_is_completed():
    """A command that is added later is completed too, if it calls things by their names."""
    left = []
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        commands = [command, *(command.commands.values() if isinstance(command, click.Group) else ())]
        for one in map(offers.prepare, commands):
            left += [
                f"{name} {p.name}" for p in one.params if p.name in KNOWN and not isinstance(p.type, offers.Offer)
            ]
    assert left == []


# --- the script, and the page ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_sound(place: Place, shell: str):
    """The shell itself finds no fault in it; --json gives the same."""
    flag = "--no-execute" if shell == "fish" else "-n"
    done = subprocess.run([need(shell), flag], input=place.script(shell), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_speaks_json(capfd: pytest.CaptureFixture[str]):
    """Like every command."""
    assert failures.guarded(cli, ["completion", "bash", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["shell"] == "bash"
    assert "complete -o nosort -F _treegate_completion treegate" in document["script"]


def test_the_overview_fits_a_terminal():
    """Sixty lines of eighty columns, each command's words in one column."""
    lines = overview().splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= WIDTH
    column = next(line for line in lines if line.startswith("  demo ")).index("a sample")
    for entry in COMMANDS.values():
        (at,) = [number for number, line in enumerate(lines) if f"{line} ".startswith(f"  {entry.usage} ")]
        alone = lines[at] == f"  {entry.usage}"
        says = lines[at + alone][column:]
        assert says
        assert entry.says.startswith(says)


def test_the_overview_wraps_what_is_too_long(monkeypatch: pytest.MonkeyPatch):
    """Under its own column; a usage that reaches into it stands alone."""
    section = COMMANDS["init"].section
    monkeypatch.setitem(COMMANDS, "wide", Entry(section, "setup", "wide " + "X" * 40, "words"))
    monkeypatch.setitem(COMMANDS, "long", Entry(section, "setup", "long " + "X" * 24, "words " * 20))
    lines = overview().splitlines()
    assert max(map(len, lines)) <= WIDTH
    at = next(number for number, line in enumerate(lines) if line.startswith("  long "))
    assert lines[at + 1].index("words") == lines[at].index("words")
    assert f"  wide {'X' * 40}\n{' ' * lines[at].index('words')}words\n" in overview()


LATER = {"Propose": ["new CASE"], "Look after": ["policy explain PLAN"]}


def test_the_overview_holds_what_is_still_to_come(monkeypatch: pytest.MonkeyPatch):
    """With the commands that are not here yet it is still sixty lines of eighty columns."""
    for section, usages in LATER.items():
        for usage in usages:
            if usage.split()[0] not in COMMANDS:
                monkeypatch.setitem(COMMANDS, usage.split()[0], Entry(section, "setup", usage, "x" * 44))
    lines = overview().splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= WIDTH


def test_every_command_is_in_a_section_of_the_overview():
    """And the page begins with where to begin."""
    text = overview()
    assert all(re.search(rf"^  {re.escape(entry.usage)}( |$)", text, re.MULTILINE) for entry in COMMANDS.values())
    assert text.index("treegate demo") < text.index("Begin")
