"""What holds for every command: help, one JSON document, exit statuses, short ids, standard input, colour."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

from treegate.engine.locks import case_locks
from treegate.gate import Gate
from treegate.interfaces.cli import COMMANDS, cli, failures
from treegate.model.actors import Role

ROOT = Path(__file__).parent.parent


class Ended(NamedTuple):
    """How a command line ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document; fails if there is anything besides."""
        assert self.err == ""
        return json.loads(self.out)


class Office:
    """A small workspace, a reviewer `ruth` and an agent, and the shell to use them from."""

    def __init__(
        self, folder: Path, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.root = folder / "ws"
        self.state = folder / "state"
        self.case = self.root / "projects/Smith"
        self.tokens = tokens
        self.env = monkeypatch
        self._capfd = capfd
        for name in [name for name in os.environ if name.startswith("TREEGATE_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("TREEGATE_STATE", str(self.state))
        monkeypatch.setenv("TREEGATE_LOCK_WAIT", "10ms")
        monkeypatch.chdir(self.root)

    def run(self, *args: str, who: str = "") -> Ended:
        """Runs a command line in this process, as the OS user or as whoever's token is meant."""
        if who:
            self.env.setenv("TREEGATE_TOKEN", self.tokens[who])
        else:
            self.env.delenv("TREEGATE_TOKEN", raising=False)
        self._capfd.readouterr()
        status = failures.guarded(cli, list(args))
        out, err = self._capfd.readouterr()
        return Ended(status, out, err)

    def plan(self, *operations: dict[str, Any], name: str = "plan.json") -> str:
        """A plan's file."""
        path = self.root.parent / name
        path.write_text(json.dumps({"version": 1, "case": "Smith", "operations": operations}))
        return str(path)

    def pending(self, number: int = 0, *, who: str = "agent") -> dict[str, Any]:
        """A plan that waits for a decision: one file moved."""
        moved = self.plan({"op": "move", "from": f"scan{number:03}.pdf", "to": "Scans/"})
        ended = self.run("submit", moved, "--json", who=who)
        assert ended.status == 0
        return dict(ended.document)

    def approved(self, number: int = 0) -> dict[str, Any]:
        """One that is approved and not applied."""
        self.env.setenv("TREEGATE_POLICY_APPLY_ON_APPROVAL", "false")
        plan = self.pending(number)
        assert self.run("approve", plan["id"], "--digest", plan["digest"], who="ruth").status == 0
        return plan

    def applied(self) -> dict[str, Any]:
        """A run that deleted a file."""
        plan = self.run("submit", self.plan({"op": "delete", "path": "scan019.pdf"}), "--json", who="agent").document
        done = self.run("approve", plan["id"], "--digest", plan["digest"], "--json", who="ruth")
        assert done.status == 0, done
        return dict(done.document["applied"])


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A workspace to make copies of, for making one syncs a lot; and the texts of its tokens."""
    folder = tmp_path_factory.mktemp("furnished")
    case = folder / "ws/projects/Smith"
    (case / "Notes").mkdir(parents=True)
    for number in range(20):
        (case / f"scan{number:03}.pdf").write_text(f"scan {number}")
    with Gate.init(folder / "ws", environ={"TREEGATE_STATE": str(folder / "state")}) as gate:
        gate.check('{"version": 1, "case": "Smith", "operations": [{"op": "mkdir", "path": "x"}]}')
        agent = gate.create_token("agent", Role.AUTHOR)[1]
        return folder, {"agent": agent, "ruth": gate.create_token("ruth", Role.REVIEWER)[1]}


@pytest.fixture
def office(
    furnished: tuple[Path, dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Office:
    shutil.copytree(furnished[0], tmp_path, dirs_exist_ok=True)
    return Office(tmp_path, furnished[1], monkeypatch, capfd)


def _generator() -> Any:
    spec = importlib.util.spec_from_file_location("docs_generate_for_cli", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LEAVES: dict[str, click.Command] = {
    " ".join(words): command for name in COMMANDS for words, command in _generator().leaves((name,))
}

# --- every command ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [*LEAVES, *(name for name in COMMANDS if name not in LEAVES), ""])
def test_every_command_explains_itself(words: str, capfd: pytest.CaptureFixture[str]):
    """--help and -h print what the command is for, and end well."""
    for flag in ("--help", "-h"):
        assert failures.guarded(cli, [*words.split(), flag]) == 0
        out, err = capfd.readouterr()
        assert "Usage: treegate" in out
        assert err == ""


@pytest.mark.parametrize("words", LEAVES)
def test_every_command_takes_json(words: str):
    """Scripts need not know which commands speak JSON: all do."""
    assert "--json" in {name for one in LEAVES[words].params for name in one.opts}


@pytest.mark.parametrize("words", LEAVES)
def test_every_option_is_explained_or_explains_itself(words: str):
    """An option's help is not left empty, unless its values say it."""
    silent = [
        one.name
        for one in LEAVES[words].params
        if isinstance(one, click.Option) and not one.help and not isinstance(one.type, click.Choice | click.IntRange)
    ]
    assert silent == []


