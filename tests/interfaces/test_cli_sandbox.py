"""treegate run at the shell: what is passed on, what is said, with which status it ends, and what ends it."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from treegate.gate import Gate

MAIN = [sys.executable, "-c", "from treegate.interfaces.cli import main; main()"]


class Shell:
    """A workspace with one case, and command lines on it, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "ws", folder / "state"
        (self.root / "projects/Smith").mkdir(parents=True)
        (self.root / "Tools").mkdir()
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("TREEGATE_")},
            "TREEGATE_STATE": str(self.state),
            "TREEGATE_SANDBOX_ENGINE": "bwrap",
            "TREEGATE_SANDBOX_LIMITS_WRITTEN": "32 MiB",
            "TREEGATE_SANDBOX_LIMITS_ENTRIES": "4000",
        }
        Gate.init(self.root, solo=True, environ=self.environ).close()

    def begin(self, *args: str, **more: Any) -> subprocess.Popen[bytes]:
        """Starts a command line."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        return subprocess.Popen([*MAIN, *args], cwd=self.root, env=self.environ, **pipes)

    def run(self, *args: str) -> tuple[int, str, str]:
        """Runs a command line: its status, stdout and stderr."""
        process = self.begin(*args)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def document(self, *args: str) -> dict[str, Any]:
        """What a command line prints with --json, whole."""
        status, out, err = self.run(*args)
        assert err == ""
        return {"exit": status, **json.loads(out)}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    if os.geteuid() != 0 or shutil.which("bwrap") is None:
        pytest.skip("needs root and bubblewrap")
    return Shell(tmp_path)


def test_output_goes_where_it_went_and_what_came_of_it_stands_on_stderr(shell: Shell):
    """stdout is the command's alone; the last line is the next command to type; the status is the command's."""
    (shell.root / "Tools/count.py").write_text("import os; print(len(os.listdir('/case'))); open('/case/n', 'w')")
    status, out, err = shell.run("run", "Smith", "--tool", "count.py", "--", "python3", "/tools/count.py")
    assert (status, out) == (0, "0\n")
    assert err.splitlines()[-1].startswith("next: treegate show pl_")
    status, out, err = shell.run("run", "Smith", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (status, out) == (7, "out\n")
    assert err.splitlines() == ["err", "treegate: the command changed nothing, so there is no plan"]


def test_at_a_terminal_nothing_that_a_command_writes_steers_it(shell: Shell):
    """Into a pipe it goes byte by byte; at a terminal escape sequences and bytes that are no UTF-8 are only shown."""
    script = r"printf 'a\033[2Jb\tc\r\nd\342\200\256\n\303'; sleep 0.1; printf '\274\n\377'"
    sent = b"a\033[2Jb\tc\r\nd\xe2\x80\xae\n\xc3\xbc\n\xff"
    piped = shell.begin("run", "Smith", "--", "sh", "-c", script)
    assert piped.communicate(timeout=60)[0] == sent
    leader, follower = pty.openpty()
    with open(leader, "rb", buffering=0) as terminal:
        process = shell.begin("run", "Smith", "--", "sh", "-c", script, stdout=follower)
        os.close(follower)
        process.communicate(timeout=60)
        shown = os.read(terminal.fileno(), 4096).decode()
    assert shown.replace("\r\n", "\n") == "a\\x1b[2Jb\tc\r\nd\\u202e\nü\n\\xff"


def test_json_is_one_document_with_the_output_in_it(shell: Shell):
    """Also where nothing could be run; --json behind the -- is the command's own."""
    made = shell.document("run", "Smith", "--json", "--", "sh", "-c", "echo o; echo e >&2; touch x; exit 3")
    assert (made["exit"], made["status"], made["stdout"], made["stderr"]) == (3, 3, "o\n", "e\n")
    assert (made["plan_state"], made["operations"]) == ("pending", 1)
    failed = shell.document("run", "Smith", "--json", "--", "perl")
    assert (failed["exit"], failed["error"]["code"]) == (125, "interpreter-not-allowed")
    assert shell.run("run", "Smith", "--", "perl", "--json")[1] == ""


