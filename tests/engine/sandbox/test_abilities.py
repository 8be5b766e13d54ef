"""What is said of engines and views is what comes of trying them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.engine.sandbox import ordinary

from treegate.engine.sandbox import abilities, cgroups, trial, view
from treegate.engine.sandbox.abilities import Abilities, Lacking
from treegate.errors import UsageError

needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap (bwrap)")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: an overlay is root's only")


@pytest.fixture(autouse=True)
def anew() -> Iterator[None]:
    """Each test tries for itself, and no later one believes what it made of that."""
    for found in (abilities.without_bubblewrap, abilities._overlay):
        found.cache_clear()
    yield
    for found in (abilities.without_bubblewrap, abilities._overlay):
        found.cache_clear()


@pytest.fixture
def case(tmp_path: Path) -> str:
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "file").write_text("content")
    return str(tmp_path / "case")


# -- bubblewrap


@needs_bwrap
def test_bubblewrap_works_where_a_command_runs():
    """Tried with the very arguments that commands are run with."""
    assert not abilities.without_bubblewrap()


def test_bubblewrap_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert "bwrap" in abilities.without_bubblewrap().why
    assert "apt install bubblewrap" in abilities.without_bubblewrap().hint


@needs_bwrap
def test_bubblewrap_that_may_not_make_namespaces_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its own last words are the reason."""
    script = tmp_path / "bwrap"
    script.write_text("#!/bin/sh\necho 'bwrap: Creating new namespace failed: Operation not permitted' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert abilities.without_bubblewrap().why == "bwrap: Creating new namespace failed: Operation not permitted"


# -- Docker


class Daemon:
    """A socket that answers every request as it is told to."""

    def __init__(self, place: Path, answers: dict[str, int]) -> None:
        self.path = str(place / "docker.sock")
        self._answers = answers
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            peer, _ = self._socket.accept()
            with peer:
                asked = peer.recv(1 << 16).split()[1].decode()
                peer.sendall(f"HTTP/1.1 {self._answers.get(asked, 404)} .\r\nContent-Length: 0\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ({"/_ping": 200, "/images/ours/json": 200}, ""),
        ({"/_ping": 200}, "the daemon has no image ours (sandbox.image)"),
        ({"/_ping": 200, "/images/ours/json": 500}, "asked for its image, it answers with status 500"),
        ({}, "is no Docker daemon"),
    ],
)
def test_docker_works_where_it_answers_and_has_the_image(
    answers: dict[str, int], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    daemon = Daemon(tmp_path, answers)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{daemon.path}")
    assert abilities.without_docker("ours").why.endswith(why)
    assert bool(abilities.without_docker("ours")) == bool(why)


def test_docker_that_is_not_there_or_elsewhere_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none")
    assert abilities.without_docker("x").why == f"no daemon answers at {tmp_path}/none: No such file or directory"
    monkeypatch.setenv("DOCKER_HOST", "tcp://192.0.2.1:2375")
    assert "only a daemon of this machine" in abilities.without_docker("x").why


@root_only
def test_a_socket_that_others_may_use_is_not_taken_for_an_absent_daemon(tmp_path: Path):
    """Whoever is not allowed is told so, and that the right to it would be as good as being root."""
    Daemon(tmp_path, {"/_ping": 200})
    os.chmod(tmp_path / "docker.sock", 0o600)
    os.chmod(tmp_path, 0o755)
    for above in tmp_path.parents:
        above.chmod(above.stat().st_mode | 0o011)
    code = "import os, sys\nos.environ['DOCKER_HOST'] = sys.argv[1]\nfrom treegate.engine.sandbox import abilities\n"
    done = ordinary.run(f"{code}print(abilities.without_docker('x'))", f"unix://{tmp_path}/docker.sock")
    assert "may not be used by this user" in done.stdout, done.stderr
    assert "as good as root" in done.stdout


# -- views


@root_only
def test_an_overlay_works_where_one_can_be_mounted(case: str):
    """Everything was tried on the case, which is as it was."""
    found = abilities._tried(case)
    assert found == trial.Found(), found
    assert os.listdir(case) == ["file"]


def in_a_child(area: Path, case: str, broken: str) -> trial.Found:
    """A trial in a process in which something of it does not work."""
    code = f"import errno, os, sys\nfrom treegate.engine.sandbox import mounting, scratch, trial, view\n{broken}\n"
    code += "import msgspec\nprint(msgspec.json.encode(trial.find(*sys.argv[1:])).decode())"
    done = subprocess.run([sys.executable, "-c", code, str(area), case], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=trial.Found)


@root_only
@pytest.mark.parametrize(
    ("broken", "part", "why"),
    [
        ("view._OPTIONS = 'redirect_dir=off,metacopy=on,index=off,volatile'", "overlay", "no overlay can be"),
        ("view._OPTIONS = 'redirect_dir=nofollow,index=off,volatile'", "overlay", "what was renamed"),
        ("view._OPTIONS = 'redirect_dir=on,metacopy=off,index=off,volatile'", "overlay", "what was renamed"),
        ("view._MARK = 'user.treegate'; view._OPTIONS += ',userxattr'", "overlay", "no overlay can be mounted"),
        ("os.environ['PATH'] = ''; scratch.shutil.which = lambda *_, **__: None", "scratch", "mkfs.ext4"),
        ("trial.view.rehearse = lambda _: None; view._OPTIONS = 'redirect_dir=on'", "case", "metacopy=on"),
    ],
)
def test_what_does_not_work_is_found_out_by_doing(broken: str, part: str, why: str, tmp_path: Path, case: str):
    """An overlay without one of its options, no tool for the filesystem below it: said by name; nothing is left."""
    area = tmp_path / "area"
    area.mkdir()
    found = in_a_child(area, case, broken)
    assert why in getattr(found, part), found
    with open("/proc/self/mountinfo") as mounts:
        assert str(tmp_path) not in mounts.read()


@root_only
def test_whoever_lacks_the_privilege_is_refused_clearly(tmp_path: Path, case: str):
    """Marks that read as absent would make a renamed folder a deleted one: no capability, no view."""
    area = tmp_path / "area"
    area.mkdir()
    code = "import sys\nfrom treegate.engine.sandbox import view\ntry: view.prove(sys.argv[1])\n"
    code += "except view.Unfit as error: print(error)"
    command = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-all", sys.executable, "-c", code, str(area)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
    assert told == "the marks of an overlay cannot be read here: Operation not permitted\n"
    view.prove(str(area))


# -- choosing, and telling


def having(**given: Lacking) -> Abilities:
    return Abilities(**{"bubblewrap": Lacking(), "docker": Lacking(), "overlay": Lacking()} | given)


NO = Lacking("it does not work", "do something")


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, "docker"),
        ({"docker": NO}, "bwrap"),
        ({"bubblewrap": NO}, "docker"),
        ({"docker": NO, "bubblewrap": NO}, None),
    ],
)
def test_docker_comes_first_and_bubblewrap_where_there_is_none(
    given: dict[str, Lacking], chosen: str | None, monkeypatch: pytest.MonkeyPatch
):
    found = having(**given)
    assert found.engine == chosen
    monkeypatch.setattr(abilities, "without_docker", lambda image: found.docker)
    monkeypatch.setattr(abilities, "without_bubblewrap", lambda: found.bubblewrap)
    if chosen:
        assert abilities.engine("auto", "image") == chosen
    else:
        with pytest.raises(UsageError, match="Docker: it does not work; bubblewrap: it does not work"):
            abilities.engine("auto", "image")
    for name, lacking in (("docker", found.docker), ("bwrap", found.bubblewrap)):
        if lacking:
            with pytest.raises(UsageError) as raised:
                abilities.engine(name, "image")
            assert raised.value.hint == "do something"
        else:
            assert abilities.engine(name, "image") == name


def test_doctor_says_what_is_taken_what_works_and_why_the_rest_does_not():
    said = {one.title: one.severity for one in abilities.findings(having(docker=NO, overlay=NO))}
    assert said == {
        "commands cannot be run with Docker: it does not work": "note",
        "commands run with bubblewrap, on a private copy of their case": "note",
        "there is no copy-on-write view: it does not work": "note",
    }
    said = {one.title: one.severity for one in abilities.findings(having(docker=NO), "docker")}
    assert said == {"commands cannot be run with Docker: it does not work": "warning"}
    (one,) = abilities.findings(having())
    assert one.title == "commands run with Docker, on a copy-on-write view of their case; bubblewrap works, too"


@root_only
def test_what_no_control_group_limits_is_told(case: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cgroups, "hierarchies", lambda: iter(()))
    _, weaker = abilities._overlay(case)
    assert any("not that of all together" in one.title for one in weaker)


def test_a_helper_is_said_to_answer_or_not(tmp_path: Path):
    """Where commands are left to one, what works here itself does not matter."""
    path = str(tmp_path / "helper.sock")
    assert "does not answer" in abilities.of_helper(path).title
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        assert (abilities.of_helper(path).severity, path in abilities.of_helper(path).title) == ("note", True)
