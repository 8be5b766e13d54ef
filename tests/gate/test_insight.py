"""What a reviewer is shown beside the preview: folders, places, samples, other plans, copies that stay, news."""

from __future__ import annotations

import pytest
from gatework import Office, copy, create, delete, move, plan, replace

from treegate.errors import NotFound, PlanError, Stale, UsageError
from treegate.gate import Gate
from treegate.gate.deciding import pins_of
from treegate.model.actors import WEB, Role
from treegate.model.effects import Effect
from treegate.model.folders import Folders


@pytest.fixture
def bot(firm: Office) -> Gate:
    """An author, in a case of thirty scans, some notes and a copy of one of them."""
    for number in range(30):
        firm.put(f"Smith/Scans/s{number:02}.pdf", f"scan {number}")
    firm.put("Smith/Notes/a.txt", "note a")
    firm.put("Smith/Notes/b.txt", "note b")
    firm.put("Smith/Archive/old a.txt", "note a")
    return firm.person("bot", Role.AUTHOR)


@pytest.fixture
def ann(firm: Office) -> Gate:
    return firm.person("ann", Role.REVIEWER)


def told(found: object) -> dict[str, tuple[object, object]]:
    return {str(row.path): (row.before, row.after) for row in found.folders}  # type: ignore[attr-defined]


def test_folders_are_counted_before_and_after(bot, ann):
    """Entries directly in each: what leaves, what comes, what is new, what goes away."""
    made = bot.submit(
        plan({"op": "move", "match": "Scans/*.pdf", "to": "Letters/"}, delete("Archive", recursive=True))
    )
    assert told(ann.folders(made.id)) == {
        "Smith": (3, 3),
        "Smith/Archive": (1, None),
        "Smith/Letters": (None, 30),
        "Smith/Scans": (30, 0),
    }


def test_a_folder_that_moves_is_told_at_its_new_place(bot, ann):
    """What is put into it, or taken out of it, counts there."""
    made = bot.submit(plan(move("Scans", "Papers"), move("Papers/s00.pdf", "Notes/"), create("Papers/INDEX")))
    found = {str(row.path): row for row in ann.folders(made.id).folders}
    row = found["Smith/Papers"]
    assert (row.was, row.before, row.after, row.left, row.came) == ("Smith/Scans", 30, 30, 1, 1)
    assert (found["Smith/Notes"].before, found["Smith/Notes"].after) == (2, 3)
    assert "Smith/Scans" not in found


@pytest.mark.parametrize("replaced", [None, "C/old"])
def test_a_replaced_file_keeps_its_slot_taken(replaced):
    """The one that takes its place leaves its own; what was replaced may have been elsewhere."""
    effect = Effect("e1", "replaced", "C/B/x", "file", source="C/A/x", replaces=replaced)
    folders = Folders([effect])
    assert folders.left == ({"C/A": 1} if replaced is None else {"C/A": 1, "C": 1})
    assert folders.came == ({} if replaced is None else {"C/B": 1})


@pytest.mark.parametrize(
    ("path", "to"),
    [
        ("Smith/Scans/s03.pdf", "Smith/Papers/s03.pdf"),
        ("/Smith/Scans/s00.pdf/", "Smith/first.pdf"),
        ("Smith/Archive/old a.txt", ""),
        ("Smith/Notes/a.txt", "Smith/Notes/a.txt"),
    ],
)
def test_it_is_told_where_an_entry_goes(bot, ann, path, to):
    """By its own effect before that of a folder above it; what nothing happens to stays."""
    made = bot.submit(
        plan(move("Scans", "Papers"), move("Papers/s00.pdf", "first.pdf"), delete("Archive", recursive=True))
    )
    assert ann.destination(made.id, path).to == to


