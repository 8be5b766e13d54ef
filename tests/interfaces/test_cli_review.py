"""Reviewing at the shell: a walk with keys in a real terminal, and what scripts lean on of the same commands."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from treegate.gate import Gate
from treegate.interfaces.cli import cli
from treegate.interfaces.cli.failures import guarded
from treegate.model.actors import Role

PLAN = {
    "version": 1,
    "case": "Smith",
    "title": "Sort",
    "operations": [
        {"op": "move", "match": "in/*.pdf", "to": "out/"},
        {"op": "replace", "path": "notes.txt", "content": "one\n2\n"},
    ],
}
START = "import sys; from treegate.interfaces.cli import main; main(sys.argv[1:])"


class Office:
    """A workspace with an agent and two reviewers, and its shell."""

    def __init__(self, folder: Path, capfd: pytest.CaptureFixture[str], env: pytest.MonkeyPatch) -> None:
        self.folder, self._capfd, self._env = folder, capfd, env
        case = folder / "ws/projects/Smith"
        (case / "in").mkdir(parents=True)
        for number in range(3):
            (case / f"in/{number}.pdf").write_text(str(number))
        (case / "notes.txt").write_text("one\ntwo\n")
        env.setenv("TREEGATE_STATE", str(folder / "state"))
        env.chdir(folder / "ws")
        with Gate.init(folder / "ws") as gate:
            roles = {"bot": Role.AUTHOR, "ann": Role.REVIEWER, "ben": Role.REVIEWER}
            self.tokens = {name: gate.create_token(name, role)[1] for name, role in roles.items()}

    def run(self, who: str, *args: str) -> tuple[int, Any]:
        """Status and the one JSON document of a command."""
        self._env.setenv("TREEGATE_TOKEN", self.tokens[who])
        self._capfd.readouterr()
        status = guarded(cli, [*args, "--json"])
        return status, json.loads(self._capfd.readouterr().out)

    def plan(self, **changes: Any) -> str:
        path = self.folder / "plan.json"
        path.write_text(json.dumps({**PLAN, **changes}))
        return str(path)

    def submitted(self) -> dict[str, Any]:
        status, done = self.run("bot", "submit", self.plan())
        assert (status, done["state"]) == (0, "pending")
        return done

    def terminal(self, who: str, command: str, *keys: str) -> str:
        """What a terminal of 80 columns shows of a command, to which keys are given one after the other."""
        pid, fd = pty.fork()
        if pid == 0:
            os.environ |= {"TREEGATE_TOKEN": self.tokens[who], "COLUMNS": "80", "NO_COLOR": "1", "PAGER": "cat"}
            os.execv(sys.executable, [sys.executable, "-c", START, *command.split()])
        seen, waiting, last = "", list(keys), time.monotonic()
        try:
            while time.monotonic() - last < 20:
                if select.select([fd], [], [], 0.05)[0]:
                    try:
                        piece = os.read(fd, 65536)
                    except OSError:  # Linux says so of a terminal that nobody is at any more
                        break
                    if not piece:
                        break
                    seen, last = seen + piece.decode(errors="replace"), time.monotonic()
                elif waiting and seen.rstrip().endswith(("?", ":", "[y/N]")) and time.monotonic() - last > 0.2:
                    os.write(fd, waiting.pop(0).encode())
                    last = time.monotonic()
        finally:
            os.kill(pid, signal.SIGKILL)
            os.close(fd)
            os.waitpid(pid, 0)
        return seen.replace("\r\n", "\n")


@pytest.fixture
def office(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Office:
    for name in [name for name in os.environ if name.startswith("TREEGATE_")]:
        monkeypatch.delenv(name)
    return Office(tmp_path, capfd, monkeypatch)


def test_a_reviewer_looks_closer_and_approves_with_a_key(office: Office):
    """The text of a file, the rows of a pattern, then yes: the run's receipt is the end of the walk."""
    id = office.submitted()["id"]
    shown = office.terminal("ann", "review", "t", "e1\n", "p", "p1\n", "a", "y\n")
    assert "-two" in shown
    assert "+2" in shown
    assert "(1 of 1)?" in shown
    assert "Applied: Sort" in shown
    assert "1 approved; 0 plans still wait for you" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    assert office.run("ann", "list")[1]["plans"][0]["state"] == "applied"
    assert office.run("ann", "wait", id, "--until", "applied")[0] == 0


def test_what_is_left_out_at_the_terminal_is_shown_first(office: Office):
    id = office.submitted()["id"]
    shown = office.terminal("ann", "review", "l", "e1\n", "y\n", "q")
    assert "left out: 1 effect" in shown
    assert f"{id}, revision 2" in shown
    assert "1 plan still wait" in shown
    assert office.run("ann", "list")[1]["plans"][0]["revision"] == 2


def test_a_no_and_a_request_carry_their_words(office: Office):
    """Both end the visit; the author reads why."""
    first, second = office.submitted()["id"], office.run("bot", "submit", office.plan(title="Two"))[1]["id"]
    office.terminal("ann", "review", "r", "not these\n", "c", "only the notes\n")
    assert office.run("bot", "wait", first, "--until", "decided") == (12, {"error": ANY})
    assert office.run("bot", "wait", second, "--until", "decided") == (4, {"error": ANY})


class _Any:
    def __eq__(self, other: object) -> bool:
        return True


ANY = _Any()


def test_without_a_terminal_nobody_is_walked_through_anything(office: Office):
    office.submitted()
    office._env.setenv("TREEGATE_TOKEN", office.tokens["ann"])
    office._capfd.readouterr()
    assert guarded(cli, ["review"]) == 2
    assert "terminal-needed" in office._capfd.readouterr().err


def test_the_shapes_that_scripts_lean_on(office: Office):
    """submit, revise, refresh and reduce answer alike; the digest that is not the current one exits 5."""
    done = office.submitted()
    keys = {"id", "revision", "state", "digest", "problems", "waiting_for"}
    status, revised = office.run("bot", "revise", done["id"], office.plan(title="Again"))
    assert (status, revised["revision"], keys <= revised.keys()) == (0, 2, True)
    assert office.run("ann", "approve", done["id"], "--digest", done["digest"])[0] == 5
    status, reduced = office.run("ann", "reduce", done["id"], "--leave-out", "e1")
    assert (status, reduced["revision"], keys <= reduced.keys()) == (0, 3, True)
    status, fresh = office.run("bot", "refresh", done["id"])
    assert (status, fresh["digest"], keys <= fresh.keys()) == (0, reduced["digest"], True)
    assert office.run("bot", "wait", done["id"], "--until", "decided", "--timeout", "0")[0] == 11
    assert office.run("ann", "status")[1]["waiting"][0]["mine"] is True
    assert office.run("bot", "diff", done["id"], "1")[1]["effects"]["gone_count"] == 1
    assert office.run("bot", "withdraw", done["id"])[1]["state"] == "withdrawn"


def test_an_approval_on_what_is_paused_is_given_and_nothing_runs(office: Office):
    """Exit status 0: it was approved; `apply` is then held with 8."""
    done = office.submitted()
    office._env.delenv("TREEGATE_TOKEN", raising=False)
    assert guarded(cli, ["pause", "-c", "moving"]) == 0
    status, answer = office.run("ann", "approve", done["id"], "--digest", done["digest"])
    assert (status, answer["state"], answer["run"]) == (0, "approved", None)
    status, error = office.run("ann", "apply", done["id"])
    assert (status, error["error"]["code"]) == (8, "paused")
