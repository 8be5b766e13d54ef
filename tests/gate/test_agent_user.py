"""init --agent-user: what the agent's OS user cannot do, tried as that user; and doctor, when it no longer holds."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from gatework import snapshot

from treegate.engine import access, config
from treegate.errors import Denied, NotFound, TreegateError
from treegate.gate import Gate
from treegate.interfaces.cli import cli, failures

AGENT = "nobody"


def attempt(path: Path, act: Callable[[Path], object]) -> str:
    """What comes of trying something as the agent's user: "" if it worked, else the error's name."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            user = pwd.getpwnam(AGENT)
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
            act(path)
        except OSError as error:
            os.write(writing, type(error).__name__.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as said:
        text = said.read()
    os.waitpid(pid, 0)
    return text


def ways_in(root: Path, state: Path) -> dict[str, tuple[Path, Callable[[Path], object]]]:
    """What an agent might try without a plan."""
    return {
        "list the state": (state, os.listdir),
        "read the key": (state / "key", Path.read_bytes),
        "read the database": (state / "treegate.db", Path.read_bytes),
        "write the configuration": (state / "treegate.toml", lambda path: path.open("a")),
        "move the state away": (state, lambda path: path.rename(path.with_name("aside"))),
        "move .treegate away": (root / ".treegate", lambda path: path.rename(path.with_name("aside"))),
        "forge the marker": (root / ".treegate/workspace.json", lambda path: path.open("a")),
        "add to .treegate": (root / ".treegate/more", Path.touch),
        "edit a file": (root / "projects/Smith/a.txt", lambda path: path.open("a")),
        "delete a file": (root / "projects/Smith/a.txt", Path.unlink),
        "make a case": (root / "projects/New", Path.mkdir),
    }


@pytest.fixture
def place(fast: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that other users can come to, with a workspace to be."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to act as another user")
    fast.chmod(0o755)
    if not access.reaches(access.user_named(AGENT), fast):
        pytest.skip(f"needs temporary files where other users can come to, not {fast}")
    case = fast / "office/projects/Smith"
    case.mkdir(parents=True)
    (case / "a.txt").write_text("a")
    for name in [name for name in os.environ if name.startswith("TREEGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TREEGATE_STATE", str(fast / "state"))
    monkeypatch.chdir(fast)
    return fast


def made(place: Path) -> Gate:
    return Gate.init(place / "office", agent_user=AGENT)


def said(gate: Gate, *, deep: bool = False) -> list[str]:
    """What is open to the agent's user."""
    return [one.title for one in gate.doctor(deep=deep) if AGENT in one.title]


def test_the_agents_user_gets_nowhere(place: Path):
    """Each way in is tried as that user, and fails; reading the case does not."""
    before = snapshot(place / "office/projects")
    with made(place) as gate:
        assert gate.core.config.agent.user == AGENT
        tried = {name: attempt(*one) for name, one in ways_in(place / "office", place / "state").items()}
        assert tried == dict.fromkeys(tried, "PermissionError")
        assert attempt(place / "office/projects/Smith/a.txt", Path.read_bytes) == ""
        assert said(gate, deep=True) == []
    assert snapshot(place / "office/projects") == before


def test_what_is_open_in_the_cases_is_said_and_not_touched(place: Path):
    """The workspace's files are people's own: init changes none, and gives the command."""
    case = place / "office/projects/Smith"
    case.chmod(0o777)
    before = snapshot(place / "office/projects")
    with made(place) as gate:
        found = gate.agent_openings()
    assert snapshot(place / "office/projects") == before
    assert [one.severity for one in found] == ["error"]
    assert found[0].title == f"{AGENT} may write projects/Smith as everybody"
    assert f"chmod o-w {case}" in found[0].advice


OPENED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "list the state": ("state directory", lambda place: (place / "state").chmod(0o755)),
    "read the key": (
        "signing key",
        lambda place: [(place / "state").chmod(0o711), (place / "state/key").chmod(0o644)],
    ),
    "move the state away": ("in place of the state directory", lambda place: place.chmod(0o777)),
    "move .treegate away": ("in place of", lambda place: (place / "office").chmod(0o777)),
    "add to .treegate": ("may write", lambda place: (place / "office/.treegate").chmod(0o777)),
    "delete a file": ("projects/Smith", lambda place: (place / "office/projects/Smith").chmod(0o757)),
    "make a case": ("may write projects ", lambda place: os.chown(place / "office/projects", 65534, 0)),
}


@pytest.mark.parametrize("name", OPENED)
def test_doctor_says_what_is_open_and_its_command_closes_it(place: Path, name: str):
    """What can be done is an error that names it; after the advised command it cannot, and doctor is silent."""
    words, opens = OPENED[name]
    root = place / "office"
    with made(place) as gate:
        opens(place)
        assert any(words in title for title in said(gate)), said(gate)
        for one in gate.doctor():
            if AGENT in one.title:
                narrow = one.advice.partition("(or: ")[2].rstrip(")") or one.advice
                assert subprocess.run(shlex.split(narrow), check=False).returncode == 0
        assert attempt(*ways_in(root, place / "state")[name]) == "PermissionError"
        assert said(gate) == []


@pytest.mark.parametrize("command", ["setfacl", "chmod"])
def test_single_files_are_found_by_the_deep_look(place: Path, command: str):
    """The short look is at the folders of the cases; --deep is at every entry, and one command closes them all."""
    case = place / "office/projects/Smith"
    for number in range(5):
        (case / f"open{number}.txt").write_text("x")
        (case / f"open{number}.txt").chmod(0o666)
    with made(place) as gate:
        assert said(gate) == []
        (found,) = [one for one in gate.doctor(deep=True) if AGENT in one.title]
        assert "and 2 more" in found.title
        advised = {text.split()[0]: text for text in found.advice.rstrip(")").split("    (or: ")}
        if subprocess.run(shlex.split(advised[command]), check=False, capture_output=True).returncode:
            pytest.skip(f"needs {command}, and a filesystem that it works on")
        assert attempt(case / "open0.txt", lambda path: path.open("a")) == "PermissionError"
        assert attempt(case / "open0.txt", Path.read_bytes) == ""
        assert said(gate, deep=True) == []


@pytest.mark.parametrize(("name", "code"), [("no-such-user", "user-missing"), ("root", "agent-user-unfit")])
def test_a_user_that_cannot_be_kept_out_is_refused(place: Path, name: str, code: str):
    """One that is not there, root, and whoever runs treegate; nothing is made."""
    with pytest.raises(TreegateError) as refused:
        Gate.init(place / "office", agent_user=name)
    assert refused.value.code == code
    assert not (place / "state").exists()
    assert not (place / "office/.treegate").exists()


def test_ones_own_user_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch):
    """An agent that runs as the reviewer could approve its own plans."""
    monkeypatch.setattr("treegate.gate.agentuser.os.geteuid", lambda: pwd.getpwnam(AGENT).pw_uid)
    with pytest.raises(Denied) as refused:
        made(place)
    assert refused.value.code == "agent-user-unfit"


