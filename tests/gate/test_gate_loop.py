"""The loop: submitted, decided, applied, and a receipt that accounts for it."""

from __future__ import annotations

import msgspec
import pytest
from gatework import DAY, HOUR, OLD, Office, copy, create, delete, move, plan, replace

from treegate.engine import receipts
from treegate.errors import Denied, Expired, NotFound, NotVerified, PlanError, Rejected, RolledBack, Stale
from treegate.gate.undoing import Undo
from treegate.model.actors import Role


def filled(office: Office) -> Office:
    """Some files to work on, of every kind."""
    office.put("Smith/in/a.txt", "alpha\n")
    office.put("Smith/in/b.txt", "beta\n", mtime=OLD + 1)
    office.put("Smith/in/deep/c.txt", "gamma\n", mode=0o600)
    office.put("Smith/notes.md", "old notes\n")
    office.put("Smith/tmp/x", "x")
    office.put("Smith/tmp/more/y", "yy")
    office.path("Smith/latest").symlink_to("in/a.txt")
    return office


EVERYTHING = (
    {"op": "mkdir", "path": "Empty"},
    move("in/a.txt", "b.tmp"),
    move("in/b.txt", "in/a.txt"),
    move("b.tmp", "in/b.txt"),
    {"op": "rename", "path": "in/deep", "name": "deeper"},
    copy("in/deeper/c.txt", "copies/c.txt"),
    copy("in/deeper", "copies/all"),
    create("INDEX.md", "# Index\n"),
    replace("notes.md", "new notes\n"),
    delete("tmp", recursive=True),
    delete("latest"),
    {"op": "symlink", "path": "newest", "target": "in"},
    {"op": "set", "path": "in/a.txt", "mode": "0755", "mtime": "2024-03-01T09:00:00.000000001Z"},
)


@pytest.mark.parametrize("where", ["office", "disk"])
def test_a_plan_is_approved_applied_and_its_tree_is_as_the_operations_say(where, request):
    """One plan with every operation has the effects that its operations would have in order."""
    office = filled(request.getfixturevalue(where))
    done = office.carried_out(*EVERYTHING)
    assert done.state == "applied"
    texts = {path: office.path(f"Smith/{path}").read_text() for path in ("in/a.txt", "in/b.txt", "notes.md")}
    assert texts == {"in/a.txt": "beta\n", "in/b.txt": "alpha\n", "notes.md": "new notes\n"}
    assert office.path("Smith/copies/all/c.txt").read_text() == office.path("Smith/copies/c.txt").read_text()
    assert office.path("Smith/newest").readlink().name == "in"
    assert office.path("Smith/in/a.txt").stat().st_mtime_ns == 1_709_283_600_000_000_001
    assert not office.path("Smith/tmp").exists()
    assert office.path("Smith/Empty").is_dir()
    office.sound()


def test_nothing_is_touched_before_approval(office):
    """Checking, submitting, showing and approving leave every byte and time as it was."""
    before = filled(office).tree()
    office.gate.check(plan(*EVERYTHING))
    id = office.approved(*EVERYTHING)
    office.gate.show(id)
    assert office.tree() == before


def test_what_is_not_approved_is_not_applied(office):
    """A pending plan is refused, and nothing happens."""
    before = filled(office).tree()
    done = office.submit(*EVERYTHING)
    with pytest.raises(Denied) as refused:
        office.gate.apply(done.id)
    assert refused.value.code == "not-approved"
    assert office.tree() == before


# Who decides


def test_an_author_can_never_approve(firm):
    """The role of an author holds no right to decide, not even on the plan of another."""
    firm.put("Smith/a", "a")
    done = firm.submit(move("a", "b"))
    with pytest.raises(Denied) as refused:
        firm.person("agent", Role.AUTHOR).approve(done.id, done.digest)
    assert (refused.value.code, refused.value.exit_status) == ("role-not-allowed", 4)


