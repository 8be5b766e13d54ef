"""Recovery ends what was interrupted, by what it finds; what fits neither state is left alone."""

import contextlib
import errno
import itertools
import os
import stat as st
import sys
from pathlib import Path

import pytest

from treegate.engine import posix, recover
from treegate.engine.journal import Begin, Journal, Story
from treegate.engine.locate import Survey, is_same
from treegate.engine.recover import Way, decide
from treegate.engine.straight import Straight
from treegate.errors import NeedsRecovery, NotVerified
from treegate.model.capabilities import Capabilities
from treegate.model.table import RENAME, ROOT, Step
from treegate.model.tree import Facts, pack

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from crash_sweep import Fault, applying
from protocol_model import BAD, PLANS, Disk, Frame, Protocol, World, read
from protocol_model import recover as model_recover
from tables import RUN, TIME, Site, everything


def chain(folder):
    """Five files, each to the place of the one before."""
    s = Site(folder)
    for n in range(5):
        s.file(f"f{n}")
    s.move("f0", (s.root, "free"))
    for n in range(1, 5):
        s.move(f"f{n}", (s.root, f"f{n - 1}"), free=False)
    s.seal()
    return s


def stopped(site, renames):
    """A run that halted before its n-th rename, for its filesystem became read-only."""
    ended = applying(site, Fault(fail=renames, error=errno.EROFS, renames=True))
    assert ended.how == "halted-read-only", ended
    return site


@pytest.fixture
def half(tmp_path):
    """The chain, its first two steps made."""
    return stopped(chain(tmp_path), 3)


def test_it_goes_forward_by_default_and_back_when_asked(tmp_path):
    for back in (None, True):
        site = chain(tmp_path / str(back))
        before = site.picture()
        stopped(site, 3)
        result = recover.recover(site.context(), back)
        assert result.outcome == ("rolled-back" if back else "applied")
        assert (site.picture() == before) is bool(back)


def test_a_moved_file_edited_before_recovery_keeps_move_and_edit(half):
    """28: it is recognised by inode and birth time, not by its content."""
    (half.case / "free").write_text("edited, and longer than before\n")
    assert recover.recover(half.context()).outcome == "applied"
    assert (half.case / "free").read_text() == "edited, and longer than before\n"


def test_a_file_edited_before_its_move_turns_the_run_back(half):
    """The remaining fingerprints do not hold: what was approved is not what would be moved."""
    (half.case / "f4").write_text("edited")
    result = recover.recover(half.context())
    assert result.outcome == "rolled-back"
    assert (half.case / "f4").read_text() == "edited"
    assert (half.case / "f0").read_text() == "content of f0\n"
    assert recover.recover(half.context()).outcome == "rolled-back"


def test_a_tree_that_fits_neither_state_is_told_entry_by_entry_and_left_alone(half):
    os.rename(half.case / "f3", half.case / "elsewhere")
    before = half.picture()
    for back in (None, True, False):
        with pytest.raises(NeedsRecovery, match=r"Case/f3: is at none of its places") as caught:
            recover.recover(half.context(), back)
        assert caught.value.code == "misplaced"
    assert half.picture() == before
    assert [path.name for path in half.directory.glob("journal.*")] == ["journal.1"]
    os.rename(half.case / "elsewhere", half.case / "f3")
    assert recover.recover(half.context()).outcome == "applied"


def test_something_foreign_in_the_way_of_both_is_not_replaced(tmp_path):
    site = Site(tmp_path)
    for name in "ab":
        site.file(name)
        site.move(name, (site.root, name + "2"))
    site.seal()
    stopped(site, 2)
    (site.case / "b2").write_text("mine")
    (site.case / "a").write_text("mine too")
    before = site.picture()
    with pytest.raises(NeedsRecovery, match="in the way"):
        recover.recover(site.context())
    assert site.picture() == before


def test_something_in_the_way_forward_turns_the_run_back(tmp_path):
    """20: it is not replaced."""
    site = Site(tmp_path)
    for name in "ab":
        site.file(name)
        site.move(name, (site.root, name + "2"))
    site.seal()
    stopped(site, 2)
    (site.case / "b2").write_text("mine")
    assert recover.recover(site.context()).outcome == "rolled-back"
    assert (site.case / "a").read_text() == "content of a\n"
    assert (site.case / "b2").read_text() == "mine"


def test_no_journal_means_that_nothing_happened(tmp_path):
    """16: the approval can be given back."""
    site = chain(tmp_path)
    assert recover.recover(site.context()).outcome == "nothing-happened"
    (site.directory / "journal.1").write_bytes(bytes(4096))
    assert recover.recover(site.context()).outcome == "nothing-happened"


def test_a_damaged_journal_touches_nothing(half):
    """7: a bad frame with a whole one behind it."""
    path = half.directory / "journal.1"
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    before = half.picture()
    with pytest.raises(NotVerified):
        recover.recover(half.context())
    assert half.picture() == before


