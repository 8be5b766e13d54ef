"""The commands with --server: the same output as beside the workspace, for a whole story; and who may not."""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import os
import re
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO
from unittest import mock

import pytest
from commandwork import SMALL, runnable
from test_service_killed import Serving

from treegate.gate import Gate
from treegate.interfaces.cli import COMMANDS, cli, completing, failures
from treegate.model.actors import Role

ROLES = ("author", "reviewer", "operator", "admin")
HERE = {
    "init",
    "demo",
    "completion",
    "serve",
    "worker",
    "schema",
    "prompt",
    "sandbox",
}  # what makes no sense from afar
PLAN = [
    {"op": "move", "match": "scan[1-4].pdf", "to": "Scans/"},
    {"op": "replace", "path": "notes.txt", "content": "call the court today\n"},
    {"op": "delete", "path": "scan0.pdf"},
]
# What is never the same twice: ids, digests, keys and signatures, times, durations, the door.
PARTS = (
    (r"\b(pl|run|ws|st|tok|sb)_[0-9a-z]{8,16}\b", r"\1_ID"),
    (r"\btg_[0-9A-Za-z_-]+", "tg_TOKEN"),
    (r"\b[0-9a-f]{64}\b", "DIGEST"),
    (r"\b[0-9a-f]{12}\b", "DIGEST"),
    (r"ed25519:[A-Za-z0-9+/=]+", "KEY"),
    (r"\b1[0-9]{12}\b", "MS"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "TIME"),
    (r"\b\d{8}T\d{6}\.\d{3}Z", "STAMP"),
    (r"\d{4}-\d\d-\d\d by age", "DAY by age"),
    (r'"seconds":[0-9.e-]+', '"seconds":S'),
    (r"\d+(\.\d+)? (ms|s)\b", "S"),
    (r'"channel":"(cli|http)"', '"channel":DOOR'),
    (r"\[(cli|http)\]", "[DOOR]"),
    (r"\(?DIGEST\)?", "DIGEST"),
)


class Ended(NamedTuple):
    """How a command line ended."""

    status: int
    out: str
    err: str


