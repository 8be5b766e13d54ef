"""Bad input and bad surroundings at the shell: said with a reason and the right exit status, all left as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from treegate.gate import Gate, recovery
from treegate.interfaces.cli import cli
from treegate.interfaces.cli.failures import guarded
from treegate.model.actors import Role

SHM = "/dev/shm"


class Shell:
    """A workspace and a shell in it; `run` gives (exit status, stdout, stderr)."""

    def __init__(self, base: Path, capsys, monkeypatch) -> None:
        self.base, self.capsys, self.monkeypatch = base, capsys, monkeypatch
        self.root, self.state = base / "office", base / "state"
        case = self.root / "projects/Smith"
        case.mkdir(parents=True)
        (case / "a.txt").write_text("alpha\n")
        self.case = case
        for name in [name for name in os.environ if name.startswith("TREEGATE_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("TREEGATE_STATE", str(self.state))
        monkeypatch.setenv("TREEGATE_WORKSPACE", str(self.root))
        Gate.init(self.root, solo=True, environ=dict(os.environ)).close()

    def run(self, *args: str) -> tuple[int, str, str]:
        self.capsys.readouterr()
        status = guarded(cli, list(args))
        captured = self.capsys.readouterr()
        return status, captured.out, captured.err

    def json(self, *args: str) -> tuple[int, dict]:
        """Exit status and the one JSON document on stdout."""
        status, out, _ = self.run(*args, "--json")
        return status, json.loads(out)

    def plan(self, document: bytes | str | dict) -> str:
        """A file with a plan."""
        text = json.dumps(document) if isinstance(document, dict) else document
        path = self.base / "plan.json"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    def move(self, source: str = "a.txt", to: str = "b.txt") -> str:
        return self.plan({"version": 1, "case": "Smith", "operations": [{"op": "move", "from": source, "to": to}]})

    def reviewer(self) -> None:
        """Acts as a reviewer from now on."""
        with Gate.open(self.root, dict(os.environ)) as gate:
            self.monkeypatch.setenv("TREEGATE_TOKEN", gate.create_token("rita", Role.REVIEWER)[1])

    def approved(self, plan: str) -> str:
        """The id of a plan that was submitted and approved, and not applied."""
        with Gate.open(self.root, dict(os.environ)) as gate:
            done = gate.submit(Path(plan).read_bytes())
            gate.approve(done.id, done.digest)
            return done.id

    def tree(self) -> dict[str, tuple]:
        """Every entry of the workspace that is not treegate's own."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if not {".treegate", "Reports", "Database"} & set(path.parts):
                seen = path.lstat()
                file = (seen.st_mtime_ns, path.read_bytes()) if path.is_file() else ()
                found[str(path)] = (seen.st_mode, *file)
        return found

    def stored(self) -> int:
        return len(self.json("list")[1]["plans"])


@pytest.fixture
def shell(tmp_path, capsys, monkeypatch):
    """A shell in a workspace where syncs cost little."""
    if not os.access(SHM, os.W_OK):
        yield Shell(tmp_path, capsys, monkeypatch)
        return
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        yield Shell(Path(folder), capsys, monkeypatch)


def operations(*given: object, **head: object) -> bytes:
    return json.dumps({"version": 1, "case": "Smith", **head, "operations": list(given)}).encode()


MOVE = {"op": "move", "from": "a.txt", "to": "b.txt"}

NO_PLAN = {
    "empty": b"",
    "not JSON": b"{nonsense",
    "cut off": operations(MOVE)[:-5],
    "bytes that are no UTF-8": b'{"version": 1, "case": "\xff\xfe"}',
    "another kind of document": b"[1, 2, 3]",
    "a number": b"7",
    "no operations": b'{"version": 1}',
    "unknown key": operations(MOVE, colour="red"),
    "unknown key in an operation": operations({**MOVE, "colour": "red"}),
    "unknown operation": operations({"op": "explode", "path": "a.txt"}),
    "unknown version": operations(MOVE, version=2),
    "version of the wrong type": operations(MOVE, version="1"),
    "operations of the wrong type": b'{"version": 1, "operations": {"op": "move"}}',
    "path of the wrong type": operations({"op": "move", "from": 7, "to": "b"}),
    "flag of the wrong type": operations({"op": "delete", "path": "a.txt", "recursive": "yes"}),
    "duplicate keys": b'{"version": 1, "case": "Smith", "case": "Jones", "operations": []}',
    "duplicate keys in an operation": b'{"version": 1, "operations": [{"op": "delete", "path": "a", "path": "b"}]}',
    "lone surrogate": b'{"version": 1, "case": "Smith", "operations": [{"op":"delete","path":"\\ud800.txt"}]}',
    "deep nesting": b'{"version": 1, "operations": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a huge number": operations(MOVE).replace(b'"version": 1', b'"version": ' + b"9" * 5000),
}