def test_a_journal_of_another_table_is_refused(tmp_path):
    site = chain(tmp_path)
    Journal.create(site.directory, Begin(1, RUN, "0" * 64, "", {})).close()
    with pytest.raises(NotVerified):
        recover.recover(site.context())


def test_hard_links_are_told_apart_by_the_whole_of_their_moves(tmp_path):
    """32: every number of steps made of a chain through links of one inode."""
    for renames in range(1, 4):
        for back in (None, True):
            site = Site(tmp_path / f"{renames}{back}")
            site.file("h1")
            for name in ("h2", "h3"):
                os.link(site.case / "h1", site.case / name)
            site.move("h3", (site.root, "h4"))
            site.move("h2", (site.root, "h3"), free=False)
            site.move("h1", (site.root, "h2"), free=False)
            site.seal()
            stopped(site, renames)
            recover.recover(site.context(), back)
            assert sorted(site.picture()) == (["h1", "h2", "h3"] if back else ["h2", "h3", "h4"])


def test_a_rename_made_of_link_and_unlink_is_finished(half):
    """On mounts without NOREPLACE a crash may leave both names."""
    os.link(half.case / "f2", half.case / "f1")
    assert recover.recover(half.context(volumes={"": Capabilities(noreplace=False)})).outcome == "applied"
    assert sorted(half.picture()) == ["f0", "f1", "f2", "f3", "free"]


@pytest.mark.parametrize("back", [None, True])
def test_a_second_name_that_somebody_gave_a_moved_file_is_not_taken_away(tmp_path, back):
    """14: where a rename is one act, two names are not the run's doing."""
    site = Site(tmp_path)
    for name in ("one", "two"):
        site.file(name)
        site.move(name, (site.root, f"{name}.new"))
    site.seal()
    stopped(site, 2)
    os.link(site.case / "one.new", site.case / "one")
    if back:
        with pytest.raises(NeedsRecovery, match="something else is in the way"):
            recover.recover(site.context(), back)
        assert sorted(site.picture()) == ["one", "one.new", "two"]
    else:
        assert recover.recover(site.context()).outcome == "applied"
        assert sorted(site.picture()) == ["one", "one.new", "two.new"]


def test_the_last_name_of_a_file_is_not_taken_away(half, monkeypatch):
    """14: somebody takes away the second name just before the first one would go."""
    os.link(half.case / "f2", half.case / "f1")
    undouble = recover._Recovery._undouble

    def taken_before(self, survey):
        (half.case / "f1").unlink()
        undouble(self, survey)

    monkeypatch.setattr(recover._Recovery, "_undouble", taken_before)
    with contextlib.suppress(NeedsRecovery):
        recover.recover(half.context(volumes={"": Capabilities(noreplace=False)}))
    assert "content of f2\n" in [path.read_text() for path in half.case.iterdir()]


@pytest.mark.parametrize("back", [None, True])
@pytest.mark.parametrize("cut", ["new mount", "new boot"])
def test_two_names_that_a_power_cut_left_of_a_rename_become_one(tmp_path, monkeypatch, back, cut):
    """4: btrfs may have written the new name only. Of what goes straight, and of what goes by a parking place."""
    site = Site(tmp_path)
    for name in ("one", "a", "b"):
        site.file(name)
    site.move("one", (site.root, "one.new"))
    site.move("a", (site.park, "1"))
    site.move("b", (site.root, "a"), free=False)
    site.move("a", (site.root, "b"), at=(site.park, "1"), free=False)
    site.seal()
    before = site.picture()
    stopped(site, 3)
    os.link(site.case / "one.new", site.case / "one")
    os.link(site.roots[b"park:"] / "1", site.case / "a")
    if cut == "new boot":
        monkeypatch.setattr(posix, "boot_id", lambda: "another boot")
    else:
        real = posix.mount_id
        monkeypatch.setattr(posix, "mount_id", lambda fd: real(fd) + 1)
    assert recover.recover(site.context(), back).outcome == ("rolled-back" if back else "applied")
    if back:
        assert site.picture() == before
    else:
        assert sorted(site.picture()) == ["a", "b", "one.new"]
    assert not site.leftovers()


def test_what_was_saved_under_the_first_name_meanwhile_is_not_taken_away(half, monkeypatch):
    """14: the first name is looked at once more before it goes."""
    os.link(half.case / "f2", half.case / "f1")
    undouble = recover._Recovery._undouble

    def saved_before(self, survey):
        (half.case / "f1").unlink()
        (half.case / "f1").write_text("saved just now\n")
        undouble(self, survey)

    monkeypatch.setattr(recover._Recovery, "_undouble", saved_before)
    with contextlib.suppress(NeedsRecovery):
        recover.recover(half.context(volumes={"": Capabilities(noreplace=False)}))
    assert "saved just now\n" in {path.read_text() for path in half.case.iterdir()}