class Shell:
    """Somebody's shell, beside a workspace of its own or far from it."""

    def __init__(self, folder: Path, *, far: bool) -> None:
        self.root, self.away = folder / "office", folder / "elsewhere"
        self.away.mkdir(parents=True)
        self._environ = {"TREEGATE_STATE": str(folder / "state"), "PATH": os.environ["PATH"], "COLUMNS": "100"}
        self._environ["TREEGATE_SANDBOX_ENGINE"] = "bwrap"
        self._environ["DOCKER_HOST"] = "unix:///nowhere"  # whatever answers on this machine: `doctor` tells of it
        self._environ |= SMALL
        self._environ["TREEGATE_SERVICE_PORT"] = "0"  # which `serve --port 0` sets, and `config show` tells
        for case in ("Smith", "Jones"):
            (self.root / "projects" / case).mkdir(parents=True)
            for number in range(5):
                (self.root / "projects" / case / f"scan{number}.pdf").write_text(f"{case} {number}")
        (self.root / "projects/Smith/notes.txt").write_text("call the court\n")
        with Gate.init(self.root, environ=self._environ) as gate:
            self._tokens = {role: gate.create_token(role, Role(role))[1] for role in ROLES}
        self.serving = Serving(self.root, self._environ) if far else None

    def run(self, who: str, *args: str, given: str = "", near: bool = False, **environ: str) -> Ended:
        """One command, as whoever's token is meant; `near`: beside the workspace, although there is a service."""
        where, more = self.root, dict(self._environ)
        if self.serving is not None and not near:
            where, more = self.away, {"PATH": os.environ["PATH"], "COLUMNS": "100"}
            more["TREEGATE_SERVER"] = self.serving.address
        if who:
            more["TREEGATE_TOKEN"] = self._tokens[who]
        with (
            tempfile.TemporaryFile("w+", encoding="utf-8") as out,
            tempfile.TemporaryFile("w+", encoding="utf-8") as err,
            mock.patch.dict(os.environ, more | environ, clear=True),
            mock.patch("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode()))),
            contextlib.chdir(where),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            status = failures.guarded(cli, list(args))
            return Ended(status, _text(out), _text(err))

    def end(self) -> None:
        if self.serving is not None:
            assert self.serving.end(signal.SIGTERM) == 0


def _text(stream: TextIO) -> str:
    """What was printed: a file, so that an editor can print there, too."""
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.fixture
def near(fast: Path) -> Shell:
    return Shell(fast / "near", far=False)


@pytest.fixture
def far(fast: Path) -> Iterator[Shell]:
    shell = Shell(fast / "far", far=True)
    yield shell
    shell.end()


def document(*operations: dict[str, Any], **head: Any) -> str:
    return json.dumps({"version": 1, "case": "Smith", "title": "Sort", "operations": operations, **head})


def plain(text: str, shell: Shell) -> str:
    """A text without what is never the same twice."""
    text = text.replace(str(shell.root.parent), "FOLDER")
    for pattern, instead in PARTS:
        text = re.sub(pattern, instead, text)
    return re.sub(r"[ ]{2,}", "  ", text)


def story(shell: Shell) -> Iterator[tuple[str, Ended]]:
    """What a small office types, and what it is answered."""

    def do(who: str, *args: str, given: str = "", **environ: str) -> Ended:
        ended = shell.run(who, *args, given=given, **environ)
        told.append((f"{who}: treegate {' '.join(args)}", ended))
        return ended

    told: list[tuple[str, Ended]] = []
    sort = document(*PLAN)
    do("author", "check", "-", given=sort)
    do("author", "check", "-", given=document({"op": "move", "from": "skan1.pdf", "to": "A/"}))
    do("author", "submit", "-", given='{"version": 1, "operations": 7}')
    do("operator", "pause", "--case", "Smith", "-c", "an audit")
    id = json.loads(do("author", "submit", "-", "--json", given=sort).out)["id"]
    do("author", "policy", "explain", id)
    do("reviewer", "status")
    do("reviewer", "list")
    do("reviewer", "show", id)
    do("reviewer", "show", id, "--effects", "--count", "3")
    do("reviewer", "show", id, "--markdown")
    do("author", "approve", id, "--digest", "000000000000")
    digest = json.loads(do("reviewer", "show", id, "--json").out)["preview"]["digest"]
    do("reviewer", "approve", id, "--digest", digest)
    do("reviewer", "revoke", id)
    do("operator", "resume", "--case", "Smith", "--json")
    do("reviewer", "reduce", id, "--leave-out", "e2")
    do("author", "revise", id, "-", "--from", "1", given=sort)
    do("author", "revise", id, "-", given=sort)
    do("author", "diff", id, "1")
    do("author", "wait", id, "--until", "decided", "--timeout", "0")
    do("reviewer", "approve", id, "--digest", "000000000000")
    applied = json.loads(do("reviewer", "approve", id, "--digest", digest, "--json").out)
    run = applied["run"]
    do("author", "wait", id, "--until", "applied", "--timeout", "60s")
    do("reviewer", "apply", id)
    do("reviewer", "show", run)
    do("reviewer", "vault", "list")
    do("operator", "vault", "restore", run, "--to", "Smith/again.pdf")
    do("operator", "undo", run, "--path", "Smith/Scans/scan1.pdf")
    do("operator", "undo", run, "--now")
    do("operator", "vault", "prune", "--dry-run")
    do("operator", "recover")
    other = json.loads(do("author", "submit", "-", "--json", given=document(PLAN[1], title="Notes")).out)
    do("reviewer", "reject", other["id"], "-c", "not today")
    do("author", "submit", "-", given=document(PLAN[1], title="Notes"))
    do("author", "withdraw", id)
    do("author", "log", "--path", "Smith/Scans/scan1.pdf")
    do("reviewer", "doctor")
    do("author", "doctor")
    do("operator", "fsck")
    do("operator", "config", "show")
    do("admin", "token", "list")
    do("admin", "token", "create", "--name", "nina", "--role", "reviewer")
    do("admin", "token", "revoke", "nina")
    do("author", "new", "Smith", "--mv", "scan1.pdf", "A/")
    do("author", "new", "Smith", "--edit", EDITOR="sed -i s/notes.txt/Notes.txt/")
    do("author", "show", "pl_nowhere")
    yield from told


def test_the_same_story_is_told_near_and_far(near: Shell, far: Shell):
    """Each command ends with the same status, and prints the same on both streams, but for ids and times."""
    for (line, ours), (_, theirs) in zip(story(near), story(far), strict=True):
        for name in ("out", "err"):
            here, there = plain(getattr(ours, name), near), plain(getattr(theirs, name), far)
            assert here == there, line + "\n" + "\n".join(difflib.unified_diff(here.split("\n"), there.split("\n")))
        assert ours.status == theirs.status, (line, ours, theirs)


LOOKS = [
    "list",
    "list --json",
    "show PLAN",
    "show PLAN --json",
    "show PLAN --effects",
    "show PLAN --operations",
    "show PLAN --markdown",
    "show RUN",
    "show RUN --json",
    "status",
    "status --json",
    "review",
    "diff PLAN",
    "diff PLAN 1 --json",
    "vault list",
    "vault list --json",
    "log",
    "log --json",
    "log --case Smith --limit 3",
    "log --path Smith/Scans/scan1.pdf",
    "log --path Smith/notes.txt --json",
    "audit verify",
    "audit verify --json",
    "audit export",
    "audit export --json",
    "doctor",
    "doctor --deep",
    "fsck --dry-run",
    "config show",
    "config path",
    "config show --json",
    "token list",
    "policy explain PLAN",
    "policy explain PLAN --json",
    "apply PLAN",
    "wait PLAN --until applied",
    "vault prune --dry-run --json",
    "recover --json",
    "new Smith --mv Scans/scan1.pdf A/",
    "show nothing",
    "list --limit 1",
]


def test_one_workspace_looks_the_same_near_and_far(far: Shell):
    """Byte by byte, for people and for programs; also what is refused, and to whom."""
    far.run("author", "submit", "-", given=document(*PLAN))
    made = json.loads(far.run("author", "submit", "-", "--json", given=document(*PLAN[:2])).out)
    done = far.run("reviewer", "approve", made["id"], "--digest", made["digest"], "--json")
    named = {"PLAN": made["id"], "RUN": json.loads(done.out)["run"]}
    for look in LOOKS:
        args = [named.get(word, word) for word in look.split()]
        for who in ("admin", "author"):
            assert far.run(who, *args, near=True) == far.run(who, *args), (who, look)


def test_every_command_on_a_workspace_takes_a_server(far: Shell):
    """All but those that make no sense from afar; `rekey` and the like are no exception."""
    for name in COMMANDS:
        module = __import__(f"treegate.interfaces.cli.{COMMANDS[name].module}", fromlist=["x"])
        command = getattr(module, f"{name.replace('-', '_')}_command")
        for one in getattr(command, "commands", {"": command}).values():
            takes = any("--server" in param.opts for param in one.params)
            assert takes == (name not in HERE), (name, one.name)


def commands(shell: Shell) -> Iterator[tuple[str, Ended]]:
    """What an office types about commands in sandboxes."""
    sorting = ["run", "Smith", "--timeout", "20s", "--", "sh", "-c", "echo sorted; mv scan0.pdf first.pdf; exit 3"]
    for who, args in (
        ("author", sorting),
        ("author", ["run", "Smith", "--", "sh", "-c", "echo only read; echo so >&2"]),
        ("author", ["run", "Smith", "--", "cat", "/etc/passwd"]),
        ("author", ["run", "Smiht", "--", "sh"]),
        ("reviewer", ["list", "--sandboxes"]),
        ("author", ["run", "sb_nowhere"]),
    ):
        yield f"{who}: {args}", shell.run(who, *args)
    made = json.loads(shell.run("author", "run", "Jones", "--json", "--", "sh", "-c", "rm scan1.pdf").out)
    assert (made["status"], made["plan_state"]) == (0, "pending")
    yield "show", shell.run("reviewer", "show", made["id"])
    yield "show the plan", shell.run("reviewer", "show", made["plan"])


@runnable
def test_commands_run_alike_near_and_far(near: Shell, far: Shell):
    """The same output on the same stream, the same status: the command's own, 125 where treegate failed."""
    for (line, ours), (_, theirs) in zip(commands(near), commands(far), strict=True):
        for name in ("out", "err"):
            assert plain(getattr(ours, name), near) == plain(getattr(theirs, name), far), line
        assert ours.status == theirs.status, (line, ours, theirs)


def test_a_server_that_is_not_there(near: Shell):
    """Exit status 14, and the command that may help."""
    ended = near.run("author", "list", "--server", "http://127.0.0.1:9", "--json")
    error = json.loads(ended.out)["error"]
    assert (ended.status, error["code"], error["exit_status"]) == (14, "server-unreachable", 14)


@pytest.mark.parametrize(
    ("args", "environ", "status", "code"),
    [
        (["--server", "http://127.0.0.1:9", "--workspace", "."], {}, 2, "server-and-workspace"),
        (["--server", "http://example.org"], {}, 2, "insecure-server"),
        (["--server", "nowhere"], {}, 2, "server-invalid"),
        (["--server", "http://127.0.0.1:9"], {"TREEGATE_TOKEN": ""}, 4, "token-needed"),
        ([], {"TREEGATE_SERVER": "http://127.0.0.1:9"}, 14, "server-unreachable"),
    ],
)
def test_what_is_named_has_to_fit(near: Shell, args: list[str], environ: dict[str, str], status: int, code: str):
    """A server or a workspace; an address that is one, and safe; a token."""
    ended = near.run("author", "list", "--json", *args, **environ)
    assert (ended.status, json.loads(ended.out)["error"]["code"]) == (status, code)


def test_a_workspace_that_is_named_goes_before_the_environment(near: Shell):
    """TREEGATE_SERVER is for those who name nothing."""
    ended = near.run("author", "list", "--workspace", ".", TREEGATE_SERVER="http://127.0.0.1:9")
    assert ended.status == 0


def test_a_wrong_token_is_denied(far: Shell):
    """Exit status 4; no token at all, too."""
    assert far.run("", "list", TREEGATE_TOKEN="tg_" + "x" * 40).status == 4
    ended = far.run("", "list", "--json")
    assert (ended.status, json.loads(ended.out)["error"]["code"]) == (4, "token-needed")


def test_completion_asks_nobody_on_the_network(far: Shell):
    """With a server named, ids are not offered: a key at the shell waits for no network."""
    made = json.loads(far.run("author", "submit", "-", "--json", given=document(*PLAN)).out)
    asked = {"COMP_WORDS": "treegate show ", "COMP_CWORD": "2", "TREEGATE_STATE": str(far.root.parent / "state")}
    for environ, offered in (({}, True), ({"TREEGATE_SERVER": "http://127.0.0.1:9"}, False)):
        with (
            mock.patch.dict(os.environ, {**asked, **environ}),
            contextlib.chdir(far.root),
            tempfile.TemporaryFile("w+") as out,
            contextlib.redirect_stdout(out),
        ):
            completing.answer("bash_complete")
            assert (made["id"] in _text(out)) == offered