def test_an_author_cannot_approve_where_authors_may_approve_their_own(office):
    """`--solo` lets a person decide on their own plans; it gives an author no right to decide."""
    office.put("Smith/a", "a")
    agent = office.person("agent", Role.AUTHOR)
    done = agent.submit(plan(move("a", "b")))
    with pytest.raises(Denied):
        agent.approve(done.id, done.digest)


def test_40_nobody_approves_their_own_plan(firm):
    """A reviewer who wrote the plan has to leave it to another, who may."""
    firm.put("Smith/a", "a")
    ann, bob = firm.person("ann", Role.REVIEWER), firm.person("bob", Role.REVIEWER)
    done = ann.submit(plan(move("a", "b")))
    assert "other than ann" in done.waiting_for
    with pytest.raises(Denied) as refused:
        ann.approve(done.id, done.digest)
    assert (refused.value.code, refused.value.exit_status) == ("own-plan", 4)
    assert bob.approve(done.id, done.digest).state == "approved"


def test_40_own_approval_is_said_in_the_receipt(office):
    """Where policy lets authors decide on their own plans, every receipt says so."""
    office.put("Smith/a", "a")
    receipt = office.carried_out(move("a", "b")).receipt
    assert receipt.own_approval
    assert any("own plans" in note for note in receipt.notes)


def test_an_author_may_apply_what_was_approved_only_if_policy_lets_them(firm):
    """`policy.apply.by` decides who starts a run."""
    firm.put("Smith/a", "a")
    done = firm.submit(move("a", "b"))
    firm.person("bob", Role.REVIEWER).approve(done.id, done.digest)
    agent = firm.person("agent", Role.AUTHOR)
    agent.core.workspace.config = msgspec.structs.replace(
        agent.core.config,
        policy=msgspec.structs.replace(
            agent.core.config.policy, apply=msgspec.structs.replace(agent.core.config.policy.apply, by=("operator",))
        ),
    )
    with pytest.raises(Denied):
        agent.apply(done.id)
    assert firm.person("agent2", Role.AUTHOR).apply(done.id).state == "applied"


def test_a_token_of_one_case_touches_no_other(firm):
    """A token's cases bound what its holder submits, reads and decides."""
    firm.put("Jones/a", "a")
    agent = firm.person("agent", Role.AUTHOR, cases=["Smith"])
    with pytest.raises(Denied) as refused:
        agent.submit(plan(move("a", "b"), case="Jones"))
    assert refused.value.code == "case-not-allowed"
    done = firm.submit(move("a", "b"), case="Jones")
    with pytest.raises(NotFound):  # what one may not see is not told to exist
        agent.show(done.id)
    assert agent.list_plans()[0] == []


# What is decided on


@pytest.mark.parametrize("digest", ["0" * 64, "0" * 12, "", "sha256:" + "1" * 64])
def test_a_decision_on_another_digest_is_refused(office, digest):
    """An approval names exactly what was seen."""
    office.put("Smith/a", "a")
    done = office.submit(move("a", "b"))
    with pytest.raises(Stale) as refused:
        office.gate.approve(done.id, digest)
    assert (refused.value.code, refused.value.exit_status) == ("digest-not-current", 5)


def test_a_digest_needs_twelve_characters(office):
    """Eleven could be guessed; twelve do."""
    office.put("Smith/a", "a")
    done = office.submit(move("a", "b"))
    with pytest.raises(Stale, match="not the current digest") as refused:
        office.gate.approve(done.id, done.digest[:11])
    assert "12" in refused.value.hint
    assert office.gate.approve(done.id, done.digest[:12]).state == "approved"


def test_a_plan_with_errors_cannot_be_approved(office):
    """An invalid plan has to be mended first."""
    done = office.submit(move("missing", "b"))
    assert done.state == "invalid"
    with pytest.raises(PlanError):
        office.gate.approve(done.id, done.digest)


