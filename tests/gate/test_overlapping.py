"""Plans that touch the same entries: each says of the other, at every door, and no plan is read for it in vain."""

from __future__ import annotations

import pytest
from gatework import Office, copy, create, delete, move, plan
from queuework import Queue

from treegate.engine import footprints
from treegate.gate import overlapping, projections
from treegate.model.actors import Role
from treegate.model.footprint import MOST
from treegate.model.preview import digest_of


def validation(office: Office, id: str) -> str:
    return (office.root / f"Reports/Smith/reorg_plans/{id}.md").read_text()


def current(office: Office) -> None:
    """Every projection says what the store says."""
    assert office.open().fsck(dry=True) == []


def test_both_plans_say_so_in_their_reports(office: Office):
    """The first one's is written anew as the second comes, and once more as it goes; the digest stays."""
    office.put("Smith/a.txt", "a")
    first = office.submit(move("a.txt", "b.txt"))
    assert "waiting, also" not in validation(office, first.id)
    second = office.submit(delete("a.txt"), title="Away")
    assert f'{second.id} ("Away"), waiting, also deletes Smith/a.txt' in validation(office, first.id)
    assert f"{first.id}, waiting, also moves Smith/a.txt" in validation(office, second.id)
    current(office)
    shown = office.gate.show(first.id).preview
    (other,) = shown.others
    assert (other.plan, other.state, other.effect, other.path, other.count) == (
        second.id,
        "pending",
        "deleted",
        "Smith/a.txt",
        1,
    )
    assert digest_of(shown) == shown.digest == first.digest
    office.gate.approve(second.id, second.digest)
    current(office)
    office.gate.withdraw(second.id)
    assert "waiting, also" not in validation(office, first.id)
    current(office)


@pytest.mark.parametrize("ends", ["reject", "revise", "apply"])
def test_a_plan_that_waits_no_more_is_told_of_no_more(office: Office, ends: str):
    office.put("Smith/a.txt", "a")
    office.put("Smith/b.txt", "b")
    first, second = office.submit(move("a.txt", "x.txt")), office.submit(move("a.txt", "y.txt"))
    if ends == "reject":
        office.gate.reject(second.id, second.digest, "no")
    elif ends == "revise":
        office.gate.revise(second.id, plan(move("b.txt", "y.txt")))
    else:
        office.gate.approve(second.id, second.digest)
        office.gate.apply(second.id)
    assert "waiting, also" not in validation(office, first.id)
    assert office.gate.show(first.id).preview.others == []
    current(office)


def test_the_queue_has_it_beside_the_plan(firm: Office):
    firm.put("Smith/a.txt", "a")
    queue = Queue(firm)
    first = queue.took(firm.document(move("a.txt", "b.txt")), "1.json")
    second = queue.took(firm.document(move("a.txt", "c.txt")), "2.json")
    assert f"{second}, waiting, also moves Smith/a.txt" in queue.at(first, "validation.md").read_text()
    assert f"{first}, waiting, also moves Smith/a.txt" in queue.at(second, "validation.md").read_text()


def test_a_folder_that_moves_takes_along_what_is_in_it(office: Office):
    office.put("Smith/in/deep/a.txt", "a")
    inner, outer = office.submit(move("in/deep/a.txt", "b.txt")), office.submit(move("in", "out"))
    beside = office.submit(create("other/c.txt"))
    assert [other.plan for other in office.gate.show(inner.id).preview.others] == [outer.id]
    assert [other.plan for other in office.gate.show(outer.id).preview.others] == [inner.id]
    assert office.gate.show(beside.id).preview.others == []


def test_what_is_only_copied_is_not_touched(office: Office):
    """Two plans that copy the same file do not stand in each other's way."""
    office.put("Smith/a.txt", "a")
    one, two = office.submit(copy("a.txt", "b.txt")), office.submit(copy("a.txt", "c.txt"))
    for made in (one, two):
        assert office.gate.show(made.id).preview.others == []


def test_a_large_plan_counts_for_the_folders_it_works_in(office: Office):
    """It is not read for each small one that comes; what it says is true all the same."""
    for n in range(MOST + 1):
        office.put(f"Smith/in/{n}.txt")
    large = office.submit({"op": "move", "match": "in/*.txt", "to": "out/"})
    near, far = office.submit(create("in/new.txt")), office.submit(create("elsewhere/new.txt"))
    assert f"{large.id}, waiting, works in the same folders" in validation(office, near.id)
    assert f"{near.id}, waiting, works in the same folders" in validation(office, large.id)
    assert "waiting" not in validation(office, far.id).replace("Waiting", "")
    assert office.gate.overlaps(near.id) == []  # the page looks at each effect
    with office.gate.core.store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM footprints").scalar()
    assert rows in range(1, 50)


def test_very_many_plans_on_the_same_entry_cost_each_the_same(office: Office, monkeypatch: pytest.MonkeyPatch):
    """Of ten others it is told which they are; then only that there are more, and nothing is written for those."""
    office.put("Smith/a.txt", "a")
    made = [office.submit(move("a.txt", f"{n}.txt")).id for n in range(14)]
    first = validation(office, made[0])
    assert [id for id in made if f"{id}, waiting" in first] == made[1:11]
    assert "and there are more plans that touch the same" in first
    written = []
    real = projections._TWO[1][3]

    def counted(core, told):
        written.append(told.id)
        return real(core, told)

    monkeypatch.setattr(projections, "_TWO", (projections._TWO[0], (*projections._TWO[1][:3], counted)))
    office.submit(move("a.txt", "last.txt"))
    assert len(written) == 1  # its own
    current(office)


def test_plans_that_touch_nothing_alike_are_not_read(office: Office, monkeypatch: pytest.MonkeyPatch):
    """However many wait in the same case and folder."""
    for n in range(5):
        office.put(f"Smith/{n}.txt")
        office.submit(move(f"{n}.txt", f"{n}.pdf"))
    monkeypatch.setattr(overlapping, "_hits", None)
    monkeypatch.setattr(overlapping, "_Touched", None)
    office.put("Smith/x.txt")
    done = office.submit(move("x.txt", "x.pdf"))
    assert office.gate.show(done.id).preview.others == []
    current(office)


def test_what_ended_leaves_no_footprint(office: Office):
    office.put("Smith/a.txt", "a")
    store = office.gate.core.store
    office.carried_out(move("a.txt", "b.txt"))
    done = office.submit(move("b.txt", "c.txt"))
    office.gate.withdraw(done.id)
    with store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM footprints").scalar() == 0
    assert footprints.upset(store, store.plan(done.id).seq, 9) == []


def test_nobody_is_told_of_plans_of_cases_that_are_not_theirs(firm: Office):
    firm.put("Smith/a.txt", "a")
    first = firm.submit(move("a.txt", "b.txt"))
    both = firm.submit(move("Smith/a.txt", "Jones/a.txt"), case=None)
    someone = firm.person("sam", Role.REVIEWER, cases=["Smith"])
    assert someone.show(first.id).preview.others == []
    assert [other.plan for other in firm.gate.show(first.id).preview.others] == [both.id]
