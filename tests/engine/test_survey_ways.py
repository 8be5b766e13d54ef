"""The short way by which recovery judges what goes straight says what the general way says of the same tree."""

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from treegate.engine import journal, whereabouts
from treegate.engine.locate import Survey

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from crash_sweep import Fault, applying
from planned import Linked, Planned

FILES = ("a", "b", "c", "d/a", "d/b", "d/e/a", "d/e/b", "f/a", "f/b", "f/g/h/a")
LINKED = ("f/k", "l")  # two names of one file
FOLDERS = ("d", "d/e", "f", "f/g", "f/g/h")
SHM = "/dev/shm"
NAMES = ("a", "b", "x", "y", "a\nb", "d", "g")


class General(Survey):
    """The oracle: every step is judged by the general way."""

    def _parted(self, built):
        return [], list(enumerate(self.steps))


class Virtual:
    """What a plan's operations come to, kept as paths, so that every one of them can be carried out."""

    def __init__(self) -> None:
        self.files, self.folders = {*FILES, *LINKED}, {"", *FOLDERS}
        self.operations: list[dict] = []

    def do(self, kind: int, one: int, two: int, name: str) -> None:
        """The operation that three numbers and a name stand for, if it is possible."""
        paths = sorted(self.files) + sorted(self.folders - {""})
        if not paths:
            return
        path, folder = paths[one % len(paths)], sorted(self.folders)[two % len(self.folders)]
        to = f"{folder}/{name}".lstrip("/")
        taken = to in self.files or to in self.folders
        if kind <= 5 and not taken and not f"{folder}/".startswith(f"{path}/"):
            self.operations.append({"op": "move", "from": path, "to": to})
            for known in (self.files, self.folders):
                inside = {each for each in known if each == path or each.startswith(f"{path}/")}
                known -= inside
                known |= {to + each[len(path) :] for each in inside}
        elif kind == 6 and path in self.files:
            self.operations.append({"op": "delete", "path": path})
            self.files.remove(path)
        elif kind == 7 and path in self.files:
            self.operations.append({"op": "replace", "path": path, "content": "new\n"})
        elif kind == 8 and not taken:
            self.operations.append({"op": "mkdir", "path": to})
            self.folders.add(to)
        elif kind == 9 and not taken:
            self.operations.append({"op": "create", "path": to, "content": "new\n"})
            self.files.add(to)


def disturb(site: Planned, kind: int, one: int, two: int) -> None:
    """What somebody else does to the tree after the crash."""
    tops = [site.roots[b"case:Case"], site.roots[b"vault:"], site.roots[b"new:"]]
    there = sorted(path for top in tops for path in top.rglob("*"))
    steps = list(site.context().table.steps())
    ends = sorted({name for step in steps for name in (os.fsdecode(step.src_name), os.fsdecode(step.dst_name))})
    parents = sorted({path.parent for path in there})
    free = sorted(parent / name for parent in [*parents, tops[0]] for name in ends)
    free = [path for path in free if not os.path.lexists(path)]
    if not there or not free:
        return
    path, to = there[one % len(there)], free[two % len(free)]
    with contextlib.suppress(OSError, shutil.Error):
        if kind == 0:
            os.unlink(path)
        elif kind == 1:
            os.link(path, to)
        elif kind == 2:
            os.rename(path, to)
        elif kind == 3:  # the inode may be used again
            os.unlink(path)
            path.write_text("another")
        elif kind == 4:
            to.write_text("something foreign")
        elif kind == 5:
            to.mkdir()
        elif kind == 6:
            path.write_text("edited, and longer than before")
        elif kind == 7 and path.is_dir():  # another folder in its place
            os.rename(path, to)
            path.mkdir()
        elif kind == 8:
            other = there[two % len(there)]
            os.rename(path, to)
            os.rename(other, path)
            os.rename(to, other)


def judged(kind: type[Survey], site: Planned) -> dict[str, object]:
    """What one of the two surveys says of the tree, as far as recovery asks for it; without order."""
    ctx = site.context()
    story = journal.read(ctx.directory, ctx.run)
    if story.begin is None or not (story.all_built or not ctx.table.staged):
        return {}
    with ctx.places() as places:
        for entry in story.built.values():
            places.expect(entry.number, entry.facts)
        survey = kind(places, list(ctx.table.steps()), story.built)
        ahead = survey.obstacles(survey.remaining(), back=False)
        behind = survey.obstacles(survey.made(), back=True)
        if survey.lost:  # nothing may be touched then; which folders are told of besides may differ
            lost = {finding.entry for finding in survey.lost if "cannot be opened" not in finding.text}
            return {"done": survey.done, "lost": lost, "stays": bool(ahead and behind)}
        return {
            "done": survey.done,
            "doubled": set(survey.doubled),
            "ahead": set(ahead),
            "behind": set(behind),
            "facts": [seen(survey, number) for number in survey.remaining()],
            "places": {number: places.slot(number) for number in places.numbers()},
        }


def seen(survey: Survey, number: int) -> bytes | None:
    """What was seen where a step's entry comes from; of one that waits untouched, that is what was approved."""
    step = survey.steps[number]
    return step.facts if survey.plain[number] else survey.facts.get((step.src, step.src_name))


def grown(kind: type[Planned], folder: str, operations: list[dict]) -> Planned:
    """A site with a few files and the table of a plan for them."""
    site = kind(Path(folder))
    for path in FILES:
        site.file(path)
    site.file(LINKED[0])
    os.link(site.case / LINKED[0], site.case / LINKED[1])
    site.seal_plan(operations)
    return site


_numbers = st.integers(0, 40)
_operation = st.tuples(st.integers(0, 9), _numbers, _numbers, st.sampled_from(NAMES))
_operations = st.lists(_operation, min_size=1, max_size=9)
_disturbances = st.lists(st.tuples(st.integers(0, 8), _numbers, _numbers), max_size=3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.sampled_from([Planned, Linked]), st.booleans(), _operations, st.integers(0, 60), _disturbances)
def test_both_ways_judge_a_crashed_and_disturbed_tree_alike(kind, listed, operations, kill, disturbances):
    """Any plan, stopped at any of its calls (or at none), and what others did to the tree since; whether folders are
    listed, or too large for that."""
    virtual = Virtual()
    for operation in operations:
        virtual.do(*operation)
    assume(virtual.operations)
    with tempfile.TemporaryDirectory(dir=SHM if os.access(SHM, os.W_OK) else None) as folder:
        site = grown(kind, folder, virtual.operations)
        applying(site, Fault(kill=kill))
        for disturbance in disturbances:
            disturb(site, *disturbance)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(whereabouts, "PER_NAME", 1_000_000 if listed else -1)
            assert judged(Survey, site) == judged(General, site)


def test_a_file_between_folders_that_stay_goes_the_short_way(tmp_path):
    """Else the two ways would be one, and the test above would say nothing."""
    operations = [{"op": "move", "from": "a", "to": "d/x"}, {"op": "move", "from": "f/g", "to": "g"}]
    site = grown(Planned, tmp_path, operations)
    if not all(step.facts[-8:].strip(b"\0") for step in site.context().table.steps()):
        pytest.skip("the filesystem of temporary folders keeps no birth times")
    with site.context().places() as places:
        survey = Survey(places, list(site.context().table.steps()), {})
    assert len(survey._straight) == len(survey._others) == 1
