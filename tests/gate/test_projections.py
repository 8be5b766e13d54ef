"""What people read in `Reports/` and `Database/`: always what the store says, and never more than a copy of it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from gatework import Office, create, delete, die, move, plan, snapshot

from treegate.errors import RolledBack, Stale, TreegateError
from treegate.gate import projections, revising, runs
from treegate.model.actors import Role
from treegate.model.plan import Plan
from treegate.render import markdown

DOCUMENT = plan(move("a", "b"), title="Tidy") + "\n"


def current(office: Office) -> None:
    """Every projection is there and says what the store says."""
    assert office.open().fsck(dry=True) == []


def files(office: Office) -> dict[str, Path]:
    """The projections by their path in the workspace."""
    found = [*office.root.glob("Reports/**/*"), *office.root.glob("Database/**/*")]
    return {str(path.relative_to(office.root)): path for path in found if not path.is_dir() or path.is_symlink()}


def history(office: Office, id: str) -> dict:
    return json.loads((office.root / f"Database/reorg_history/{id}.json").read_bytes())


def audited(office: Office, run: str) -> dict:
    (path,) = (office.root / "Database/reorg_audit").glob(f"*-{run}.json")
    return json.loads(path.read_bytes())


def last_run(office: Office) -> str:
    return office.gate.list_runs()[0].id


@pytest.fixture
def tidied(office):
    """A plan handed in, approved and applied."""
    office.put("Smith/a", "a")
    done = office.gate.submit(DOCUMENT)
    office.gate.approve(done.id, done.digest)
    office.plan, office.run = done.id, office.gate.apply(done.id).run
    return office


# -- when


def test_each_act_leaves_every_projection_as_the_store_would_have_it(office):
    """After submit, approve, apply, undo, reject and a plan with errors, fsck finds nothing to write."""
    office.put("Smith/a", "a")
    current(office)
    done = office.gate.submit(DOCUMENT)
    current(office)
    office.gate.approve(done.id, done.digest)
    current(office)
    office.gate.apply(done.id)
    current(office)
    office.undone()
    current(office)
    rejected = office.submit(move("a", "c"))
    office.gate.reject(rejected.id, rejected.digest, "no")
    current(office)
    assert office.submit(move("nowhere", "c")).state == "invalid"
    current(office)
    assert office.submit(move("a", "b"), case="Nobody").state == "invalid"
    current(office)
    assert not (office.root / "Reports/Nobody").exists()


def test_an_approval_that_ran_out_is_told(office):
    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    office.clock.now += 1000 * 86_400_000
    office.gate.show(id)
    assert history(office, id)["state"] == "expired"
    current(office)


@pytest.mark.parametrize("second", [("Smith", "b"), ("Jones", "c")])
def test_the_latest_plan_of_a_case_is_the_newest_that_touches_it(office, second):
    """Its files are those of that plan; each plan's own are beside them."""
    office.put("Smith/a", "a")
    office.put("Jones/a", "a")
    first, (case, to) = office.submit(move("a", "b")), second
    later = office.submit(move("a", to), case=case)
    reports = office.root / "Reports"
    newest = later.id if case == "Smith" else first.id
    for latest, each in (("reorg_plan.json", "json"), ("reorg_validation.md", "md")):
        assert (reports / "Smith" / latest).read_text() == (
            reports / "Smith/reorg_plans" / f"{newest}.{each}"
        ).read_text()
    assert (reports / case / "reorg_plans" / f"{later.id}.json").exists()