@pytest.mark.parametrize("words", LEAVES)
def test_usage_errors_are_one_json_document_too(words: str, capfd: pytest.CaptureFixture[str]):
    """An unknown option with --json gives a document and status 2; 125 of `run`, whose 2 is a command's."""
    status = failures.SANDBOX_FAILED if words == "run" else 2
    assert failures.guarded(cli, [*words.split(), "--nonsense", "--json"]) == status
    ended = Ended(2, *capfd.readouterr())
    assert ended.document["error"]["code"] == "usage"
    assert ended.document["error"]["exit_status"] == 2


# --- one JSON document, and the status -------------------------------------------------------------------------

Line = Callable[[Office], Ended]


def bad(office: Office) -> str:
    return office.plan({"op": "move", "from": "scna001.pdf", "to": "Scans/"}, name="bad.json")


def garbage(office: Office) -> str:
    (office.root.parent / "garbage.json").write_text('{"version": 1, "operations": [')
    return str(office.root.parent / "garbage.json")


def _rejected(office: Office) -> str:
    plan = office.pending()
    assert office.run("reject", plan["id"], "-c", "no", "--digest", plan["digest"], who="ruth").status == 0
    return str(plan["id"])


def _stale(office: Office) -> Ended:
    plan = office.approved()
    (office.case / "scan000.pdf").write_text("edited since")
    return office.run("apply", plan["id"], "--json")


def _expired(office: Office) -> Ended:
    plan = office.approved()
    with sqlite3.connect(office.state / "treegate.db") as database:
        database.execute("UPDATE plans SET expires_at = 1 WHERE id = ?", (plan["id"],))
    database.close()
    return office.run("apply", plan["id"], "--json")


def _locked(office: Office) -> Ended:
    plan = office.approved()
    with case_locks(office.state / "locks", ["Smith"], shared=False, wait=0):
        return office.run("apply", plan["id"], "--json")