def test_42_an_approval_that_ran_out_is_expired_and_never_denied(office):
    """After `expires` the run is refused as expired (13), the plan says so, and nothing was done."""
    office.put("Smith/a", "a")
    before = office.tree()
    id = office.approved(move("a", "b"))
    office.clock.now += 72 * HOUR
    with pytest.raises(Expired) as refused:
        office.gate.apply(id)
    assert (refused.value.code, refused.value.exit_status) == ("approval-expired", 13)
    assert office.gate.show(id).plan.state == "expired"
    with pytest.raises(Expired):
        office.gate.apply(id)
    assert office.tree() == before


def test_42_an_approval_holds_until_its_last_moment(office):
    """One millisecond before the end it is still good."""
    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    office.clock.now += 72 * HOUR - 1
    assert office.gate.apply(id).state == "applied"


def test_a_clock_that_goes_back_loses_nothing(office):
    """With the clock a day behind, plans are decided, applied and undone, and the log still holds."""
    office.put("Smith/a", "a")
    before = office.tree()
    id = office.approved(move("a", "b"))
    office.clock.now -= DAY
    done = office.gate.apply(id)
    office.clock.now -= DAY
    office.undone(done.run)
    assert office.tree() == before
    assert [run.undo_of for run in office.gate.list_runs()] == [done.run, None]
    office.sound()


def test_a_rejected_digest_cannot_be_submitted_again(office):
    """The same changes on the same tree are refused (12) with the reviewer's reason, under any plan id."""
    office.put("Smith/a", "a")
    done = office.submit(move("a", "b"))
    assert office.gate.reject(done.id, done.digest, "b is for billing").state == "rejected"
    with pytest.raises(Rejected) as refused:
        office.submit(move("a", "b"))
    assert (refused.value.code, refused.value.exit_status) == ("already-rejected", 12)
    assert "b is for billing" in refused.value.message
    assert office.submit(move("a", "c")).state == "pending"


def test_a_rejected_plan_is_not_applied(office):
    """Rejection is told as such."""
    office.put("Smith/a", "a")
    done = office.submit(move("a", "b"))
    office.gate.reject(done.id, done.digest, "no")
    with pytest.raises(Rejected):
        office.gate.apply(done.id)


def test_any_rejection_wins_over_an_approval(firm):
    """Someone's no, before the run, stands against another's yes."""
    firm.put("Smith/a", "a")
    done = firm.submit(move("a", "b"))
    firm.person("ann", Role.REVIEWER).approve(done.id, done.digest)
    firm.person("bob", Role.REVIEWER).reject(done.id, done.digest, "wait")
    with pytest.raises(Rejected):
        firm.gate.apply(done.id)


def test_two_approvals_where_policy_asks_for_two(firm):
    """With `required = 2` the first approval leaves the plan pending, also when it is given twice."""
    firm.put("Smith/a", "a")
    (firm.state / "treegate.toml").write_text("[policy.approval]\nrequired = 2\n")
    gate = firm.reopen()
    done = firm.submit(move("a", "b"))
    assert "2 reviewers" in done.waiting_for
    ann, bob = firm.person("ann", Role.REVIEWER), firm.person("bob", Role.REVIEWER)
    assert ann.approve(done.id, done.digest).state == "pending"
    assert ann.approve(done.id, done.digest).state == "pending"
    with pytest.raises(Denied):
        gate.apply(done.id)
    assert bob.approve(done.id, done.digest).state == "approved"
    receipt = gate.apply(done.id).receipt
    assert [approval.reviewer for approval in receipt.approved_by] == ["ann", "bob"]


# Used once


def test_39_the_same_approved_digest_applied_twice_is_one_run(office):
    """The second request answers with the first one's run, and does nothing."""
    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    first = office.gate.apply(id)
    after = office.tree()
    again = office.open().apply(id)
    assert (again.run, again.receipt) == (first.run, first.receipt)
    assert office.tree() == after
    assert len(office.gate.list_runs()) == 1


def test_39_a_double_click_approves_once(office):
    """Saying yes twice is one decision."""
    office.put("Smith/a", "a")
    done = office.submit(move("a", "b"))
    office.gate.approve(done.id, done.digest)
    assert office.gate.approve(done.id, done.digest).state == "approved"
    assert len(office.gate.core.store.decisions(done.id, done.digest)) == 1