def test_a_case_that_a_plan_no_longer_touches_is_rid_of_it(office):
    """Its latest plan is the one before again, or none."""
    for path in ("Smith/a", "Jones/a"):
        office.put(path, "a")
    both = plan(move("Smith/a", "Smith/b"), move("Jones/a", "Jones/b"), case=None)
    before = office.submit(move("a", "c"), case="Smith")
    id = office.gate.submit(both).id
    revising.revise(office.gate.core, id, Plan.decode(plan(move("Smith/a", "Smith/d"), case=None).encode()))
    assert sorted(path for path in files(office) if "Jones" in path) == []
    newest = (office.root / "Reports/Smith/reorg_plan.json").read_text()
    assert newest == plan(move("Smith/a", "Smith/d"), case=None)
    revising.revise(office.gate.core, id, Plan.decode(plan(move("Jones/a", "Jones/b"), case=None).encode()))
    current(office)
    left = sorted(path for path in files(office) if path.startswith("Reports/Smith"))
    names = ("reorg_plan.json", f"reorg_plans/{before.id}.json", f"reorg_plans/{before.id}.md", "reorg_validation.md")
    assert left == [f"Reports/Smith/{name}" for name in names]
    assert (office.root / left[0]).read_text() == office.document(move("a", "c"))
    revising.revise(office.gate.core, before.id, Plan.decode(office.document(move("a", "e"), case="Jones").encode()))
    assert sorted(path for path in files(office) if path.startswith("Reports/Smith")) == []
    current(office)
    stray = office.root / "Reports/Smith/reorg_plans" / f"{id}.json"
    stray.write_text("{}")
    assert [found.severity for found in office.gate.fsck()] == ["rebuilt"]
    assert not stray.exists()


# -- what


def test_the_plan_is_byte_for_byte_as_it_was_handed_in(tidied):
    report = tidied.root / "Reports/Smith/reorg_plan.json"
    assert report.read_text() == DOCUMENT
    assert Plan.decode(report.read_bytes()).digest == Plan.decode(DOCUMENT.encode()).digest


def test_the_validation_is_the_preview_and_where_the_plan_stands(tidied):
    """The same Markdown as `show` gives, with what to do next."""
    text = (tidied.root / "Reports/Smith/reorg_validation.md").read_text()
    preview = tidied.gate.show(tidied.plan).preview
    assert markdown.preview(preview, operations=tidied.gate.document(tidied.plan).operations)[:200] == text[:200]
    assert f"`{tidied.plan}`, revision 1, is **applied**." in text
    assert f"treegate show {tidied.run}" in text


def test_the_history_tells_revisions_decisions_runs_and_events(tidied):
    told = history(tidied, tidied.plan)
    assert (told["plan"], told["state"], told["cases"]) == (tidied.plan, "applied", ["Smith"])
    assert [one["verdict"] for one in told["decisions"]] == ["approve"]
    assert told["decisions"][0]["used_by"] == tidied.run == told["runs"][0]["run"]
    assert [one["event"] for one in told["events"]] == ["submitted", "previewed", "approve", "run-began", "run-ended"]
    assert told["created"] == "20270115T080000.000Z"


def test_the_audit_of_a_run_has_each_mutation_with_its_result(office):
    """A line each, as its receipt has them; named by when the run began."""
    for path in ("Smith/a", "Smith/d/x"):
        office.put(path, path)
    run = office.carried_out(move("a", "b"), delete("d", recursive=True), create("e/f")).run
    assert (office.root / f"Database/reorg_audit/20270115T080000.000Z-{run}.json").exists()
    told = audited(office, run)
    found = {(one["effect"]["effect"], one["effect"]["path"], one["result"]) for one in told["mutations"]}
    assert found == {
        ("moved", "Smith/b", "done"),
        ("deleted", "Smith/d", "done"),
        ("made", "Smith/e", "done"),
        ("created", "Smith/e/f", "done"),
    }
    assert told["outcome"] == "applied"
    before = dict(told)
    office.undone(run)
    assert audited(office, run) == before
    assert history(office, told["plan"])["state"] == "undone"


def test_what_a_run_left_alone_is_told_as_left(office):
    office.put("Smith/a", "a")
    office.put("Smith/c", "c")
    id = office.approved(move("a", "b"), move("c", "d"), on_stale="skip")
    office.put("Smith/c", "changed")
    told = audited(office, office.gate.apply(id).run)
    assert {(one["effect"]["path"], one["result"]) for one in told["mutations"]} == {
        ("Smith/b", "done"), ("Smith/d", "left"),
    }  # fmt: skip


