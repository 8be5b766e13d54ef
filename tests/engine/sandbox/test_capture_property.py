"""Whatever a script did to a view, the plan made of it does the same to the case: nothing else, to the nanosecond.

Each story (see `mutations`) is told by a process of the command's user in a view, captured, handed in, approved and
applied to the untouched case, which then has to be what the view was. `python sequences.py` tells more of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from mutations import STEPS, Story, shorter, story
from tests.engine.sandbox import ordinary

HERE = Path(__file__).parent
SHM = "/dev/shm"
WAYS = ("overlay", "copy")


@pytest.fixture(params=["disk", "memory"])
def place(request, tmp_path):
    """A folder on the disk that temporary files are on, and one in memory, where not every change is dated."""
    if request.param == "disk":
        return tmp_path
    return request.getfixturevalue("memory")


@pytest.fixture
def memory():
    """A folder in memory."""
    if not os.access(SHM, os.W_OK):
        pytest.skip(f"needs {SHM}")
    with tempfile.TemporaryDirectory(dir=SHM) as folder:
        yield Path(folder)


@pytest.mark.parametrize("way", WAYS)
def test_the_plan_does_what_the_script_did(way, place, memory):
    """Scripts of up to 25 steps in trees of up to 20 entries; fewer on a disk, which syncs each run."""
    tell(way, place, first=0, count=30 if place == memory else 10)


@pytest.mark.faults
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("way", WAYS)
def test_the_plan_does_what_any_script_did(way, place):
    """The same, so often that what comes together once in a thousand times does."""
    tell(way, place, first=10_000 if way == "overlay" else 20_000, count=2_600)


def tell(way: str, place: Path, first: int, count: int) -> None:
    """Tells stories in a process of its own, for that mounts; on failure the shortest that fails is printed."""
    if way == "overlay" and os.geteuid() != 0:
        pytest.skip("an overlay needs root")
    command = [sys.executable, str(HERE / "sequences.py"), way, str(first), str(count), str(place / "stories")]
    told = subprocess.run(command, capture_output=True, text=True, errors="backslashreplace")
    assert told.returncode == 0, told.stdout + told.stderr
    assert f"{way}: {count} sequences" in told.stdout


def test_the_plan_does_what_an_ordinary_users_script_did(memory):
    """In a user namespace, on a private copy in memory, as somebody who owns the case and is not root."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else; the others have run as an ordinary user")
    os.chown(memory, ordinary.NOBODY, ordinary.NOBODY)
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import sequences; sequences.main()"
    told = ordinary.run(code, "copy", "0", "30", str(memory / "stories"))
    assert told.returncode == 0, told.stdout + told.stderr
    assert "copy: 30 sequences" in told.stdout


def test_stories_are_the_same_for_the_same_seed_and_use_every_step():
    """So that a failure can be told again by its number, and nothing that scripts do is left out."""
    assert story(7) == story(7)
    assert {step[0] for seed in range(300) for step in story(seed).script} == set(STEPS)


def test_a_failure_is_told_by_the_shortest_story():
    """All that can be left out is left out."""
    told = story(3)._replace(script=[("mkdir", 1, 2, 3), ("write", 1, 1, 1), ("delete", 1, 2, 3), ("mkdir", 9, 9, 9)])
    least = shorter(told, lambda one: "delete" in [step[0] for step in one.script])
    assert least == Story([], [("delete", 1, 2, 3)])