def test_39_a_yes_that_comes_after_the_run_starts_no_other(firm):
    """Two approvers, one asked for: the one who is late changes nothing."""
    firm.put("Smith/a", "a")
    ann, bob = firm.person("ann", Role.REVIEWER), firm.person("bob", Role.REVIEWER)
    done = firm.submit(move("a", "b"))
    ann.approve(done.id, done.digest)
    run = ann.apply(done.id).run
    with pytest.raises(Denied):
        bob.approve(done.id, done.digest)
    assert bob.apply(done.id).run == run
    assert len(firm.gate.list_runs()) == 1


def test_a_used_approval_does_not_serve_again(office, monkeypatch):
    """A run that failed and was taken back used its approval up: nothing runs on it again."""
    office.put("Smith/a", "a")
    before = office.tree()
    id = office.approved(move("a", "b"))
    office.gate.watch(lambda done, total: None, lambda: True)
    with pytest.raises(RolledBack):
        office.gate.apply(id)
    office.gate.watch(lambda done, total: None, lambda: False)
    with pytest.raises(Denied) as refused:
        office.gate.apply(id)
    assert refused.value.code == "approval-used"
    assert office.tree() == before
    office.sound()


# The receipt


def test_the_receipt_is_signed_and_stored_under_the_digest_the_store_knows(office):
    """Its signature holds, and a changed one is found."""
    filled(office)
    receipt = office.carried_out(*EVERYTHING).receipt
    core = office.gate.core
    receipts.verify(office.state / "receipts", receipt, [core.key().public])
    assert core.store.run(receipt.run).receipt_digest == receipts.digest_of(receipt)
    with pytest.raises(NotVerified):
        receipts.verify(office.state / "receipts", msgspec.structs.replace(receipt, by="eve"), [core.key().public])


def test_the_receipt_names_who_what_and_when(office):
    """Author, approver with words, digests, cases, title and reason stand in it."""
    office.put("Smith/a", "a")
    done = office.submit(move("a", "b"), title="Tidy", reason="asked for")
    office.gate.approve(done.id, done.digest, "fine")
    receipt = office.gate.apply(done.id).receipt
    assert (receipt.title, receipt.reason, receipt.cases) == ("Tidy", "asked for", ["Smith"])
    assert (receipt.digest, receipt.plan, receipt.outcome) == (done.digest, done.id, "applied")
    assert [(a.comment, a.at) for a in receipt.approved_by] == [("fine", office.clock.now)]


def test_the_lines_account_for_every_effect(office):
    """There is one line for every effect of the preview, in its order, and the receipt counts them."""
    filled(office)
    id = office.approved(*EVERYTHING)
    effects = list(office.gate.effects(id))
    receipt = office.gate.apply(id).receipt
    lines = list(receipts.read_lines(office.state / "receipts" / f"{receipt.run}.lines"))
    assert [line.effect for line in lines] == effects
    assert receipt.touched == len(effects) == receipt.counts.effects
    assert all(line.result == "done" for line in lines)


def test_every_changed_entry_is_accounted_for(office):
    """No path differs between before and after that no line of the receipt speaks of."""
    before = filled(office).tree()
    receipt = office.carried_out(*EVERYTHING).receipt
    after = office.tree()
    told = set()
    for line in receipts.read_lines(office.state / "receipts" / f"{receipt.run}.lines"):
        told |= {str(line.effect.path), str(line.effect.source)}
    differing = {path.decode() for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in differing if not any(path == t or path.startswith(t + "/") for t in told)} == set()


def test_a_changed_line_is_found(office):
    """The receipt is signed with the lines' own hash."""
    office.put("Smith/a", "a")
    receipt = office.carried_out(move("a", "b")).receipt
    path = office.state / "receipts" / f"{receipt.run}.lines"
    path.write_bytes(path.read_bytes().replace(b"Smith/b", b"Smith/c"))
    with pytest.raises(NotVerified):
        receipts.verify(office.state / "receipts", receipt, [office.gate.core.key().public])