def test_a_run_that_ended_otherwise_is_told_too(office, monkeypatch):
    """Stale, rolled back, in need of recovery and recovered: always one file a run, which says so."""
    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    office.put("Smith/a", "changed")
    with pytest.raises(Stale):
        office.gate.apply(id)
    stale = audited(office, last_run(office))
    assert (stale["outcome"], [one["result"] for one in stale["mutations"]]) == ("stale", ["not begun"])
    id = office.approved(move("a", "b"))
    office.gate.watch(lambda done, total: None, lambda: True)
    with pytest.raises(RolledBack):
        office.gate.apply(id)
    back = audited(office, last_run(office))
    assert (back["outcome"], [one["result"] for one in back["mutations"]]) == ("rolled-back", ["taken back"])
    current(office)
    office.reopen()
    id = office.approved(move("a", "c"))
    office.crash(lambda gate: gate.apply(id), (runs.ending, "conclude", die))
    with office.gate.core.store.write() as transaction:
        transaction.end_run(last_run(office), runs.State.NEEDS_RECOVERY, by=office.gate.core.by())
    halted = audited(office, last_run(office))
    assert (halted["outcome"], [one["result"] for one in halted["mutations"]]) == ("needs-recovery", ["in doubt"])
    office.gate.recover()
    assert audited(office, last_run(office))["outcome"] == "applied"
    assert len(list((office.root / "Database/reorg_audit").iterdir())) == 3
    current(office)


# -- where


@pytest.mark.parametrize("name", [b"caf\xe9", "日本 & <Söhne>".encode(), b"-rf *", b"new\nline", b"a" * 255, b"~"])
def test_the_folder_of_a_case_is_its_own_name_whatever_that_is(fast, name):
    case = os.fsdecode(name)
    (fast / "office/projects" / case).mkdir(parents=True)
    office = Office(fast / "office", fast / "state")
    office.put(f"{case}/a", "a")
    raw = case.isascii() or name.decode("utf-8", "replace").encode() == name
    if raw:
        office.carried_out(move("a", "b"), case=case)
    else:
        shutil.rmtree(office.path("Jones"))
        shutil.rmtree(office.path("Smith"))
        with office.gate.core.store.write() as transaction:
            transaction.add_plan(
                "pl_raw", cases=[case], title="", document=b"{}", plan_digest="0" * 64, by=office.gate.core.by()
            )
    assert os.path.exists(os.fsencode(office.root) + b"/Reports/" + name + b"/reorg_plan.json")
    assert os.listdir(office.root / "Reports") == [case]
    if raw:
        current(office)
    office.close()


def test_the_folders_are_where_the_configuration_says(office):
    """Also deeper, and with the cases directly in the workspace they are no cases."""
    shutil.rmtree(office.root / "projects")
    (office.root / "Case").mkdir()
    office.configure(workspace_projects=".", workspace_reports="own/said", workspace_database="own/kept")
    (office.root / "Case/a").write_text("a")
    office.carried_out(move("a", "b"), case="Case")
    assert (office.root / "own/said/Case/reorg_plan.json").exists()
    assert len(list((office.root / "own/kept/reorg_history").iterdir())) == 1
    assert sorted(office.open().core.workspace.cases()) == ["Case"]
    current(office)


def test_no_plan_sees_them_where_a_folder_is_its_own_case(tmp_path):
    """Neither a pattern nor a total nor a path reaches them; what a person has under such a name stays theirs."""
    root = tmp_path / "Taxes"
    (root / "Database").mkdir(parents=True)
    (root / "Database/mine.json").write_text("{}")
    office = Office(root, tmp_path / "state", single=True)
    office.submit(create("q"), case="Taxes")
    assert (root / "Reports/Taxes/reorg_plan.json").exists()
    assert (root / "treegate/Database/reorg_history").exists()
    found = office.submit({"op": "copy", "match": "**/*.json", "to": "all/"}, case="Taxes")
    effects = [str(effect.path) for effect in office.gate.effects(found.id)]
    assert [path for path in effects if path.endswith(".json")] == ["Taxes/all/mine.json"]
    for path in ("Reports", "Reports/Taxes/reorg_plan.json", "treegate"):
        assert office.submit(delete(path, recursive=True), case="Taxes").problems[0].code == "source-missing"
        assert office.submit(create(f"{path}/x"), case="Taxes").state == "invalid"
    office.close()