@pytest.mark.parametrize("what", NO_PLAN)
@pytest.mark.parametrize("command", ["check", "submit"])
def test_what_is_no_plan_is_refused_with_a_reason_and_stored_nowhere(shell, command, what):
    """Exit status 3, a message that is no traceback, and neither tree nor store is changed."""
    before = shell.tree()
    status, document = shell.json(command, shell.plan(NO_PLAN[what]))
    assert status == 3
    error = document["error"]
    assert error["code"] != "internal"
    assert error["message"] or error["problems"]
    assert "Traceback" not in error["message"]
    status, out, err = shell.run(command, shell.plan(NO_PLAN[what]))
    assert (status, out) == (3, "")
    assert err.startswith("error[")
    assert shell.tree() == before
    assert shell.stored() == 0


BAD_PATHS = {
    "dots": "../Jones/x",
    "dots inside": "in/../../x",
    "absolute": "/etc/passwd",
    "NUL": "a\0b",
    "empty component": "in//x",
    "300 bytes": "n" * 300,
    "300 bytes in two-byte letters": "é" * 150,
    "treegate's own": ".treegate/x",
}


@pytest.mark.parametrize("what", BAD_PATHS)
def test_30_a_bad_path_is_said_with_its_operation_and_pointer(shell, what):
    """Exit status 3; the problem names the operation, and where in the document it is."""
    before = shell.tree()
    plan = shell.move(to=BAD_PATHS[what])
    status, document = shell.json("check", plan)
    assert status == 3
    problems = document.get("problems") or document["error"]["problems"]
    assert problems[0]["operation"] == 1
    assert problems[0]["pointer"].startswith("/operations/0")
    assert problems[0]["message"]
    assert shell.run("submit", plan)[0] == 3
    assert shell.tree() == before


def test_a_plan_with_errors_is_stored_as_invalid(shell):
    """Exit status 3, and its problems are all there."""
    plan = operations({"op": "delete", "path": "zzz"}, MOVE, {"op": "move", "from": "yyy", "to": "c"})
    status, document = shell.json("submit", shell.plan(plan))
    assert (status, document["state"]) == (3, "invalid")
    assert [problem["operation"] for problem in document["problems"]] == [1, 3]
    assert shell.json("list")[1]["plans"][0]["state"] == "invalid"


def test_a_huge_document_is_refused_before_it_is_read(shell, monkeypatch):
    """Exit status 3, with its size."""
    from treegate.gate import plans

    monkeypatch.setattr(plans, "MOST_BYTES", 1000)
    status, document = shell.json("submit", shell.plan(operations(*[MOVE] * 100)))
    assert (status, document["error"]["code"]) == (3, "plan-too-large")


def test_a_plan_that_is_not_there_is_not_found(shell):
    """Exit status 9; a folder is no plan either (2)."""
    assert shell.run("check", str(shell.base / "missing.json"))[0] == 9
    assert shell.run("check", str(shell.base))[0] == 2


# The workspace


def test_a_workspace_that_is_missing_is_not_found(shell, tmp_path):
    """Exit status 9, with its path; so is a folder that is in none."""
    status, document = shell.json("list", "--workspace", str(tmp_path / "nowhere"))
    assert (status, document["error"]["code"]) == (9, "workspace-missing")
    assert "nowhere" in document["error"]["message"]
    shell.monkeypatch.delenv("TREEGATE_WORKSPACE")
    shell.monkeypatch.chdir(tmp_path)
    status, document = shell.json("list")
    assert (status, document["error"]["code"]) == (9, "no-workspace")


def test_36_an_unmounted_workspace_is_refused(shell):
    """An empty folder where the workspace was: exit status 9, and nothing is made in it."""
    shell.root.rename(shell.base / "away")
    shell.root.mkdir()
    for command in (("list",), ("submit", shell.move()), ("recover",), ("undo",), ("fsck",)):
        status, document = shell.json(*command)
        assert (status, document["error"]["code"]) == (9, "marker-missing")
    assert list(shell.root.iterdir()) == []


