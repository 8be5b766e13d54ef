"""The draft: how changes collect, what becomes of them, and that an agent is never led in circles."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from deepwork import Office, decided, settled, tree

from treegate.errors import TreegateError
from treegate.interfaces.deepagents import draft, pending
from treegate.interfaces.deepagents.backend import TreegateBackend
from treegate.model.lifecycle import State


def operations(backend: TreegateBackend) -> list[tuple[Any, ...]]:
    """The operations so far, short."""
    return [tuple(one[key] for key in ("op", "path", "from", "to") if key in one) for one in operations_of(backend)]


def operations_of(backend: TreegateBackend) -> list[dict[str, Any]]:
    return list(backend.pending()["operations"])


def plans(office: Office) -> int:
    """How many plans there are, with their revisions."""
    page = office.gate.list_plans()
    found = page[0] if isinstance(page, tuple) else page.plans
    return sum(one.revision for one in found)


# --- collecting


def test_a_file_that_is_made_and_edited_is_made_once(backend: TreegateBackend):
    backend.write("/n.txt", "one")
    backend.write("/other", "")
    backend.edit("/n.txt", "one", "two")
    assert operations(backend) == [("create", "n.txt"), ("create", "other")]
    assert operations_of(backend)[0]["content"] == "two"


def test_a_file_that_is_made_and_deleted_never_was(backend: TreegateBackend):
    backend.write("/new/n.txt", "one")
    backend.delete("/new/n.txt")
    assert operations(backend) == []
    assert backend.ls("/new").error is not None


def test_a_file_that_is_replaced_twice_is_replaced_once(backend: TreegateBackend):
    backend.write("/a.txt", "one")
    backend.write("/a.txt", "two")
    assert operations_of(backend) == [{"op": "replace", "path": "a.txt", "content": "two"}]


def test_a_file_that_is_replaced_and_deleted_is_deleted(backend: TreegateBackend):
    backend.write("/a.txt", "one")
    backend.delete("/a.txt")
    assert operations(backend) == [("delete", "a.txt")]


def test_nothing_folds_across_a_move(backend: TreegateBackend):
    backend.write("/n.txt", "one")
    backend.move("/n.txt", "/m.txt")
    backend.write("/n.txt", "two")
    backend.write("/m.txt", "three")
    assert [one[0] for one in operations(backend)] == ["create", "move", "create", "replace"]
    assert backend.download_files(["/n.txt", "/m.txt"])[0].content == b"two"
    assert backend.download_files(["/m.txt"])[0].content == b"three"


def test_what_is_above_a_file_keeps_its_operation_in_place():
    done = [{"op": "create", "path": "d/n", "content": ""}, {"op": "move", "from": "d", "to": "e"}]
    assert len(draft.put(done, "d/n", b"x", exists=False)) == 3
    assert len(draft.put(done[:1], "d/n", b"x", exists=True)) == 1


def test_a_move_into_a_folder_keeps_its_name(backend: TreegateBackend):
    assert backend.move("/a.txt", "/Notes/").path == "/Notes/a.txt"
    assert backend.move("/Notes/a.txt", "/").path == "/a.txt"
    assert backend.move("/Scans", "/Old/2024/scans").path == "/Old/2024/scans"


@pytest.mark.parametrize(
    ("source", "target", "error"),
    [
        ("/nope", "/x", "nothing at 'nope'"),
        ("/a.txt", "/Notes", 'Suggestion: {"from":"/a.txt","op":"move","to":"/Notes/"}'),
        ("/a.txt", "/Notes/todo.md", "Hint:"),
        ("/Notes", "/Notes/in", "Hint:"),
        ("/", "/x", "not changed"),
        ("/a.txt", "/../Jones/a.txt", "lead out"),
        ("/a.txt", "/.treegate/x", ".treegate"),
    ],
)
def test_a_move_that_cannot_be_is_refused_with_what_to_do(
    backend: TreegateBackend, source: str, target: str, error: str
):
    found = backend.move(source, target)
    assert found.path is None
    assert error in found.error
    assert operations(backend) == []


def test_threads_lose_no_change_of_each_other(backend: TreegateBackend):
    backend.write("/count.txt", "".join(f"<{number}>" for number in range(8)))

    def work(number: int) -> None:
        assert backend.edit("/count.txt", f"<{number}>", f"[{number}]").error is None

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert backend.download_files(["/count.txt"])[0].content == b"[0][1][2][3][4][5][6][7]"


def test_a_change_that_went_stale_does_not_block_others(backend: TreegateBackend, office: Office):
    backend.move("/a.txt", "/b.txt")
    office.path("Smith/a.txt").unlink()
    assert backend.write("/n.txt", "x").error is None
    told = backend.preview()
    assert told["valid"] is False
    assert told["problems"][0]["operation"] == 1


# --- handing in


def test_nothing_changes_on_disk_before_the_plan_is_carried_out(backend: TreegateBackend, office: Office):
    before = office.tree()
    backend.write("/a.txt", "new")
    backend.move("/Scans", "/Old/")
    told = backend.submit("Tidy", "because")
    assert told["state"] == "pending"
    assert backend.preview()["valid"] is True
    decided(office, told["plan"])
    assert office.tree() == before
    shown = tree(backend)
    office.gate.apply(told["plan"])
    assert office.tree() != before
    assert backend.status()["changes"] == 0
    assert tree(backend) == shown


def test_the_title_and_the_reason_are_those_that_were_given(office: Office):
    backend = TreegateBackend(office.gate, "Smith", title="Mine", reason="so")
    backend.write("/x", "")
    backend.submit(reason="therefore")
    assert (backend.pending()["title"], backend.pending()["reason"]) == ("Mine", "therefore")


def test_further_changes_are_the_next_revision_of_the_same_plan(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    first = backend.submit()
    backend.write("/x", "two")
    second = backend.submit()
    assert second["plan"] == first["plan"]
    assert second["revision"] == 2
    decided(office, second["plan"])
    office.gate.apply(second["plan"])
    assert office.path("Smith/x").read_text() == "two"


def test_the_same_once_more_is_not_handed_in_again(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    backend.submit()
    assert backend.submit()["revision"] == 1
    assert backend.submit()["waiting_for"]
    assert plans(office) == 1


def test_changes_made_while_a_plan_waits_outlive_it(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    told = backend.submit()
    backend.write("/x", "two")
    backend.write("/y", "")
    decided(office, told["plan"])
    office.gate.apply(told["plan"])
    assert office.path("Smith/x").read_text() == "one"
    assert backend.download_files(["/x"])[0].content == b"two"
    assert operations(backend) == [("replace", "x"), ("create", "y")]
    assert settled(office, backend)["plan"] != told["plan"]
    assert office.path("Smith/x").read_text() == "two"


def test_no_changes_are_not_handed_in(backend: TreegateBackend, office: Office):
    assert backend.submit()["error"]["code"] == "no-changes"
    assert plans(office) == 0


def test_a_plan_that_is_taken_back_takes_its_changes_along(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    told = backend.submit()
    assert backend.discard() == {"discarded": 1, "plan": told["plan"], "state": "withdrawn"}
    assert operations(backend) == []
    assert office.gate.plan(told["plan"]).state is State.WITHDRAWN
    backend.write("/y", "one")
    assert backend.submit()["plan"] != told["plan"]


def test_a_plan_that_somebody_withdrew_is_let_go(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    office.gate.withdraw(backend.submit()["plan"])
    assert backend.status()["state"] == "withdrawn"
    assert operations(backend) == []


def test_a_wait_ends_with_a_decision(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    told = backend.submit()
    threading.Timer(0.3, lambda: decided(office, told["plan"])).start()
    assert backend.status(20)["state"] == "approved"


# --- no


def test_what_was_rejected_is_not_handed_in_again(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    told = backend.submit()
    decided(office, told["plan"], "reject", "not in this case")
    for _ in range(3):
        again = backend.submit()
        assert again["error"]["code"] == "already-rejected"
        assert "not in this case" in again["error"]["message"]
        assert "discard_changes" in again["next"]
    assert plans(office) == 1


def test_what_was_rejected_is_refused_by_a_new_draft_as_well(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    decided(office, backend.submit()["plan"], "reject", "not in this case")
    assert backend.discard() == {"discarded": 1}
    backend.write("/x", "one")
    again = backend.submit("Another title", "and reason")
    assert again["error"]["code"] == "already-rejected"
    assert "not in this case" in again["error"]["message"]
    assert "discard_changes" in again["next"]
    assert plans(office) == 1
    assert office.gate.list_plans() == TreegateBackend(office.open(), "Smith").desk.door.list_plans()


def test_a_revision_that_comes_back_to_what_was_rejected_is_refused(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    told = backend.submit()
    decided(office, told["plan"], "reject", "no")
    backend.write("/x", "two")
    assert backend.submit()["state"] == "pending"
    backend.write("/x", "one")
    again = backend.submit()
    assert again["error"]["code"] == "already-rejected"
    assert office.gate.plan(told["plan"]).revision == 2


def test_other_changes_after_a_rejection_are_handed_in(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    told = backend.submit()
    decided(office, told["plan"], "reject", "no")
    backend.write("/x", "two")
    assert len(operations(backend)) == 1
    again = backend.submit()
    assert (again["plan"], again["revision"], again["state"]) == (told["plan"], 2, "pending")


def test_a_request_for_changes_is_told_until_there_are_some(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    told = backend.submit()
    decided(office, told["plan"], "request_changes", "in capitals, please")
    again = backend.submit()
    assert again["error"]["code"] == "changes-requested"
    assert "in capitals, please" in again["error"]["message"]
    backend.write("/x", "ONE")
    assert backend.submit()["state"] == "pending"


def test_a_plan_that_went_stale_is_handed_in_again_on_the_tree_as_it_is(backend: TreegateBackend, office: Office):
    backend.edit("/a.txt", "beta", "B")
    told = backend.submit()
    decided(office, told["plan"])
    office.put("Smith/a.txt", "somebody else was here\n")
    with pytest.raises(TreegateError):
        office.gate.apply(told["plan"])
    assert backend.status()["state"] == "stale"
    again = backend.submit()
    assert (again["plan"], again["revision"], again["state"]) == (told["plan"], 2, "pending")


def test_what_was_left_out_by_a_reviewer_is_not_shown_as_done(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    backend.move("/Scans/1.pdf", "/Old/1.pdf")
    plan = backend.submit()["plan"]
    (effect,) = [one.id for one in office.gate.effects(plan) if one.effect == "created"]
    office.gate.reduce(plan, [effect])
    decided(office, plan)
    office.gate.apply(plan)
    assert backend.status()["changes"] == 0
    assert backend.ls("/x").error == "Path '/x': path_not_found"
    assert backend.ls("/Old").error is None


def test_changes_that_were_taken_back_one_by_one_take_their_plan_along(backend: TreegateBackend, office: Office):
    backend.write("/x", "one")
    plan = backend.submit()["plan"]
    backend.delete("/x")
    assert operations(backend) == []
    assert backend.submit()["state"] == "withdrawn"
    assert office.gate.plan(plan).state is State.WITHDRAWN


def test_every_state_says_what_to_do_next():
    assert set(pending.NEXT) == set(State)


# --- what is seen beforehand is what is there afterwards

NAMES = ("a", "b", "c.txt", "d", ".h", "raw:%E9")


def some_path(chance: random.Random) -> str:
    return "/" + "/".join(chance.choice(NAMES) for _ in range(chance.randint(1, 3)))


def some_change(backend: TreegateBackend, chance: random.Random) -> bool:
    """One change drawn by chance; whether it was taken."""
    what, path = chance.choice(("write", "write", "edit", "delete", "move", "upload")), some_path(chance)
    if what == "write":
        return backend.write(path, f"{chance.random()}\n").error is None
    if what == "edit":
        return backend.edit(path, "0.", "zero.", True).error is None
    if what == "delete":
        return backend.delete(path).error is None
    if what == "move":
        return backend.move(path, some_path(chance) + chance.choice(("", "/"))).error is None
    return backend.upload_files([(path, chance.randbytes(8))])[0].error is None


@pytest.mark.parametrize("seed", range(25))
def test_what_the_backend_shows_is_what_the_plan_leaves(office: Office, seed: int):
    """Any changes: what was taken is shown at once, keeps nothing on disk, and is there once it is carried out."""
    chance = random.Random(seed)
    backend = TreegateBackend(office.gate, "Smith")
    for _ in range(3):
        before = office.tree("Smith")
        taken = sum(some_change(backend, chance) for _ in range(chance.randint(5, 40)))
        shown = tree(backend)
        assert taken > 0
        assert office.tree("Smith") == before
        settled(office, backend)
        assert backend.status()["changes"] == 0
        assert tree(TreegateBackend(office.gate, "Smith")) == shown


@pytest.mark.parametrize("seed", range(100, 112))
def test_what_is_changed_while_a_plan_waits_is_shown_before_and_after_it(office: Office, seed: int):
    chance = random.Random(seed)
    backend = TreegateBackend(office.gate, "Smith")
    while "error" in (told := backend.submit()):
        some_change(backend, chance)
    while sum(some_change(backend, chance) for _ in range(20)) == 0:
        pass
    shown = tree(backend)
    decided(office, told["plan"])
    office.gate.apply(told["plan"])
    assert tree(backend) == shown
    settled(office, backend)
    assert tree(TreegateBackend(office.gate, "Smith")) == shown


def test_a_refused_change_changes_nothing(backend: TreegateBackend):
    chance = random.Random(7)
    for _ in range(75):
        before = operations_of(backend)
        shown = tree(backend)
        if not some_change(backend, chance):
            assert operations_of(backend) == before
            assert tree(backend) == shown


def test_discarding_while_a_plan_is_carried_out_is_refused(
    backend: TreegateBackend, office: Office, monkeypatch: pytest.MonkeyPatch
):
    backend.write("/x", "one")
    told = backend.submit()
    stands = office.gate.plan(told["plan"])
    monkeypatch.setattr(
        type(backend.desk.door), "plan", lambda gate, id: type(stands)(**{**as_dict(stands), "state": State.APPLYING})
    )
    assert backend.discard()["error"]["code"] == "under-way"
    assert backend.submit()["error"]["code"] == "under-way"
    assert len(operations(backend)) == 1


def as_dict(plan: Any) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in plan.__struct_fields__}


def test_a_service_that_cannot_be_reached_is_an_answer(backend: TreegateBackend, monkeypatch: pytest.MonkeyPatch):
    def gone(*_: object, **__: object) -> None:
        raise TreegateError("it is gone", code="unreachable", hint="start it")

    backend.write("/x", "")
    monkeypatch.setattr(type(backend.desk.door), "check", gone)
    monkeypatch.setattr(type(backend.desk.door), "submit", gone)
    assert backend.write("/x", "").error == "Error: it is gone. Hint: start it"
    assert backend.submit()["error"]["code"] == "unreachable"