# -- damage


def ruined(path: Path, how: str, outside: Path) -> None:
    if how != "edited":
        path.unlink()
    if how == "edited":
        path.write_bytes(path.read_bytes() + b" ")
    elif how == "garbled":
        path.write_bytes(b"\xff\x00" * 9)
    elif how == "a link":
        path.symlink_to(outside)
    elif how == "a pipe":
        os.mkfifo(path)
    elif how == "a folder":
        path.mkdir()


@pytest.mark.parametrize("how", ["gone", "edited", "garbled", "a link", "a pipe"])
def test_a_projection_that_was_tampered_with_is_made_anew_and_named(tidied, tmp_path, how):
    """Whichever it is; and nothing else in the workspace, the state directory or beside them is changed."""
    outside = tmp_path / "outside"
    outside.write_text("precious")
    names = sorted(files(tidied))
    assert len(names) == 6
    right = snapshot(tidied.root)
    for name in names:
        path = tidied.root / name
        content = path.read_bytes()
        ruined(path, how, outside)
        state, damaged = dumped(tidied), snapshot(tidied.root)
        found = tidied.gate.fsck(dry=True)
        assert {one.severity for one in found} == {"error"}
        assert any(name in one.title for one in found)
        assert (dumped(tidied), snapshot(tidied.root)) == (state, damaged)
        found = tidied.gate.fsck()
        assert {one.severity for one in found} == {"rebuilt"}
        assert any(name in one.title for one in found)
        assert path.read_bytes() == content
        assert not path.is_symlink()
        assert dumped(tidied) == state
        assert tidied.gate.fsck() == []
    timeless = {name: (*seen[:4], *seen[5:]) for name, seen in snapshot(tidied.root).items()}
    assert timeless == {name: (*seen[:4], *seen[5:]) for name, seen in right.items()}
    assert outside.read_text() == "precious"


def dumped(office: Office) -> tuple[object, ...]:
    """All rows of the database, and all files of the state directory that are no locks."""
    with sqlite3.connect(office.state / "treegate.db") as database:
        rows = tuple(database.iterdump())
    database.close()
    kept = {
        str(path.relative_to(office.state)): path.read_bytes()
        for path in office.state.rglob("*")
        if path.is_file() and "locks" not in path.parts and not path.name.startswith("treegate.db")
    }
    return rows, tuple(sorted(kept.items()))


def test_a_folder_in_a_projections_place_is_named_and_left(tidied):
    """What somebody keeps there is theirs; the others are written, and acts go on."""
    path = tidied.root / "Reports/Smith/reorg_plan.json"
    path.unlink()
    path.mkdir()
    (path / "mine").write_text("mine")
    (found,) = tidied.gate.fsck()
    assert (found.severity, "a folder is in its place" in found.title) == ("error", True)
    tidied.undone(tidied.run)
    assert (path / "mine").read_text() == "mine"


@pytest.mark.parametrize("planted", ["Reports", "Reports/Smith", "Reports/Smith/reorg_plans", "Database"])
def test_a_link_in_place_of_a_folder_leads_nothing_out(office, tmp_path, planted, caplog):
    """Nothing is written through it, the act itself is done, and both the act and fsck say what is in the way."""
    (tmp_path / "outside").mkdir()
    link = office.root / planted
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(tmp_path / "outside")
    office.put("Smith/a", "a")
    assert office.carried_out(move("a", "b")).state == "applied"
    assert list((tmp_path / "outside").iterdir()) == []
    assert "is a link, and nothing is written through it" in caplog.text
    found = office.gate.fsck()
    assert {one.severity for one in found} == {"error"}
    assert "is a link" in found[0].title
    link.unlink()
    assert {one.severity for one in office.gate.fsck()} == {"rebuilt"}
    current(office)