def test_the_sample_is_a_reviewers_own_and_stays_the_same(firm, bot, ann):
    """Twenty of the effects; another reviewer, another draw; an author cannot foresee it."""
    made = bot.submit(plan({"op": "move", "match": "Scans/*.pdf", "to": "Letters/"}))
    first = ann.sample(made.id)
    assert len({effect.id for effect in first}) == 20
    assert first == firm.person("ann2", Role.REVIEWER).acting_as(ann.actor).sample(made.id)
    assert first != firm.person("ben", Role.REVIEWER).sample(made.id)


def test_the_size_of_the_sample_is_kept_with_the_approval(bot, ann):
    """In the decision and in the log."""
    made = bot.submit(plan(move("Scans", "Papers")))
    ann.approve(made.id, made.digest, sample=1)
    assert ann.core.store.decisions(made.id)[0].sample == 1
    assert any('"sample":1' in row.data for row in ann.log() if row.event == "approve")


@pytest.mark.parametrize("sample", [2, 20, 10**15])
def test_a_sample_that_nobody_can_have_seen_is_refused(bot, ann, sample):
    """More than there are effects, or than are ever drawn; nothing is decided."""
    made = bot.submit(plan(move("Scans", "Papers")))
    with pytest.raises(UsageError) as caught:
        ann.approve(made.id, made.digest, sample=sample)
    assert (caught.value.code, ann.plan(made.id).state) == ("sample-invalid", "pending")
    many = bot.submit(plan({"op": "move", "match": "Scans/*.pdf", "to": "Letters/"}))
    with pytest.raises(UsageError):
        ann.approve(many.id, many.digest, sample=21)
    assert ann.approve(many.id, many.digest, sample=20).state == "approved"


@pytest.mark.parametrize(
    ("other", "count"),
    [
        (move("Scans/s01.pdf", "one.pdf"), 1),
        (move("Scans", "Papers"), 1),
        (delete("Scans/s02.pdf"), 1),
        (create("Letters/s01.pdf"), 2),  # both make the folder, too
        (move("Notes/a.txt", "Notes/c.txt"), 0),
    ],
)
def test_other_plans_that_touch_the_same_entries_are_told_of(bot, ann, other, count):
    """The same entry, a folder above it, the same new place; on both plans."""
    mine = bot.submit(plan({"op": "move", "match": "Scans/*.pdf", "to": "Letters/"}))
    theirs = bot.submit(plan(other))
    found = ann.overlaps(mine.id)
    assert [(one.plan.id, one.count) for one in found] == ([(theirs.id, count)] if count else [])
    assert [one.plan.id for one in ann.overlaps(theirs.id)] == ([mine.id] if count else [])


def test_a_plan_that_is_decided_against_overlaps_with_nothing(bot, ann):
    """Only what waits, or is approved, may still happen."""
    mine, theirs = (bot.submit(plan(move("Scans", name))) for name in ("One", "Two"))
    ann.reject(theirs.id, theirs.digest, "no")
    assert ann.overlaps(mine.id) == []


def test_a_copy_that_survives_a_deletion_is_found(bot, ann):
    """By its content; a file of the same size is none, nor is one that goes away too."""
    made = bot.submit(plan(delete("Notes/a.txt"), delete("Notes/b.txt")))
    found = {one.effect: one for one in ann.survivors(made.id).deletions}
    assert [(one.files, one.kept, one.copy) for one in found.values()] == [
        (1, 1, "Smith/Archive/old a.txt"),
        (1, 0, None),
    ]
    both = bot.submit(plan(delete("Notes/a.txt"), delete("Archive", recursive=True)))
    assert [one.kept for one in ann.survivors(both.id).deletions] == [0, 0]


def test_what_moved_on_is_told_until_the_plan_is_over(firm, bot, ann):
    """An edited source; nothing, once the plan is withdrawn."""
    made = bot.submit(plan(move("Notes/a.txt", "Notes/c.txt")))
    assert ann.moved_on(made.id) == []
    firm.put("Smith/Notes/a.txt", "it was edited")
    assert [str(one.path) for one in ann.moved_on(made.id)] == ["Smith/Notes/a.txt"]
    bot.withdraw(made.id)
    assert ann.moved_on(made.id) == []