def test_verify_hashes_every_touched_content_before_and_after(office):
    """`--verify`: before and brought = after and vault, said in the receipt."""
    filled(office)
    receipt = office.gate.apply(office.approved(*EVERYTHING), verify=True).receipt
    assert "before and brought = after and vault" in receipt.verified


def test_verify_finds_a_content_that_is_lost(office, monkeypatch):
    """Should a byte be lost on the way, it does not verify (10)."""
    from treegate.gate import runs

    filled(office)
    id = office.approved(delete("notes.md"), move("in", "out"))
    real = runs.apply

    def lossy(core, prefix):
        done = real(core, prefix)
        office.path("Smith/out/a.txt").write_text("other bytes\n")
        return done

    monkeypatch.setattr(runs, "apply", lossy)
    with pytest.raises(NotVerified) as refused:
        office.gate.apply(id, verify=True)
    assert (refused.value.code, refused.value.exit_status) == ("contents-differ", 10)


# Names


def test_ids_by_unique_prefix(office):
    """A prefix does where it is the only one; an unknown id is not found (9)."""
    office.put("Smith/a", "a")
    done = office.submit(move("a", "b"))
    assert office.gate.show(done.id[:8]).plan.id == done.id
    with pytest.raises(NotFound) as refused:
        office.gate.show("pl_zzzz")
    assert refused.value.exit_status == 9
    with pytest.raises(NotFound):
        office.gate.apply("pl_zzzz")
    with pytest.raises(NotFound):
        office.gate.applied("run_zzzz")


def test_undo_answers_with_the_plan_it_submitted(office):
    """`undo` carries nothing out: its plan waits for an approval like any other."""
    office.put("Smith/a", "a")
    done = office.carried_out(move("a", "b"))
    after = office.tree()
    undo = office.gate.undo()
    assert isinstance(undo, Undo)
    assert (undo.run, undo.submitted.state) == (done.run, "pending")
    assert office.tree() == after


def test_links_weigh_nothing_wherever_they_go(office):
    """A link that leaves a folder which is deleted takes away no bytes that the folder never counted."""
    office.put("Smith/folder/a", "12345")
    office.path("Smith/folder/link").symlink_to("a")
    done = office.submit(move("folder/link", "link"), delete("folder", recursive=True))
    counts = office.gate.show(done.id).preview.counts
    assert (counts.deleted_bytes, counts.moved_bytes) == (5, 0)


def in_and_copied(office):
    """Changes inside a folder before and after it is copied, restored, or moved."""
    yield [move("1.txt", "sub/1.txt"), copy("sub", "sub2")]
    yield [copy("sub", "sub2"), delete("sub2/s.txt")]
    yield [replace("sub/s.txt"), copy("sub", "sub2")]
    yield [create("sub/n"), copy("sub", "sub2"), delete("sub/n")]
    yield [copy("sub", "sub2"), replace("sub2/s.txt", "other"), move("sub2/deep", "sub3")]
    yield [copy("1.txt", "2.txt", if_exists="replace")]
    yield [move("1.txt", "2.txt", if_exists="replace"), copy("2.txt", "sub/copy")]
    run = office.carried_out(delete("gone", recursive=True)).run
    (kept,) = office.gate.list_vault(run)
    back = {"op": "restore", "run": run, "entry": kept.entry, "to": "back"}
    yield [back, move("back/g.txt", "g2"), copy("back", "back2"), move("back/h.txt", "1.txt", if_exists="replace")]


def test_verify_is_right_about_folders_that_change_before_or_after_they_are_copied(office):
    """What is copied is what the folder holds at that point of the plan; no such run is called wrong."""
    for path in ("1.txt", "2.txt", "sub/s.txt", "sub/deep/d.txt", "gone/g.txt", "gone/h.txt"):
        office.put(f"Smith/{path}", f"content of {path}\n")
    before = office.tree()
    for operations in in_and_copied(office):
        tree = office.tree()
        done = office.gate.apply(office.approved(*operations), verify=True)
        assert "before and brought" in done.receipt.verified, operations
        assert office.gate.fsck() == []
        office.undone(done.run)
        assert office.tree() == tree, operations
    office.sound()
    for path in (b"Smith/gone", b"Smith/gone/g.txt", b"Smith/gone/h.txt"):
        del before[path]
    assert office.tree() == before