@pytest.fixture
def room(shell, tmp_path):
    """A small filesystem of its own, and how to remount it."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to mount")
    folder = tmp_path / "room"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"cannot mount: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture
def mounted(shell, room):
    """The shell, its workspace on that filesystem."""
    shutil.copytree(shell.root, room / "office", symlinks=True)
    shell.root = room / "office"
    shell.case = shell.root / "projects/Smith"
    shell.monkeypatch.setenv("TREEGATE_WORKSPACE", str(shell.root))
    return shell


def test_a_read_only_workspace_is_said_to_be_so(mounted, room):
    """A problem of the plan where it is found beforehand (3), a failure that changed nothing where it comes later."""
    id = mounted.approved(mounted.move())
    before = mounted.tree()
    subprocess.run(["mount", "-o", "remount,ro", str(room)], check=True)
    status, document = mounted.json("check", mounted.move())
    assert status == 3
    assert "read-only" in json.dumps(document["problems"])
    status, document = mounted.json("apply", id)
    assert status in (4, 5, 6)
    assert "read-only" in document["error"]["message"].lower()
    assert mounted.tree() == before
    subprocess.run(["mount", "-o", "remount,rw", str(room)], check=True)
    assert mounted.run("fsck")[0] == 0


def test_a_full_workspace_is_said_to_be_so(mounted, room):
    """A plan that needs more room than there is has a problem that says so (3)."""
    (mounted.case / "big").write_bytes(os.urandom(900_000))
    (room / "filler").write_bytes(bytes(800_000))
    before = mounted.tree()
    plan = operations({"op": "copy", "from": "big", "to": "again"})
    status, document = mounted.json("check", mounted.plan(plan))
    assert status == 3
    assert [problem["code"] for problem in document["problems"]] == ["no-space"]
    assert mounted.tree() == before


def test_a_locked_case_is_said_with_who_has_it(shell):
    """Exit status 8, and nothing is changed."""
    from treegate.engine.locks import case_locks

    id = shell.approved(shell.move())
    before = shell.tree()
    shell.monkeypatch.setenv("TREEGATE_LOCK_WAIT", "0s")
    with case_locks(shell.state / "locks", ["Smith"], shared=False, wait=0):
        for command in (("apply", id), ("check", shell.move())):
            status, document = shell.json(*command)
            assert (status, document["error"]["code"]) == (8, "case-locked")
            assert str(os.getpid()) in document["error"]["message"]
    assert shell.tree() == before


@pytest.mark.parametrize("file", ["treegate.db", "key"])
@pytest.mark.parametrize("damage", ["garbage", "empty"])
def test_a_damaged_database_or_key_does_not_verify(shell, file, damage):
    """Exit status 10, naming the file, and nothing is applied."""
    id = shell.approved(shell.move())
    before = shell.tree()
    for path in shell.state.glob("treegate.db-*"):
        path.unlink()
    (shell.state / file).write_bytes(b"garbage, no more" * 500 if damage == "garbage" else b"")
    status, document = shell.json("apply", id)
    assert status == 10
    assert document["error"]["message"]
    assert shell.tree() == before


def test_a_missing_database_is_said(shell):
    """It is not made anew: exit status 9."""
    for path in shell.state.glob("treegate.db*"):
        path.unlink()
    status, document = shell.json("list")
    assert (status, document["error"]["code"]) == (9, "state-missing")
    assert not (shell.state / "treegate.db").exists()


@pytest.mark.parametrize(
    "text", ["nonsense = 1\n", "[policy\n", "[policy.approval]\nrequired = 0\n", "[policy.approval]\nexpires = 'x'\n"]
)
def test_a_bad_configuration_is_said_with_its_line(shell, text):
    """Exit status 2, before anything else is looked at."""
    (shell.state / "treegate.toml").write_text(text)
    status, document = shell.json("list")
    assert status == 2
    assert "line" in document["error"]["message"]


# Tokens and decisions


def test_without_a_terminal_a_decision_needs_a_token_and_a_digest(shell):
    """Denied (4) without the one, a usage error (2) without the other."""
    document = shell.json("submit", shell.move())[1]
    status, answer = shell.json("approve", document["id"], "--digest", document["digest"])
    assert (status, answer["error"]["code"]) == (4, "token-needed")
    shell.reviewer()
    status, answer = shell.json("approve", document["id"])
    assert (status, answer["error"]["code"]) == (2, "digest-needed")
    status, answer = shell.json("approve", document["id"], "--digest", "0" * 64)
    assert (status, answer["error"]["code"]) == (5, "digest-not-current")
    status, answer = shell.json("approve", document["id"], "--digest", document["digest"][:12])
    assert (status, answer["state"], answer["applied"]["state"]) == (0, "applied", "applied")
    assert (shell.case / "b.txt").exists()


def test_the_whole_loop_at_the_shell(shell):
    """submit, approve, apply again, undo --now, vault, fsck: statuses 0, the tree as before at the end."""
    before = shell.tree()
    shell.reviewer()
    document = shell.json("submit", shell.plan(operations({"op": "delete", "path": "a.txt"})))[1]
    status, answer = shell.json("approve", document["id"], "--digest", document["digest"])
    assert status == 0
    again = shell.json("apply", document["id"])[1]
    assert again["run"] == answer["run"]
    assert [entry["path"] for entry in shell.json("vault", "list")[1]["entries"]] == ["Smith/a.txt"]
    status, undone = shell.json("undo", "--now")
    assert (status, undone["applied"]["state"]) == (0, "applied")
    assert shell.tree() == before
    assert shell.run("fsck")[0] == 0


def test_a_rejection_is_told_with_its_reason(shell):
    """The same plan again: exit status 12, with the reviewer's words."""
    shell.reviewer()
    document = shell.json("submit", shell.move())[1]
    assert shell.json("reject", document["id"], "-c", "not this one")[0] == 0
    status, answer = shell.json("submit", shell.move())
    assert (status, answer["error"]["code"]) == (12, "already-rejected")
    assert "not this one" in answer["error"]["message"]