def test_what_is_new_since_the_last_look_stays_told_until_it_is_read(bot, ann):
    """The first look is noted by itself; a revision is told of again and again, until it is said to be seen."""
    made = bot.submit(plan(move("Notes/a.txt", "Notes/c.txt")))
    assert ann.since_seen(made.id) is None
    again = bot.revise(made.id, plan(move("Notes/a.txt", "Notes/c.txt"), delete("Notes/b.txt")))
    for _ in range(2):
        found = ann.since_seen(made.id)
        assert [effect.effect for effect in found.effects.came] == ["deleted"]
    with pytest.raises(Stale):
        ann.note_seen(made.id, made.digest)
    ann.note_seen(made.id, again.digest)
    assert ann.since_seen(made.id) is None


def test_a_request_for_changes_is_pinned_to_effects_and_patterns(bot, ann):
    """The author is told which operations they came from."""
    made = bot.submit(plan(move("Notes/a.txt", "x.txt"), {"op": "move", "match": "Scans/*.pdf", "to": "Letters/"}))
    pattern = next(one for one in ann.show(made.id).preview.patterns if one.count == 30)
    ann.request_changes(made.id, made.digest, "not these", ["e1", pattern.id])
    pins = pins_of(ann.core.store.decisions(made.id)[0])
    assert [(pin.id, pin.operations) for pin in pins][1] == (pattern.id, (2,))
    assert pins[0].id == "e1"


def test_a_pin_on_nothing_is_refused(bot, ann):
    """And nothing is decided."""
    made = bot.submit(plan(move("Notes/a.txt", "x.txt")))
    with pytest.raises(NotFound):
        ann.request_changes(made.id, made.digest, "what?", ["e99"])
    assert ann.plan(made.id).state == "pending"


def test_above_policys_number_the_deletions_are_typed_on_the_pages(firm, bot):
    """A wrong number, or none, decides nothing; at other doors the digest is enough."""
    firm.configure(policy_approval_typed_deletes="1")
    ann = firm.person("ann", Role.REVIEWER)
    page = ann.acting_as(type(ann.actor)(name="ann", role=Role.REVIEWER, channel=WEB, via="token"))
    made = firm.open(firm.token("bot2", Role.AUTHOR)).submit(plan(delete("Notes/a.txt"), delete("Notes/b.txt")))
    for typed in (None, 1, 3):
        with pytest.raises(PlanError, match="was not typed"):
            page.approve(made.id, made.digest, typed=typed)
    assert page.plan(made.id).state == "pending"
    assert page.approve(made.id, made.digest, typed=2).state == "approved"


def test_contents_that_are_replaced_count_for_no_folder(bot, ann):
    """A folder in which nothing comes or goes has no line."""
    made = bot.submit(plan(replace("Notes/a.txt"), copy("Notes/b.txt", "b2.txt")))
    assert set(told(ann.folders(made.id))) == {"Smith"}


def test_a_copy_that_moves_is_told_at_its_new_place(bot, ann):
    """Where it will be once the plan is carried out."""
    made = bot.submit(plan(delete("Notes/a.txt"), move("Archive", "Old")))
    assert [one.copy for one in ann.survivors(made.id).deletions] == ["Smith/Old/old a.txt"]


def test_on_the_pages_no_plan_is_turned_down_without_a_word(bot, ann):
    """Neither rejected nor sent back; its author has nothing else to go by."""
    page = ann.acting_as(type(ann.actor)(name="ann", role=Role.REVIEWER, channel=WEB, via="token"))
    made = bot.submit(plan(move("Scans", "Papers")))
    for act in (page.reject, page.request_changes):
        with pytest.raises(PlanError, match="a word"):
            act(made.id, made.digest, "  ")
    assert page.plan(made.id).state == "pending"