@pytest.mark.parametrize(
    "after",
    [
        [delete("back/g.txt")],
        [move("back/g.txt", "g"), replace("g")],
        [move("back/g.txt", "g"), delete("g")],
        [delete("back/g.txt"), delete("back", recursive=True)],
        [move("x", "back/x"), delete("back/in", recursive=True)],
    ],
)
def test_what_comes_out_of_one_vault_does_not_go_into_another_untold(office, after):
    """A plan that restores a folder and deletes something in it is refused: no record could say what that was."""
    for path in ("x", "gone/g.txt", "gone/in/h.txt"):
        office.put(f"Smith/{path}", path)
    run = office.carried_out(delete("gone", recursive=True)).run
    (kept,) = office.gate.list_vault(run)
    done = office.submit({"op": "restore", "run": run, "entry": kept.entry, "to": "back"}, *after)
    assert [found.code for found in done.problems] == ["restored-in-vain"]


def test_a_file_that_takes_the_place_of_a_restored_one_has_it_kept(office):
    """It is replaced like any other, so vault and list have it."""
    office.put("Smith/x", "x")
    office.put("Smith/gone/g.txt", "g")
    run = office.carried_out(delete("gone", recursive=True)).run
    (kept,) = office.gate.list_vault(run)
    back = {"op": "restore", "run": run, "entry": kept.entry, "to": "back"}
    office.carried_out(back, move("x", "back/g.txt", if_exists="replace"))
    assert [one.path for one in office.gate.list_vault()] == ["Smith/back/g.txt"]
    assert office.gate.fsck() == []


def test_the_vault_tells_of_what_it_keeps_not_of_what_took_its_place(office):
    """A link replaces a file, and a long file a short one: kind and size are those of the old ones."""
    office.put("Smith/file", "12345")
    office.put("Smith/short", "1")
    office.put("Smith/long", "123456789")
    office.path("Smith/link").symlink_to("file")
    id = office.approved(
        move("link", "file", if_exists="replace"), move("long", "short", if_exists="replace"),
    )  # fmt: skip
    receipt = office.gate.apply(id, verify=True).receipt
    kept = {one.path: (one.kind, one.files, one.size) for one in office.gate.list_vault()}
    assert kept == {"Smith/file": ("file", 1, 5), "Smith/short": ("file", 1, 1)}
    assert receipt.vault.size == 6


def test_the_lines_of_a_receipt_are_whole_whatever_the_names_say(office):
    """They are cut out of the stored effects without being decoded; names that look like JSON change nothing."""
    names = ["x},{", 'x},{"effect":"moved"', '{"by":"', '}},{"id":', "line\nbreak", "\\", '"']
    for name in names:
        office.put(f"Smith/{name}", name)
    office.put("Smith/to/.keep")  # a folder that is made would have its line written otherwise, and all with it
    before = office.tree()
    run = office.carried_out(*(move(name, f"to/{name}") for name in names)).run
    lines = list(receipts.read_lines(office.state / "receipts" / f"{run}.lines"))
    assert {line.effect.path for line in lines if line.effect.effect == "moved"} == {f"Smith/to/{n}" for n in names}
    office.sound()
    office.undone(run)
    assert office.tree() == before


def test_a_file_edited_after_a_run_of_moves_alone_is_left_by_its_undo(office):
    """24: what the lines do not say of an entry, the step table does."""
    office.put("Smith/sub/x", "old")
    office.put("Smith/to/.keep")
    run = office.carried_out(move("sub/x", "to/x")).run
    assert not any(line.facts for line in receipts.read_lines(office.state / "receipts" / f"{run}.lines"))
    office.path("Smith/to/x").write_text("edited")
    with pytest.raises(Stale) as refused:
        office.gate.undo(run)
    assert refused.value.code == "undo-conflict"