@pytest.mark.parametrize("options", ["size=4k", "ro"])
def test_a_full_or_read_only_folder_never_fails_an_act(office, mount, options, caplog):
    """A real filesystem without room; what could not be written is written when there is some."""
    where = mount(office.root / "Reports", "-t", "tmpfs", "-o", options, "none")
    office.put("Smith/a", "a")
    done = office.carried_out(move("a", "b"), *(create(f"new/{n}", title * 9) for n, title in enumerate("abc")))
    assert done.state == "applied"
    assert "was not written" in caplog.text
    assert any(found.severity == "error" for found in office.gate.fsck())
    os.system(f"mount -o remount,rw,size=1M {where}")
    assert {one.severity for one in office.gate.fsck()} == {"rebuilt"}
    current(office)
    assert not list(where.rglob("*.new"))


def test_nothing_is_written_where_the_workspace_is_not_mounted(office, caplog):
    """An unmounted bucket is an empty folder; what is written into it would be in the way of the next mount."""
    office.put("Smith/a", "a")
    done = office.gate.submit(DOCUMENT)
    mounted = office.root.rename(office.root.with_name("elsewhere"))
    office.root.mkdir()
    assert office.gate.approve(done.id, done.digest).state == "approved"
    assert list(office.root.iterdir()) == []
    assert "was not written" in caplog.text
    office.root.rmdir()
    mounted.rename(office.root)
    assert {one.severity for one in office.gate.fsck()} == {"rebuilt"}


def test_whatever_goes_wrong_in_telling_never_fails_an_act(office, monkeypatch, caplog):
    def broken(*_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(projections.telling, "history", broken)
    office.put("Smith/a", "a")
    assert office.carried_out(move("a", "b")).state == "applied"
    assert "a fault of ours" in caplog.text


@pytest.mark.parametrize("act", ["submit", "approve", "apply"])
def test_a_crash_between_an_act_and_its_telling_is_made_good(office, act):
    """The act is done; fsck writes what was not."""
    office.put("Smith/a", "a")
    done = office.gate.submit(DOCUMENT)
    if act == "apply":
        office.gate.approve(done.id, done.digest)

    def acts(gate):
        gate.core.store.told = die
        if act == "submit":
            return gate.submit(DOCUMENT)
        return gate.approve(done.id, done.digest) if act == "approve" else gate.apply(done.id)

    office.crash(acts)
    office.reopen()
    if act == "apply":
        office.gate.recover()
    assert {found.severity for found in office.gate.fsck()} <= {"rebuilt"}
    current(office)


def test_fsck_writes_nothing_from_a_database_that_is_in_doubt(tidied):
    """One that is older than the tree, as its log says too: newer reports would be replaced by older ones."""
    (tidied.root / ".treegate/generation").write_text("9\n")
    path = tidied.root / "Reports/Smith/reorg_plan.json"
    path.write_text("newer")
    found = tidied.gate.fsck()
    assert [one.severity for one in found] == ["error", "error", "note"]
    assert path.read_text() == "newer"


def test_nothing_is_read_back_from_them(tidied):
    """Edited reports change nothing that is said or done."""
    shown = tidied.gate.show(tidied.plan)
    for path in files(tidied).values():
        path.write_text("{}")
    assert tidied.open().show(tidied.plan) == shown
    tidied.undone(tidied.run)
    assert tidied.path("Smith/a").read_text() == "a"


# -- the rest of fsck


def changed(office: Office, *statements: str) -> list[str]:
    """What fsck says once somebody wrote into the database by hand (the audit log's chain is left as it was)."""
    with sqlite3.connect(office.state / "treegate.db") as database:
        for statement in statements:
            database.execute(statement)
    database.close()
    return [one.title for one in office.open().fsck() if one.severity == "error"]


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("update plans set state = 'approved'", "previews"),
        ("update plans set state = 'undone'", "is undone, and its run"),
        ("update runs set state = 'rolled-back'", "is applied, and its run"),
        ("update plans set digest = 'f'", "a preview that is not its own"),
        ("update decisions set digest = 'f'", "a digest that its preview does not have"),
        ("update decisions set consumed_by = 'run_x'", "used by run run_x, which there is not"),
        ("update decisions set role = 'author'", "is an author's"),
        ("delete from previews", "belongs to a row of previews that is missing"),
        ("update revisions set document = x'00'", "does not unpack"),
    ],
)
def test_fsck_finds_rows_that_do_not_fit_together(tidied, statement, says):
    """Each said in words, none of them a traceback."""
    if says == "previews":
        for path in (tidied.state / "previews").iterdir():
            path.unlink()
        says = "cannot be carried out"
    assert any(says in title for title in changed(tidied, statement))