def test_a_state_directory_within_reach_is_refused(place: Path):
    """Where a folder above it may be written by the agent's user, it could be swapped; nothing is made."""
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    with pytest.raises(Denied) as refused:
        Gate.init(place / "office", agent_user=AGENT, environ={"TREEGATE_STATE": str(place / "open/deep/state")})
    assert (refused.value.code, refused.value.path) == ("agent-within-reach", str(place / "open"))
    assert list((place / "open").iterdir()) == []


def test_an_area_that_the_agents_user_made_is_refused(place: Path):
    """A `.treegate` that it laid out beforehand would be its own."""
    (place / "office/.treegate").mkdir()
    os.chown(place / "office/.treegate", 65534, 65534)
    with pytest.raises(Denied):
        made(place)


def test_an_open_area_is_closed(place: Path):
    """One that was there before is taken over, closed."""
    (place / "office/.treegate").mkdir()
    (place / "office/.treegate").chmod(0o777)
    with made(place) as gate:
        assert said(gate) == []


def test_doctor_says_that_the_user_is_gone_or_root(place: Path, monkeypatch: pytest.MonkeyPatch):
    """The setting outlives the account."""
    made(place).close()
    for name, words in (("no-such-user", "no OS user no-such-user"), ("root", "root is root")):
        monkeypatch.setenv("TREEGATE_AGENT_USER", name)
        with Gate.open(place / "office") as gate:
            assert any(words in one.title and one.severity == "error" for one in gate.doctor())


def test_without_an_agents_user_doctor_notes_it_where_several_people_work(place: Path):
    """A note, for nothing is wrong; a person who works alone hears nothing."""
    with Gate.init(place / "office") as gate:
        assert [one.severity for one in gate.doctor() if "OS user" in one.title] == ["note"]
    (place / "alone/projects").mkdir(parents=True)
    with Gate.init(place / "alone", solo=True, environ={"TREEGATE_STATE": str(place / "state2")}) as gate:
        assert [one for one in gate.doctor() if "OS user" in one.title] == []


def test_init_at_the_shell_says_what_is_open(place: Path, capfd: pytest.CaptureFixture[str]):
    """And that the rest is closed, where it is."""
    assert failures.guarded(cli, ["init", "office", "--agent-user", AGENT]) == 0
    assert f"{AGENT} cannot enter the state directory, nor write" in capfd.readouterr().out
    (place / "other/projects/Smith").mkdir(parents=True)
    (place / "other/projects/Smith").chmod(0o777)
    line = ["init", "other", "--agent-user", AGENT, "--state", str(place / "state2"), "--json"]
    assert failures.guarded(cli, line) == 0
    out = capfd.readouterr().out
    assert f'"agent_user":"{AGENT}"' in out
    assert "may write projects/Smith" in out


@pytest.mark.parametrize("name", ["a b", "../x", "a:b", "\n"])
def test_a_name_that_no_user_can_have_is_refused(name: str):
    """At the start, with the line."""
    with pytest.raises(ValueError):
        config.BY_KEY["agent.user"].kind.read(name)


def test_a_missing_user_is_not_found(place: Path):
    """Status 9, like whatever else is not there."""
    with pytest.raises(NotFound):
        Gate.init(place / "office", agent_user="no-such-user")