@pytest.mark.parametrize(
    "args", [("Nope", "--", "sh"), ("Smith",), ("Smith", "--nonsense"), ("sb_zzzz",), ("Smith", "--timeout", "soon")]
)
def test_where_treegate_fails_the_status_is_125(shell: Shell, args: tuple[str, ...]):
    """Whatever it is: each other status may be the command's."""
    status, out, err = shell.run("run", *args)
    assert (status, out) == (125, "")
    assert "next: treegate" in err


def test_ctrl_c_ends_the_command_and_keeps_what_it_did(shell: Shell):
    """With the plan, and a warning in it."""
    process = shell.begin("run", "Smith", "--", "sh", "-c", "touch x; echo go; sleep 60")
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 137
    assert "it was cancelled" in err.decode()
    assert "which is pending" in err.decode()


def test_a_reader_that_goes_away_takes_nothing_with_it(shell: Shell):
    """`treegate run … | head -1` still hands in what the command did."""
    process = shell.begin("run", "Smith", "--", "sh", "-c", "echo a; sleep 1; echo b; touch x")
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read().decode()
    assert process.wait(20) == 0
    assert "1 file created" in err


def test_killed_midway_nothing_stays_behind(shell: Shell):
    """No process, no mount, no scratch; the command is told as lost."""
    process = shell.begin("run", "Smith", "--", "sh", "-c", "echo go; touch x; exec sleep 4711.5")
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate(timeout=20)
    for _ in range(100):
        if not alive("4711.5"):
            break
        time.sleep(0.1)
    assert not alive("4711.5")
    found = shell.document("list", "--sandboxes", "--json")["sandboxes"]
    assert [one["state"] for one in found] == ["lost"]
    assert list((shell.root / "projects/Smith").iterdir()) == []
    assert [path.name for path in (shell.state / "sandboxes" / found[0]["id"]).iterdir()] == ["events"]


def alive(word: str) -> bool:
    """Whether some process has a word on its command line."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().split(b"\0"))
        except OSError:
            continue
    return any(line[:2] == [b"sleep", word.encode()] for line in lines)


def test_commands_are_shown_listed_and_approved_by_their_ids(shell: Shell):
    """What waits is in `status`; what was approved runs by its id, once."""
    shell.environ["TREEGATE_SANDBOX_APPROVE_COMMAND"] = "true"
    asked = shell.document("run", "Smith", "--json", "--", "sh", "-c", "touch x")
    assert (asked["exit"], asked["error"]["code"]) == (125, "command-waits")
    (waits,) = shell.document("status", "--json")["commands"]
    assert asked["error"]["next"] == f"treegate approve {waits['id']} --digest {waits['digest'][:12]}"
    token = shell.document("token", "create", "--name", "rita", "--role", "reviewer", "--json")["token"]
    assert shell.run("approve", waits["id"], "--digest", waits["digest"][:12])[0] == 4
    shell.environ["TREEGATE_TOKEN"] = token
    said = shell.run("approve", waits["id"], "--digest", waits["digest"][:12])[1]
    assert said.splitlines()[-1] == f"next: treegate run {waits['id']}"
    del shell.environ["TREEGATE_TOKEN"]
    first = shell.run("run", waits["id"])
    assert first[0] == 0
    assert shell.run("run", waits["id"]) == first  # what came of it is told again
    shown = shell.document("show", waits["id"], "--json")
    assert (shown["state"], shown["decided_by"], shown["status"]) == ("ended", "rita", 0)
    for states, found in ((), True), (("--in-state", "ended"), True), (("--in-state", "waiting"), False):
        assert (waits["id"] in shell.run("list", "--sandboxes", *states)[1]) == found
    assert "no commands are ever pending" in shell.run("list", "--sandboxes", "--in-state", "pending")[2]