def test_fsck_finds_two_tokens_of_one_name(office):
    """A name stands for one person in every decision."""
    office.token("ada", Role.REVIEWER)
    office.token("bob", Role.REVIEWER)
    (found,) = changed(office, "update tokens set name = 'ada'")
    assert "2 valid tokens bear the name 'ada'" in found


@pytest.mark.parametrize("damage", ["table gone", "table damaged", "content gone", "content changed"])
def test_fsck_finds_what_an_approved_plan_would_miss(office, damage):
    """Its step table and the contents that it brings."""
    office.approved(create("x", "content"))
    what, _, how = damage.partition(" ")
    folder = office.state / ("previews" if what == "table" else "blobs")
    (path,) = (path for path in folder.rglob("*") if path.is_file())
    path.unlink() if how == "gone" else path.write_bytes(b"other")
    (found,) = office.gate.fsck()
    assert (found.severity, "plan pl_" in found.title) == ("error", True)
    assert ("gone" in found.title) is (how == "gone")


def test_fsck_finds_a_journal_that_was_not_cleared_and_one_that_is_missing(office):
    """Both name the next command; recovery puts both right."""
    office.put("Smith/a", "a")
    id = office.approved(move("a", "b"))
    office.crash(lambda gate: gate.apply(id), (runs.ending, "clean", die))
    assert [(one.severity, one.advice) for one in office.reopen().fsck() if one.severity != "rebuilt"] == [
        ("warning", "treegate recover")
    ]
    office.gate.recover()
    id = office.approved(move("b", "c"))
    office.crash(lambda gate: gate.apply(id), (runs, "_begun", die))
    found = [one for one in office.reopen().fsck() if one.severity == "error"]
    assert ["nothing of it happened" in one.title for one in found] == [True]
    office.gate.recover()
    assert {one.severity for one in office.gate.fsck()} <= {"rebuilt"}
    current(office)


def test_fsck_finds_what_nobody_put_into_a_vault(tidied):
    """It is named and left: it may be somebody's."""
    stranger = tidied.root / ".treegate/vault" / tidied.run / "entries/77"
    stranger.parent.mkdir(parents=True, exist_ok=True)
    stranger.write_text("whose?")
    (found,) = tidied.gate.fsck()
    assert (found.severity, "knows nothing of it" in found.title) == ("warning", True)
    assert stranger.read_text() == "whose?"


@pytest.mark.parametrize("damage", ["cut short", "a byte within", "something before", "zeros"])
def test_a_damaged_record_leaves_the_report_that_was_made_of_it(tidied, damage):
    """What can no longer be told is not overwritten with nothing, nor with what is no JSON."""
    lines = tidied.state / "receipts" / f"{tidied.run}.lines"
    moved = b'{"effect":{"effect":"moved","entry":0,"files":1,"id":"e1","kind":"file","path":"Smith/a"}}\n'
    lines.write_bytes({
        "cut short": b"{", "a byte within": moved.replace(b'"files":', b'"files"?'), "something before": b"x" + moved,
        "zeros": moved.replace(b"Smith/a", bytes(7)),
    }[damage])  # fmt: skip
    before = audited(tidied, tidied.run)
    assert any("reports on run" in one.title for one in tidied.gate.fsck())
    assert audited(tidied, tidied.run) == before
    assert not list(tidied.root.rglob("*.new"))
    with pytest.raises(TreegateError):
        tidied.gate.undo(tidied.run)


def test_a_file_of_the_offices_own_among_the_reports_is_no_case(office):
    """Nothing is looked for in it, and fsck has nothing to say."""
    (office.root / "Reports").mkdir(exist_ok=True)
    (office.root / "Reports/Caseload.xlsx").write_text("ours")
    office.put("Smith/a", "a")
    office.carried_out(move("a", "b"))
    assert office.gate.fsck() == []