@pytest.mark.parametrize("made", [0, 1, 2])
def test_a_name_that_changes_only_in_case_is_found_where_names_are_one(tmp_path, monkeypatch, made):
    """1, 23: a folder's listing says which of the two it is. Few systems have such a filesystem: looks are folded."""
    caps = {"": Capabilities(folds_case=True)}
    site = Site(tmp_path)
    site.file("report")
    site.move("report", (site.park, "0.fold"))
    site.move("report", (site.root, "REPORT"), at=(site.park, "0.fold"), free=False)
    site.seal()
    applying(site) if made == 2 else stopped(site, made + 1)
    packed = posix.packed

    def folded(folder, name):
        there = {os.fsencode(each).lower(): os.fsencode(each) for each in os.listdir(folder)}
        return packed(folder, there.get(bytes(name).lower(), name))

    monkeypatch.setattr(posix, "packed", folded)
    with site.context(volumes=caps).places() as places:
        survey = Survey(places, list(site.context().table.steps()), {})
    assert (survey.done, survey.lost) == ([made > 0, made > 1], [])


def test_no_depth_that_a_path_can_have_is_too_deep():
    """20: what is above a folder is looked through without end, and without a call in a call."""
    slots = {number: (number - 1, b"d") for number in range(1, 5000)} | {0: (ROOT, b"case:Case")}
    step = Step(RENAME, 9000, b"facts", 1, 4999, b"one", 0, b"one", True, False)
    aside = Step(RENAME, 2500, b"facts", 1, 2499, b"d", 0, b"aside", True, True)
    assert Straight([[step]], slots, set()).goes(step)
    assert not Straight([[step, aside]], slots, set()).goes(step)


def test_no_device_number_is_kept(tmp_path):
    """18: the engine's own files are the same whatever number the disk is mounted under."""
    site = stopped(everything(tmp_path), 9)
    packed = {row.facts for row in site.places} | {step.facts for step in site.steps} - {b""}
    assert all(len(facts) in (0, 60) for facts in packed)
    assert recover.recover(site.context()).outcome == "applied"


def told(frames):
    """The same journal, in the model's terms and in the engine's."""
    model, story = read((tuple(frames),)), Story()
    if model.begun:
        story.begin = Begin(1, RUN, "", "", {})
    story.upto, story.done, story.back, story.outcome = model.upto, model.done, model.back, model.ended
    return story


STORIES = [
    frames
    for tail in ((), (BAD,))
    for frames in [
        tail,
        (Frame("begin"), *tail),
        (Frame("begin"), Frame("batch", 2, 0), *tail),
        (Frame("begin"), Frame("batch", 2, 0), Frame("back"), *tail),
        (Frame("begin"), Frame("batch", 2, 0), Frame("end", 0, 2, "applied"), *tail),
        (Frame("begin"), Frame("batch", 2, 0), Frame("back"), Frame("end", 0, 0, "rolled-back"), *tail),
    ]
]


@pytest.mark.parametrize("frames", STORIES, ids=lambda fs: " ".join(f.kind for f in fs) or "empty")
@pytest.mark.parametrize("wish", [False, True])
def test_the_engine_decides_as_the_model_does(frames, wish):
    """The protocol that was checked exhaustively is the one that is carried out."""
    plan = PLANS[1]
    announced = any(f.kind == "batch" for f in frames)
    tree = plan.before
    disk = Disk("applying", (frames,), (len(frames),), tree, ())
    if "applied" in (f.outcome for f in frames):
        disk = disk._replace(tree=plan.after)
    world = World(disk, plan)
    for _ in model_recover(world, Protocol(), wish):
        pass
    way = decide(told(frames), wish or None, built=True, forward=True, back=True)
    expected = {
        Way.NOTHING: "approved",
        Way.ENDED: told(frames).outcome,
        Way.FORWARD: "applied",
        Way.BACK: "rolled-back",
    }
    assert world.disk.db == expected[way], (way, announced)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("can", list(itertools.product([False, True], repeat=3)))
def test_what_turned_back_never_goes_forward(back, can):
    """15: whatever the wish and the tree; and nothing is tried that cannot be finished."""
    built, forward, behind = can
    story = Story(begin=Begin(1, RUN, "", "", {}), back=back)
    for wish in (None, False, True):
        way = decide(story, wish, built=built, forward=forward, back=behind)
        assert not (way == Way.FORWARD and (back or not built or wish or not forward))
        assert not (way == Way.BACK and not behind)


def test_without_a_birth_time_one_inode_with_another_size_is_another_file():
    """1, 14: a number that was used again is not taken for the file that had it before."""
    was = Facts(st.S_IFREG | 0o644, 1, 0, 0, 0, 7, 100, TIME, TIME, 0)
    assert is_same(pack(was), pack(was._replace(ctime=TIME + 1)))
    assert not is_same(pack(was), pack(was._replace(size=101)))
    assert not is_same(pack(was), pack(was._replace(ino=8)))