def test_fsck_says_by_its_exit_status_that_something_does_not_verify(shell):
    """A changed receipt: exit status 10."""
    id = shell.approved(shell.move())
    run = shell.json("apply", id)[1]["run"]
    path = shell.state / "receipts" / f"{run}.json"
    path.write_bytes(path.read_bytes().replace(b"Smith", b"Smyth"))
    status, document = shell.json("fsck")
    assert status == 10
    assert run in document["findings"][0]["title"]


def test_doctor_runs_and_says_what_it_found(shell):
    """Exit status 0 on a healthy machine."""
    status, document = shell.json("doctor")
    assert status == 0
    assert [one for one in document["findings"] if one["severity"] == "error"] == []


# Stopped


SLOWED = """
import os, signal, sys
from dataclasses import replace
from treegate.gate import surroundings
from treegate.interfaces.cli import main
from treegate.interfaces.cli.running import Bar
real = surroundings.context_of
surroundings.context_of = lambda *given: replace(real(*given), batch=200)
Bar.show = lambda self, done, total: os.kill(os.getpid(), signal.{signal}) if done == 600 else None
main(sys.argv[1:])
"""


def interrupted(shell: Shell, signal: str, *args: str) -> subprocess.CompletedProcess:
    """The command in a process of its own that gets a signal after 600 steps."""
    code = SLOWED.format(signal=signal)
    return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, env=dict(os.environ))


def many(shell: Shell, count: int) -> str:
    for number in range(count):
        (shell.case / f"{number:05}.txt").write_text(str(number))
    return shell.approved(shell.plan(operations({"op": "move", "match": "0*.txt", "to": "out/{name}"})))


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM"])
def test_ctrl_c_and_sigterm_take_back_what_was_begun(shell, signal):
    """The run ends cleanly: exit status 6, the tree as before, nothing to recover."""
    id = many(shell, 1000)
    before = shell.tree()
    done = interrupted(shell, signal, "apply", id, "--json")
    assert done.returncode == 6, done.stderr
    assert json.loads(done.stdout)["error"]["exit_status"] == 6
    assert shell.tree() == before
    assert shell.json("recover")[1] == {"runs": []}
    assert shell.run("fsck")[0] == 0


@pytest.mark.parametrize("back", [False, True])
def test_1_kill_9_amid_an_apply_is_recovered_to_after_or_before(shell, back):
    """A plain `recover` finishes it; `recover --back` gives the tree of before."""
    id = many(shell, 3000)
    before = shell.tree()
    done = interrupted(shell, "SIGKILL", "apply", id)
    assert done.returncode == -9
    assert shell.tree() != before
    status, answer = shell.json("recover", *(["--back"] if back else []))
    assert status == 0
    assert [run["state"] for run in answer["runs"]] == ["rolled-back" if back else "applied"]
    if back:
        assert shell.tree() == before
    else:
        assert sorted(path.name for path in shell.case.iterdir()) == ["a.txt", "out"]
        assert len(list((shell.case / "out").iterdir())) == 3000
    assert shell.run("fsck")[0] == 0


def test_a_bug_is_an_internal_error_without_a_traceback(shell, monkeypatch):
    """Exit status 1, and how to find out more."""
    monkeypatch.setattr(recovery, "recover_all", lambda *given: 1 / 0)
    status, document = shell.json("recover")
    assert (status, document["error"]["code"]) == (1, "internal")
