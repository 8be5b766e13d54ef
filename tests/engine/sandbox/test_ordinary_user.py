"""An ordinary user's sandbox: a private copy in a room of limited size, and what a command did to it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.engine.sandbox import ordinary
from tests.engine.sandbox.conftest import Bench, leftovers

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else"),
    pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs bubblewrap (bwrap)"),
]

RUN = """
import json, sys
from pathlib import Path
from tests.engine.sandbox.conftest import Bench, Ran
from treegate.engine.sandbox import session
from treegate.engine.sandbox.order import Limits, Started
bench = Bench.__new__(Bench)
bench.place = Path(sys.argv[1])
bench.case, bench.tools, bench.blobs = (bench.place / name for name in ("projects/Case", "Tools", "blobs"))
bench.number = 0
ran = bench.sh(sys.argv[2], limits=Limits(**json.loads(sys.argv[3])))
ends = [(type(one).__name__, getattr(one, "code", "")) for one in ran.frames]
done = ends[-1][0] == "Captured"
print(json.dumps({
    "ends": ends, "out": ran.out, "err": ran.err,
    "view": [one.view for one in ran.frames if isinstance(one, Started)],
    "status": ran.exited.status if done else None,
    "brief": ran.brief() if done and ran.captured.operations else [],
}))
"""


@pytest.fixture
def place(bench: Bench) -> Path:
    """A workspace that is an ordinary user's."""
    for path in (bench.place, bench.case, bench.tools, bench.blobs, bench.case.parent):
        os.chown(path, ordinary.NOBODY, ordinary.NOBODY)
    for above in bench.place.parents:
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o011)
    return bench.place


def told(place: Path, script: str, **limits: Any) -> dict[str, Any]:
    for path in (place / "projects/Case").rglob("*"):
        os.lchown(path, ordinary.NOBODY, ordinary.NOBODY)
    given = {"seconds": 60, "written": 16 << 20, "copied": 16 << 20, "entries": 2000} | limits
    ran = ordinary.run(RUN, str(place), script, json.dumps(given))
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_what_a_command_does_is_told_from_a_private_copy(place: Path):
    case = place / "projects/Case"
    (case / "scans").mkdir()
    for name in ("a.txt", "b.txt", "scans/1.txt", "scans/2.txt"):
        (case / name).write_text(name)
    ran = told(
        place, "id -u; mv scans old; mv a.txt old/; echo more >> b.txt; rm old/2.txt; mkdir new; ln -s b.txt l"
    )
    assert ran["view"] == ["copy"]
    assert ran["out"].split() == [str(ordinary.NOBODY)]
    assert ran["brief"] == [
        "delete scans/2.txt",
        "mkdir new",
        "move a.txt -> old/a.txt",
        "move scans -> old",
        "replace b.txt",
        "symlink l",
    ]
    assert (case / "a.txt").read_text() == "a.txt"


def test_a_command_meets_a_full_disk_of_its_own(place: Path):
    ran = told(place, "head -c 50000000 /dev/zero > big; echo small > small", written=4 << 20, copied=4 << 20)
    assert "No space left" in ran["err"] or "File too large" in ran["err"]


def test_a_case_beyond_the_limit_is_refused_before_the_command_begins(place: Path):
    (place / "projects/Case/big").write_bytes(bytes(5 << 20))
    ran = told(place, "echo begun", copied=4 << 20)
    assert ran["ends"][-1] == ["Failed", "case-too-large-to-copy"]
    assert ran["out"] == ""


def test_nothing_is_left_of_it(place: Path):
    told(place, "touch made")
    assert list((place / "scratch").iterdir()) == []
    assert leftovers(place) == []