def _rolled_back(office: Office) -> Ended:
    plan = office.approved()
    from treegate.engine.carry import Carrier

    real, calls = Carrier.sync, []

    def full_once(self: Carrier, steps: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        real(self, steps)

    office.env.setattr(Carrier, "sync", full_once)
    return office.run("apply", plan["id"], "--json")


def _interrupted(office: Office) -> dict[str, Any]:
    """A plan whose run made its steps and died before it could say so."""
    plan = office.approved()

    class Died(BaseException):
        pass

    def die(*args: Any) -> None:
        raise Died

    with office.env.context() as patched:
        patched.setattr("treegate.gate.ending.receipts.write", die)
        with pytest.raises(Died):
            office.run("apply", plan["id"])
    return plan


def _unfinished(office: Office) -> Ended:
    _interrupted(office)
    return office.run("check", office.plan({"op": "delete", "path": "scan005.pdf"}), "--json")


def _other_state(office: Office) -> Ended:
    marker = office.root / ".treegate/workspace.json"
    document = json.loads(marker.read_text())
    marker.write_text(json.dumps({**document, "state": "st_0000000000000000"}))
    return office.run("list", "--json")


FAILURES: dict[str, tuple[int, str, Line]] = {
    "unknown command": (2, "unknown-command", lambda o: o.run("aply", "x", "--json")),
    "no argument": (2, "usage", lambda o: o.run("apply", "--json")),
    "reject without a reason": (2, "usage", lambda o: o.run("reject", o.pending()["id"], "--json")),
    "approve without a digest": (
        2,
        "digest-needed",
        lambda o: o.run("approve", o.pending()["id"], "--json", who="ruth"),
    ),
    "no JSON": (3, "not-json", lambda o: o.run("check", garbage(o), "--json")),
    "no JSON submitted": (3, "not-json", lambda o: o.run("submit", garbage(o), "--json", who="agent")),
    "approve without a token": (
        4, "token-needed", lambda o: o.run("approve", (p := o.pending())["id"], "--digest", p["digest"], "--json"),
    ),
    "approve as an author": (
        4,
        "role-not-allowed",
        lambda o: o.run("approve", (p := o.pending())["id"], "--digest", p["digest"], "--json", who="agent"),
    ),
    "approve one's own": (
        4,
        "own-plan",
        lambda o: o.run("approve", (p := o.pending(who="ruth"))["id"], "--digest", p["digest"], "--json", who="ruth"),
    ),
    "apply what is pending": (4, "not-approved", lambda o: o.run("apply", o.pending()["id"], "--json")),
    "another digest": (
        5,
        "digest-not-current",
        lambda o: o.run("approve", o.pending()["id"], "--digest", "0" * 64, "--json", who="ruth"),
    ),
    "eleven characters of a digest": (
        5,
        "digest-not-current",
        lambda o: o.run("approve", (p := o.pending())["id"], "--digest", p["digest"][:11], "--json", who="ruth"),
    ),
    "a changed tree": (5, "stale", _stale),
    "a full disk midway": (6, "disk-full", _rolled_back),
    "an unfinished run": (7, "needs-recovery", _unfinished),
    "a locked case": (8, "case-locked", _locked),
    "no such plan": (9, "plan-not-found", lambda o: o.run("show", "pl_0000", "--json")),
    "no such run": (9, "run-not-found", lambda o: o.run("undo", "run_0000", "--json")),
    "no such file": (9, "file-missing", lambda o: o.run("check", "nowhere.json", "--json")),
    "no run to undo": (9, "no-run", lambda o: o.run("undo", "--json")),
    "no such token": (9, "token-not-found", lambda o: o.run("token", "revoke", "nobody", "--json")),
    "no workspace": (9, "marker-missing", lambda o: o.run("list", "--workspace", str(o.root.parent), "--json")),
    "another state directory": (10, "state-mismatch", _other_state),
    "apply what is rejected": (12, "already-rejected", lambda o: o.run("apply", _rejected(o), "--json")),
    "apply too late": (13, "approval-expired", _expired),
}  # fmt: skip


@pytest.mark.parametrize("case", FAILURES)
def test_failures_have_their_status_and_code_in_one_document(case: str, office: Office):
    """The exit status is the contract's; stdout holds one JSON document that says the same, and what to do."""
    status, code, line = FAILURES[case]
    ended = line(office)
    error = ended.document["error"]
    assert (ended.status, error["exit_status"], error["code"]) == (status, status, code)
    assert error["message"]
    assert error["hint"] or error["next"] or error["problems"]


def test_a_plan_with_errors_is_status_3_with_its_problems(office: Office):
    """`check` and `submit` print the problems; `submit` stores the plan as invalid."""
    checked, handed_in = (office.run(verb, bad(office), "--json", who="agent") for verb in ("check", "submit"))
    assert (checked.status, handed_in.status) == (3, 3)
    for ended in (checked, handed_in):
        assert [found["code"] for found in ended.document["problems"]] == ["source-missing"]
    assert handed_in.document["state"] == "invalid"


def test_what_is_no_plan_at_all_is_stored_nowhere(office: Office):
    """Malformed JSON leaves no plan behind."""
    office.run("submit", garbage(office), who="agent")
    assert office.run("list", "--json").document["plans"] == []


def _lines(office: Office) -> Iterator[tuple[str, ...]]:
    run = office.applied()
    plan = office.pending(3)
    yield from (("show", run["run"]), ("show", run["id"]), ("show", plan["id"], "--effects"))
    yield from (("show", plan["id"], "--operations"), ("list",), ("list", "--in-state", "applied"))
    yield from (("vault", "list"), ("vault", "list", run["run"]), ("vault", "prune", "--dry-run"), ("vault", "prune"))
    yield from (("doctor",), ("fsck",), ("config", "show"), ("config", "path"), ("token", "list"), ("recover",))
    yield from (("apply", run["id"]), ("vault", "restore", run["run"]), ("undo", run["run"]))
    yield from (("schema", name) for name in ("plan", "preview", "receipt"))
    yield ("token", "revoke", "agent")


def test_success_is_one_json_document_too(office: Office):
    """Every command on a workspace prints one document and nothing else, on stdout."""
    for line in _lines(office):
        ended = office.run(*line, "--json")
        assert ended.status == 0, (line, ended)
        assert isinstance(ended.document, dict), line


def test_init_and_tokens_speak_json(office: Office):
    """`init` says where the workspace and its state are; `token create` gives the token, this once."""
    office.env.setenv("TREEGATE_STATE", str(office.state.parent / "state2"))
    (office.state.parent / "new/Smith").mkdir(parents=True)
    office.env.chdir(office.state.parent / "new")
    made = office.run("init", ".", "--json").document
    assert (made["cases"], made["state"]) == (["Smith"], str(office.state.parent / "state2"))
    token = office.run("token", "create", "--name", "max", "--role", "operator", "--json").document
    assert set(token) == {"id", "name", "role", "token"}
    assert token["token"] not in office.run("token", "list", "--json").out


def test_applying_twice_gives_the_same_run(office: Office):
    """A double click changes nothing."""
    run = office.applied()
    again = office.run("apply", run["id"], "--json")
    assert (again.status, again.document["run"]) == (0, run["run"])


def test_recover_finishes_what_was_interrupted(office: Office):
    """After `recover` the plan is applied, and the next command finds nothing unfinished."""
    plan = _interrupted(office)
    ended = office.run("recover", "--json")
    assert [one["state"] for one in ended.document["runs"]] == ["applied"]
    assert (office.case / "Scans/scan000.pdf").read_text() == "scan 0"
    assert office.run("show", plan["id"], "--json").document["state"] == "applied"


# --- names that are short, plans from elsewhere ----------------------------------------------------------------


def test_ids_may_be_shortened_while_they_are_unique(office: Office):
    """A prefix names a plan; one that fits several is refused."""
    endings = iter("xyz")
    office.env.setattr("treegate.gate.core.new_id", lambda kind, random: f"{kind}_7f3k{next(endings)}")
    office.run("submit", office.plan({"op": "delete", "path": "nothing"}))
    office.run("submit", office.plan({"op": "delete", "path": "nothing"}))
    assert office.run("show", "pl_7f3ky", "--json").document["id"] == "pl_7f3ky"
    ended = office.run("show", "pl_7f3k", "--json")
    assert (ended.status, ended.document["error"]["code"]) == (2, "ambiguous-id")


def test_digests_may_be_shortened_to_twelve_characters(office: Office):
    """The preview shows twelve; they are enough to approve."""
    plan = office.pending()
    assert office.run("approve", plan["id"], "--digest", plan["digest"][:12], who="ruth").status == 0
    assert (office.case / "Scans/scan000.pdf").exists()


def shell(office: Office, *args: str, given: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, with nothing a terminal."""
    command = [sys.executable, "-c", "from treegate.interfaces.cli import main; main()", *args]
    return subprocess.run(command, input=given, capture_output=True, cwd=office.root, env={**os.environ, **env})


def test_a_plan_may_come_from_standard_input(office: Office):
    """`-` is standard input, for check and for submit."""
    document = Path(office.plan({"op": "delete", "path": "scan001.pdf"})).read_bytes()
    for verb in ("check", "submit"):
        done = shell(office, verb, "-", "--json", given=document)
        assert done.returncode == 0, done
        assert json.loads(done.stdout)["problems"] == []


def test_there_is_no_colour_where_there_is_no_terminal(office: Office):
    """Neither a preview nor an error in a pipe holds an escape."""
    for args in (("check", bad(office)), ("show", "pl_0000"), ("list",), ("--help",)):
        done = shell(office, *args, TERM="xterm-256color", FORCE_COLOR="1")
        assert b"\x1b" not in done.stdout + done.stderr, args


def on_a_terminal(office: Office, *args: str, **env: str) -> bytes:
    """What a command writes to a terminal."""
    pid, fd = os.forkpty()
    if pid == 0:
        os.environ.update({"TERM": "xterm-256color", **env})
        code = "from treegate.interfaces.cli import main; main()"
        os.execv(sys.executable, [sys.executable, "-c", code, *args])
    written = b""
    try:
        while data := os.read(fd, 65536):
            written += data
    except OSError:
        pass  # how a terminal says that the other side is gone (EIO)
    os.waitpid(pid, 0)
    os.close(fd)
    return written


def test_colour_is_for_terminals_and_no_color_is_heeded(office: Office):
    """On a terminal a preview has colour, unless NO_COLOR is set (no-color.org)."""
    plan = office.plan({"op": "delete", "path": "scan001.pdf"})
    office.env.delenv("NO_COLOR", raising=False)
    assert b"\x1b[" in on_a_terminal(office, "check", plan)
    assert b"\x1b[" not in on_a_terminal(office, "check", plan, NO_COLOR="1")


def test_hostile_names_are_inert_in_errors(office: Office):
    """An escape in an argument does not reach the terminal."""
    ended = office.run("check", "\x1b[31mred.json")
    assert ended.status == 9
    assert "\x1b" not in ended.out + ended.err
