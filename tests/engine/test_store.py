"""The store: what was decided, kept so that nobody can decide twice and nothing is told by halves."""

import os
import random
import sqlite3
import subprocess
import sys

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from stories import ANN, BOB, EVE, apply, approve, begin, end, new_store, preview, propose

from treegate.engine import audit, migrations, schema
from treegate.engine.store import By, Kept, Store, VaultState, Verdict, new_id, standing
from treegate.errors import (
    Busy,
    Denied,
    Expired,
    NotFound,
    NotVerified,
    PlanError,
    Rejected,
    Stale,
    TreegateError,
    UsageError,
)
from treegate.model.lifecycle import Event, State


@pytest.fixture
def store(tmp_path):
    made = new_store(tmp_path)
    yield made
    made.close()


def two(decisions) -> bool:
    """What a policy says that asks for two people."""
    return len(standing(decisions)) >= 2


def decide(store, verdict, by=BOB, id="pl_a", digest=None, **more):
    with store.write() as write:
        return write.decide(id, digest=digest or store.plan(id).digest, verdict=verdict, by=by, **more)


def kept(run, entry, **more):
    values = {"case": "Smith", "path": f"old/{entry}.pdf", "kind": "file", "files": 1, "size": 10}
    return Kept(run=run, entry=entry, **{**values, "kept_at": 5_000, "until": 9_000, **more})


def events(store, **where):
    return [row.event for row in audit.rows(store, **where)]


# -- the database itself


def test_the_migrations_make_exactly_the_tables_that_the_code_uses(tmp_path, store):
    made = sa.create_engine(f"sqlite:///{tmp_path}/made.db")
    schema.metadata.create_all(made)
    assert shape(sa.create_engine(f"sqlite:///{tmp_path}/treegate.db")) == shape(made)


def shape(engine):
    inspector = sa.inspect(engine)
    return {
        table: (
            [(c["name"], str(c["type"]), c["nullable"], c["primary_key"]) for c in inspector.get_columns(table)],
            sorted((i["name"], *i["column_names"]) for i in inspector.get_indexes(table)),
            sorted(tuple(u["column_names"]) for u in inspector.get_unique_constraints(table)),
            sorted((*f["constrained_columns"], f["referred_table"]) for f in inspector.get_foreign_keys(table)),
        )
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


def test_the_code_knows_the_newest_migration_without_loading_alembic(tmp_path, store):
    assert ScriptDirectory.from_config(migrations.config()).get_heads() == [schema.HEAD]
    opening = f"""
import sys, pathlib
from treegate.engine.store import Store
Store.open(pathlib.Path({str(tmp_path / "treegate.db")!r})).meta()
assert "sqlalchemy" in sys.modules and "alembic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", opening], check=True)


def test_writes_are_durable_and_wait_for_each_other(store):
    """Write-ahead log, a full sync at every commit, and the write lock taken at the beginning of a transaction."""
    said = []
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == schema.PATIENCE * 1000
        connection.connection.dbapi_connection.set_trace_callback(said.append)
        with store.write() as write:
            write.reading().__enter__().connection.dbapi_connection.set_trace_callback(said.append)
    with store.write():
        pass
    assert "BEGIN IMMEDIATE" in said


def test_a_writer_that_waits_too_long_is_told_so(store, tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "PATIENCE", 0)
    other = Store.open(tmp_path / "treegate.db")
    with store.write(), pytest.raises(Busy) as caught, other.write():
        pass
    assert caught.value.code == "database-locked"


def test_the_file_is_readable_by_its_owner_only(store, tmp_path):
    assert {path.name: path.stat().st_mode & 0o077 for path in tmp_path.glob("treegate.db*")}.keys() >= {
        "treegate.db"
    }
    assert all(not path.stat().st_mode & 0o077 for path in tmp_path.glob("treegate.db*"))


def test_opening_again_changes_nothing(store, tmp_path):
    propose(store)
    again = Store.open(tmp_path / "treegate.db", create=True)
    assert again.plan("pl_a") == store.plan("pl_a")
    assert again.meta() == store.meta()


def test_a_missing_database_is_not_made_by_accident(tmp_path):
    with pytest.raises(NotFound) as caught:
        Store.open(tmp_path / "treegate.db")
    assert caught.value.code == "database-missing"
    assert not list(tmp_path.iterdir())


def test_a_database_of_a_newer_treegate_is_refused_and_left_alone(store, tmp_path):
    store.close()
    with sqlite3.connect(tmp_path / "treegate.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = 'v9999'")
    raw.close()
    with pytest.raises(UsageError) as caught:
        Store.open(tmp_path / "treegate.db")
    assert caught.value.code == "database-newer"
    with sqlite3.connect(tmp_path / "treegate.db") as raw:
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("v9999",)


@pytest.mark.parametrize("damage", ["garbage", "no header", "cut", "empty"])
def test_a_damaged_database_is_said_to_be_damaged_and_not_touched(store, tmp_path, damage):
    propose(store)
    store.close()
    path = tmp_path / "treegate.db"
    whole = path.read_bytes()
    broken = {
        "garbage": b"not a database at all\n" * 500,
        "no header": bytes(100) + whole[100:],
        "cut": whole[: len(whole) // 2],
        "empty": b"",
    }[damage]
    path.write_bytes(broken)
    with pytest.raises(NotVerified) as caught:
        read_everything(Store.open(path))
    assert caught.value.code == "database-damaged"
    assert "backup" in caught.value.hint
    assert path.read_bytes() == broken


def test_garbage_in_any_page_gives_an_answer_or_the_word_damaged(store, tmp_path):
    """Never a raw error of the database's: 60 places, 64 bytes of noise at each."""
    for n in range(30):
        propose(store, f"pl_{n}")
    store.close()
    path, noise = tmp_path / "treegate.db", random.Random(7)
    whole, said = path.read_bytes(), set()
    for _ in range(60):
        at = noise.randrange(len(whole) - 64)
        path.write_bytes(whole[:at] + noise.randbytes(64) + whole[at + 64 :])
        try:
            opened = Store.open(path)
            read_everything(opened)
            opened.close()
        except TreegateError as error:
            said.add(error.code)
    assert {"database-damaged"} <= said <= {"database-damaged", "database-newer", "audit-broken"}


def read_everything(store):
    store.meta()
    for plan in store.list_plans(limit=1000)[0]:
        seen = store.preview(plan.id)
        store.document(plan.id, plan.revision)
        store.decisions(plan.id)
        if seen:
            store.model(seen)
            list(store.effects(seen))
    store.runs()
    audit.verify(audit.rows(store))


def test_fsck_can_ask_the_database_about_itself(store, tmp_path):
    assert store.integrity() == []
    store.close()
    path = tmp_path / "treegate.db"
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA writable_schema = on")
        raw.execute("UPDATE sqlite_master SET rootpage = 2 WHERE name = 'runs'")
    raw.close()
    assert Store.open(path).integrity()


def test_a_forked_child_opens_its_own_connection(store):
    """Both go on writing through the same Store; nothing is lost and nothing is locked."""
    with store.reading() as connection:
        connection.info["opened by"] = "parent"
    child = os.fork()
    if not child:
        try:
            with store.reading() as connection:
                assert "opened by" not in connection.info
            for n in range(10):
                propose(store, f"pl_child{n}")
        except BaseException:
            os._exit(1)
        os._exit(0)
    for n in range(10):
        propose(store, f"pl_parent{n}")
    assert os.waitpid(child, 0)[1] == 0
    assert len(store.list_plans()[0]) == 20
    assert store.integrity() == []


def test_it_belongs_to_one_workspace_for_good(store):
    assert (store.meta().workspace, store.meta().state, store.meta().generation) == ("ws_1", "st_1", 0)
    with pytest.raises(UsageError), store.write() as write:
        write.adopt("ws_2", "st_1", ANN)
    assert store.meta().workspace == "ws_1"


def test_a_transaction_that_fails_leaves_nothing(store):
    def half(write):
        write.add_plan("pl_a", cases=["A"], title="", document=b"{}", plan_digest="d", by=ANN)
        raise InterruptedError

    with pytest.raises(InterruptedError), store.write() as write:
        half(write)
    assert store.list_plans() == ([], None)
    assert events(store) == ["adopted"]


# -- plans and ids


def test_an_id_is_made_of_the_bytes_it_is_given():
    assert new_id("pl", bytes(10)) == "pl_0000000000000000"
    assert new_id("run", b"\xff" * 10) == "run_zzzzzzzzzzzzzzzz"
    assert len({new_id("pl", bytes([n, m])) for n in range(256) for m in range(256)}) == 65536


def test_a_plan_is_found_by_any_prefix_that_only_it_has(store):
    for id in ("pl_7f3k", "pl_7f3kx", "pl_7f9a"):
        propose(store, id)
    assert store.find_plan("pl_7f9").id == "pl_7f9a"
    assert store.find_plan("7f9").id == "pl_7f9a"
    assert store.find_plan("PL_7F9").id == "pl_7f9a"
    assert store.find_plan("pl_7f3k").id == "pl_7f3k", "an exact id wins over those that it begins"
    with pytest.raises(UsageError, match=r"pl_7f9a.*pl_7f3kx.*pl_7f3k") as caught:
        store.find_plan("pl_7f")
    assert caught.value.code == "ambiguous-id"
    for none in ("pl_8", "run_7f9a", "pl_", "", "%", "pl_7f_a", "pl_\udcff"):
        with pytest.raises(NotFound):
            store.find_plan(none)


def test_plans_are_listed_newest_first_by_state_case_and_page(store):
    for n in range(5):
        propose(store, f"pl_{n}", case="Smith" if n % 2 else "Jones")
    approve(store, "pl_3")
    first, cursor = store.list_plans(limit=2)
    rest, end_of_list = store.list_plans(limit=10, cursor=cursor)
    assert [plan.id for plan in first + rest] == [f"pl_{n}" for n in (4, 3, 2, 1, 0)]
    assert end_of_list is None
    assert [plan.id for plan in store.list_plans(case="Smith")[0]] == ["pl_3", "pl_1"]
    assert [plan.id for plan in store.list_plans([State.APPROVED])[0]] == ["pl_3"]
    assert store.list_plans([State.PENDING, State.APPROVED], limit=5)[1] is None


def test_order_is_kept_by_what_came_first_even_when_the_clock_goes_backwards(store):
    for n in range(4):
        with store.write() as write:
            by = By("ann", "cli", 1_000_000 - n * 1000)
            write.add_plan(f"pl_{n}", cases=["A"], title="", document=b"{}", plan_digest="d", by=by)
            write.add_preview(f"pl_{n}", **preview(f"dig-{n}"))
        approve(store, f"pl_{n}")
        begin(store, f"pl_{n}", f"run_{n}", at=500_000 - n * 1000)
        end(store, f"run_{n}")
    assert [plan.id for plan in store.list_plans()[0]] == ["pl_3", "pl_2", "pl_1", "pl_0"]
    assert store.last_run().id == "run_3"
    assert [run.generation for run in store.runs()] == [4, 3, 2, 1]
    audit.verify(audit.rows(store))


def test_names_that_are_not_utf8_come_back_byte_for_byte(store):
    case, path = os.fsdecode(b"caf\xe9"), os.fsdecode(b"a\xff\nb/\xfe")
    apply(store, "pl_a", "run_a", case=case, vault=[kept("run_a", 1, case=case, path=path)])
    assert store.plan("pl_a").cases == (case,)
    assert store.list_plans(case=case)[0][0].id == "pl_a"
    assert store.last_run(case).cases == (case,)
    assert store.vault(case=case)[0].path == path
    decide_words = By(os.fsdecode(b"b\xf6b"), "cli", 1)
    propose(store, "pl_b")
    decide(store, Verdict.REJECT, by=decide_words, id="pl_b", comment=os.fsdecode(b"no\xff"))
    assert store.decisions("pl_b")[0].comment == "no\ufffd"
    audit.verify(audit.rows(store))


def test_documents_and_effects_come_back_as_they_went_in(store):
    with store.write() as write:
        write.add_plan("pl_a", cases=["B", "A"], title="t", document=b'{"v": 1}', plan_digest="d", by=ANN)
        seen = write.add_preview("pl_a", **preview("dig", effects=250))
    assert store.document("pl_a", 1) == b'{"v": 1}'
    assert store.plan("pl_a").cases == ("A", "B")
    assert store.preview("pl_a") == seen
    assert store.model(seen) == b'{"summary":"one file moves"}'
    assert store.chunk(seen, 2) == b"[" + b",".join(b"%d" % n for n in range(200, 250)) + b"]"
    assert store.chunk(seen, 3) == b"[]"
    assert list(store.effects(seen)) == [b"%d" % n for n in range(250)]
    with pytest.raises(NotFound):
        store.document("pl_a", 2)


@pytest.mark.parametrize(
    ("start", "count"), [(0, 1), (0, 100), (99, 2), (100, 100), (95, 130), (240, 50), (250, 5), (7, 0)]
)
def test_any_page_of_the_effects_can_be_read_alone(store, start, count):
    with store.write() as write:
        write.add_plan("pl_a", cases=["A"], title="t", document=b"{}", plan_digest="d", by=ANN)
        seen = write.add_preview("pl_a", **preview("dig", effects=250))
    expected = [b"%d" % n for n in range(250)][start : start + count]
    assert store.effects_page(seen, start, count) == expected


def test_a_lost_or_damaged_chunk_is_noticed(store, tmp_path):
    with store.write() as write:
        write.add_plan("pl_a", cases=["A"], title="t", document=b"{}", plan_digest="d", by=ANN)
        seen = write.add_preview("pl_a", **preview("dig", effects=250))
    with sqlite3.connect(tmp_path / "treegate.db") as raw:
        raw.execute("DELETE FROM chunks WHERE n = 1")
        raw.execute("UPDATE chunks SET data = x'00ff' WHERE n = 2")
    raw.close()
    for n in (1, 2):
        with pytest.raises(NotVerified) as caught:
            store.chunk(seen, n)
        assert caught.value.code == "database-damaged"


# -- revisions and previews


def revise(store, id="pl_a", **more):
    with store.write() as write:
        return write.add_revision(
            id, cases=["Jones"], title="new", document=b"{2}", plan_digest="doc-2", by=ANN, **more
        )


def test_a_revision_starts_undecided_even_if_it_previews_the_same(store):
    """Fault 43: approved, stale, revised unchanged is decided on anew."""
    propose(store, digest="dig")
    approve(store)
    with store.write() as write:
        write.set_state("pl_a", Event.GO_STALE, ANN)
    revise(store)
    assert (store.plan("pl_a").state, store.plan("pl_a").digest) == (State.DRAFT, None)
    with store.write() as write:
        write.add_preview("pl_a", **preview("dig"))
    assert store.plan("pl_a").state is State.PENDING
    with pytest.raises(Denied):
        begin(store)
    approve(store)
    assert begin(store)[1]
    assert [revision.revision for revision in store.revisions("pl_a")] == [1, 2]
    assert store.list_plans(case="Smith")[0] == []


def test_a_revision_of_an_older_one_than_the_newest_is_refused(store):
    propose(store)
    revise(store, expected=1)
    with pytest.raises(Stale) as caught:
        revise(store, expected=1)
    assert caught.value.code == "revision-not-current"
    assert store.plan("pl_a").revision == 2


def test_a_revision_that_was_not_previewed_can_be_neither_decided_on_nor_applied(store):
    propose(store, digest="dig")
    approve(store)
    revise(store)
    for verdict in Verdict:
        with pytest.raises(Denied) as caught:
            decide(store, verdict, digest="dig")
        assert caught.value.code == "not-previewed"
    with pytest.raises(Denied) as caught, store.write() as write:
        write.begin_run("pl_a", digest="dig", run_id="run_a", by=BOB)
    assert caught.value.code == "not-approved"


def test_previewing_the_same_again_keeps_the_approvals_it_has(store):
    seen = propose(store, digest="dig")
    approve(store)
    with store.write() as write:
        assert write.add_preview("pl_a", **preview("dig")) == seen
    assert store.plan("pl_a").state is State.APPROVED


def test_another_preview_of_an_approved_plan_is_undecided(store):
    """Fault 37: the tree changed by one byte, so the digest did, so nothing is approved."""
    propose(store, digest="dig")
    approve(store)
    with store.write() as write:
        write.add_preview("pl_a", **preview("dig2"))
    assert store.plan("pl_a").state is State.PENDING
    with pytest.raises(Stale), store.write() as write:
        write.begin_run("pl_a", digest="dig", run_id="run_a", by=BOB)


def test_a_plan_with_errors_is_neither_approved_nor_applied(store):
    propose(store)
    with store.write() as write:
        write.add_preview("pl_a", **preview("bad", valid=False))
    assert store.plan("pl_a").state is State.INVALID
    with pytest.raises(PlanError):
        approve(store, enough=two)
    with pytest.raises(PlanError):
        begin(store)
    assert store.decisions("pl_a") == []


def test_a_digest_once_rejected_cannot_come_back_in_any_plan(store):
    propose(store, "pl_a", digest="dig")
    decide(store, Verdict.REJECT, comment="these are originals")
    with pytest.raises(Rejected, match=r"bob rejected exactly this.*these are originals") as caught:
        propose(store, "pl_b", digest="dig")
    assert (caught.value.code, caught.value.exit_status) == ("already-rejected", 12)
    assert len(store.list_plans()[0]) == 1, "the plan that brought it is not stored either"
    assert store.rejected_digest("dig").comment == "these are originals"
    assert store.rejected_digest("doc-pl_a").reviewer == "bob"
    assert store.rejected_digest("other") is None
    revise(store)
    with store.write() as write:
        write.add_preview("pl_a", **preview("dig2"))
    assert store.plan("pl_a").state is State.PENDING


# -- decisions


def test_as_many_reviewers_as_asked_must_approve(store):
    propose(store)
    approve(store, by=BOB, enough=two, expires_at=9_000)
    assert (store.plan("pl_a").state, store.plan("pl_a").expires_at) == (State.PENDING, None)
    approve(store, by=EVE, enough=two, expires_at=9_500)
    assert (store.plan("pl_a").state, store.plan("pl_a").expires_at) == (State.APPROVED, 9_500)


def test_one_reviewer_s_double_click_counts_once(store):
    """Fault 39: the same word again changes nothing, and gives the same decision."""
    propose(store)
    first = decide(store, Verdict.APPROVE, enough=two)
    assert decide(store, Verdict.APPROVE, enough=two) == first
    assert store.plan("pl_a").state is State.PENDING
    assert len(store.decisions("pl_a")) == 1


def test_each_reviewer_decides_once_a_digest(store):
    propose(store)
    approve(store)
    for verdict in (Verdict.REJECT, Verdict.REQUEST_CHANGES):
        with pytest.raises(Denied) as caught:
            decide(store, verdict)
        assert (caught.value.code, caught.value.next) == ("already-decided", "treegate revoke pl_a")
    decide(store, Verdict.REVOKE)
    with pytest.raises(Denied) as caught:
        decide(store, Verdict.APPROVE)
    assert (caught.value.code, caught.value.next) == ("already-decided", "treegate show pl_a")


@pytest.mark.parametrize(
    ("event", "code"),
    [(Event.EXPIRE, "approval-expired"), (Event.GO_STALE, "stale"), (Event.WITHDRAW, "withdrawn")],
)
def test_an_approval_that_counts_no_more_is_not_given_again(store, event, code):
    """Who says the same again is told what to do, and not that all is well."""
    propose(store)
    approve(store)
    with store.write() as write:
        write.set_state("pl_a", event, BOB)
    with pytest.raises(TreegateError) as caught:
        approve(store)
    assert caught.value.code == code


def test_any_rejection_wins_over_approvals(store):
    propose(store)
    approve(store, by=BOB)
    decide(store, Verdict.REJECT, by=EVE)
    with pytest.raises(Rejected) as caught:
        begin(store)
    assert caught.value.exit_status == 12
    with pytest.raises(Rejected):
        approve(store, by=By("dan", "cli", 1))


def test_a_revoke_before_the_run_wins(store):
    propose(store)
    approve(store, by=BOB)
    approve(store, by=EVE)
    decide(store, Verdict.REVOKE, by=EVE)
    with pytest.raises(Denied) as caught:
        begin(store)
    assert caught.value.code == "not-approved"
    assert [d.reviewer for d in standing(store.decisions("pl_a"))] == ["bob"]


def test_after_a_revoke_another_reviewer_may_approve(store):
    propose(store)
    approve(store, by=BOB)
    decide(store, Verdict.REVOKE, by=BOB)
    approve(store, by=EVE)
    run, _ = begin(store)
    consumed = {d.reviewer: d.consumed_by for d in store.decisions("pl_a") if d.verdict is Verdict.APPROVE}
    assert consumed == {"bob": None, "eve": run.id}


def test_an_approval_that_was_taken_back_does_not_count(store):
    propose(store)
    approve(store, by=BOB, enough=two)
    decide(store, Verdict.REVOKE, by=BOB)
    approve(store, by=EVE, enough=two)
    assert store.plan("pl_a").state is State.PENDING
    approve(store, by=By("dan", "cli", 1, "reviewer"), enough=two)
    assert store.plan("pl_a").state is State.APPROVED


def test_only_one_s_own_approval_can_be_taken_back(store):
    propose(store)
    approve(store, by=BOB)
    with pytest.raises(Denied) as caught:
        decide(store, Verdict.REVOKE, by=EVE)
    assert caught.value.code == "nothing-to-revoke"


def test_deciding_on_another_digest_than_the_current_one_is_refused(store):
    propose(store)
    with pytest.raises(Stale) as caught:
        decide(store, Verdict.APPROVE, digest="dig-old")
    assert (caught.value.code, caught.value.exit_status) == ("digest-not-current", 5)
    assert store.decisions("pl_a") == []


def test_a_decision_keeps_who_said_it_where_and_in_what_role(store):
    propose(store)
    said = decide(store, Verdict.REQUEST_CHANGES, comment="keep the dates")
    assert (said.reviewer, said.role, said.channel, said.at) == ("bob", "reviewer", "http", 2_000)
    assert (said.comment, said.plan_digest, said.digest) == ("keep the dates", "doc-pl_a", "dig-pl_a")
    assert store.decisions("pl_a", "dig-pl_a") == [said]
    assert store.decisions("pl_a", "other") == []
    assert store.plan("pl_a").state is State.CHANGES_REQUESTED


def test_an_approval_that_ran_out_is_expired_and_not_denied(store):
    """Fault 42: at the very millisecond, and again once the store has noted it."""
    propose(store)
    approve(store, expires_at=4_000)
    with pytest.raises(Expired) as caught:
        begin(store, at=4_000)
    assert (caught.value.code, caught.value.exit_status) == ("approval-expired", 13)
    with store.write() as write:
        assert write.expire_due(By("treegate", "cli", 3_999)) == []
        assert write.expire_due(By("treegate", "cli", 4_000)) == ["pl_a"]
    assert store.plan("pl_a").state is State.EXPIRED
    with pytest.raises(Expired):
        begin(store, at=1)


def test_what_policy_lets_through_without_a_reviewer_is_approved_by_policy(store):
    propose(store)
    with store.write() as write:
        write.set_state("pl_a", Event.APPROVE, By("policy", "cli", 1), expires_at=9_000)
    assert store.plan("pl_a").expires_at == 9_000
    assert begin(store)[1]


def test_every_change_of_state_leaves_an_audit_row(store):
    propose(store)
    decide(store, Verdict.REQUEST_CHANGES)
    revise(store)
    with store.write() as write:
        write.add_preview("pl_a", **preview("dig2"))
    approve(store)
    begin(store)
    end(store)
    assert events(store, plan="pl_a") == [
        *("submitted", "previewed", "request-changes", "revised", "previewed", "approve", "run-began", "run-ended")
    ]
    with store.write() as write:
        write.add_plan("pl_b", cases=["A"], title="", document=b"{}", plan_digest="d", by=ANN)
        write.set_state("pl_b", Event.WITHDRAW, ANN, data={"why": "mistake"})
    last = list(audit.rows(store, plan="pl_b"))[-1]
    assert (last.event, last.data) == ("withdraw", '{"from":"draft","to":"withdrawn","why":"mistake"}')


# -- runs


def test_a_run_uses_up_its_approvals_and_counts_as_one_generation(store):
    seen = propose(store)
    approve(store)
    run, new = begin(store)
    assert new
    assert (run.state, run.generation, run.table_digest) == (State.APPLYING, 1, seen.table_digest)
    assert (run.cases, run.actor, run.started_at) == (("Smith",), "olaf", 4_000)
    assert store.meta().generation == 1
    assert [d.consumed_by for d in store.decisions("pl_a")] == ["run_a"]
    assert store.plan("pl_a").state is State.APPLYING
    assert store.unfinished() == store.unfinished(["Smith"]) == [run]
    assert store.unfinished(["Jones"]) == []


def test_applying_the_same_approved_digest_twice_gives_the_same_run(store):
    propose(store)
    approve(store)
    run, _ = begin(store)
    assert begin(store, run="run_b") == (run, False)
    done = end(store, receipt_digest="rec")
    assert begin(store, run="run_c") == (done, False)
    assert (done.state, done.ended_at, done.receipt_digest) == (State.APPLIED, 5_000, "rec")
    assert len(store.runs()) == 1
    assert store.meta().generation == 1


def test_a_failed_run_is_given_again_too_and_a_new_approval_makes_a_new_one(store):
    propose(store, digest="dig")
    approve(store)
    begin(store)
    failed = end(store, outcome=State.ROLLED_BACK)
    assert begin(store, run="run_b") == (failed, False)
    with store.write() as write:
        write.add_preview("pl_a", **preview("dig"))
    with pytest.raises(Denied):
        begin(store, run="run_b")
    approve(store)
    assert begin(store, run="run_b")[0].id == "run_b"


def test_what_is_not_approved_does_not_begin_and_leaves_no_trace(store):
    propose(store)
    before = events(store)
    with pytest.raises(Denied) as caught:
        begin(store)
    assert caught.value.code == "not-approved"
    assert (store.runs(), store.meta().generation, events(store)) == ([], 0, before)


def test_a_run_without_a_journal_is_forgotten_and_its_approval_given_back(store):
    propose(store)
    approve(store, expires_at=9_000)
    begin(store)
    with store.write() as write:
        plan = write.give_back("run_a", BOB)
    assert (plan.state, plan.expires_at) == (State.APPROVED, 9_000)
    assert [d.consumed_by for d in store.decisions("pl_a")] == [None]
    with pytest.raises(NotFound):
        store.run("run_a")
    assert events(store, run="run_a") == ["run-began", "run-given-back"]
    run, new = begin(store, run="run_b")
    assert (new, run.generation) == (True, 2)


def test_an_ended_run_is_not_given_back(store):
    apply(store, "pl_a", "run_a")
    with pytest.raises(Denied), store.write() as write:
        write.give_back("run_a", BOB)
    assert store.run("run_a").state is State.APPLIED


def test_a_run_stopped_midway_needs_recovery_and_then_ends_either_way(store):
    for id, outcome in (("a", State.APPLIED), ("b", State.ROLLED_BACK)):
        propose(store, f"pl_{id}")
        approve(store, f"pl_{id}")
        begin(store, f"pl_{id}", f"run_{id}")
        end(store, f"run_{id}", State.NEEDS_RECOVERY, vault=[kept(f"run_{id}", 1)])
        assert store.unfinished()[-1].id == f"run_{id}"
        end(store, f"run_{id}", outcome, vault=[kept(f"run_{id}", 1), kept(f"run_{id}", 2)])
        assert store.plan(f"pl_{id}").state is outcome
        assert store.unfinished() == []
        assert [row.entry for row in store.vault(run=f"run_{id}")] == [1, 2]


def test_ending_a_run_again_changes_nothing_and_otherwise_is_refused(store):
    propose(store)
    approve(store)
    begin(store)
    for _ in range(2):
        assert end(store, outcome=State.NEEDS_RECOVERY).state is State.NEEDS_RECOVERY
    done = end(store)
    before = events(store)
    assert before.count("run-ended") == 2
    assert end(store) == done
    assert events(store) == before
    with pytest.raises(Denied):
        end(store, outcome=State.ROLLED_BACK)


def test_a_run_that_found_the_tree_changed_leaves_the_plan_stale(store):
    propose(store)
    approve(store)
    begin(store)
    assert end(store, outcome=State.STALE).state is State.STALE
    assert store.plan("pl_a").state is State.STALE


def test_the_last_run_of_a_case_is_found_whatever_came_after_in_others(store):
    for n, case in enumerate(["Smith", "Smith", "Jones"]):
        apply(store, f"pl_{n}", f"run_{n}", case=case)
    assert store.last_run("Smith").id == "run_1"
    assert store.last_run().id == "run_2"
    assert store.last_run("Nobody") is None
    assert [run.id for run in store.runs(plan="pl_1")] == ["run_1"]
    assert store.find_run("run_2").plan == "pl_2"


# -- undo


def test_a_whole_undo_makes_the_run_undone_and_undoing_that_brings_it_back(store):
    apply(store, "pl_a", "run_a")
    apply(store, "pl_b", "run_b", undo_of="run_a", undone=["e1", "e2"], whole=True)
    assert store.run("run_a").state is store.plan("pl_a").state is State.UNDONE
    assert store.undone_effects("run_a") == ["e1", "e2"]
    apply(store, "pl_c", "run_c", undo_of="run_b", undone=["e1"], whole=True)
    assert store.run("run_b").state is store.plan("pl_b").state is State.UNDONE
    assert store.run("run_a").state is store.plan("pl_a").state is State.APPLIED
    assert store.undone_effects("run_a") == []


def test_a_partial_undo_leaves_the_plan_applied_and_lists_what_is_gone(store):
    apply(store, "pl_a", "run_a")
    apply(store, "pl_b", "run_b", undo_of="run_a", undone=["e2"])
    assert store.plan("pl_a").state is State.APPLIED
    assert store.undone_effects("run_a") == ["e2"]
    apply(store, "pl_c", "run_c", undo_of="run_a", undone=["e1", "e2"], whole=True)
    assert sorted(store.undone_effects("run_a")) == ["e1", "e2"]
    assert store.plan("pl_a").state is State.UNDONE


def test_an_undo_that_was_rolled_back_undid_nothing(store):
    apply(store, "pl_a", "run_a")
    apply(store, "pl_b", "run_b", undo_of="run_a", undone=["e1"], whole=True, outcome=State.ROLLED_BACK)
    assert store.plan("pl_a").state is State.APPLIED
    assert store.undone_effects("run_a") == []


# -- vault


def test_the_vault_lists_what_it_holds_newest_run_first(store):
    apply(store, "pl_a", "run_a", vault=[kept("run_a", 2), kept("run_a", 1)])
    apply(store, "pl_b", "run_b", vault=[kept("run_b", 1, case="Jones")])
    assert [(row.run, row.entry) for row in store.vault()] == [("run_b", 1), ("run_a", 1), ("run_a", 2)]
    assert [row.run for row in store.vault(case="Jones")] == ["run_b"]
    assert store.vault(run="run_a")[0] == kept("run_a", 1)


def test_what_left_the_vault_is_known_by_where_it_went(store):
    apply(store, "pl_a", "run_a", vault=[kept("run_a", n) for n in (1, 2, 3)])
    with store.write() as write:
        write.mark_vault("run_a", [1], VaultState.RESTORED, BOB, by_run="run_b")
        write.mark_vault("run_a", [2], VaultState.PRUNED, BOB)
    assert [row.entry for row in store.vault()] == [3]
    assert [(row.entry, row.state.value, row.by_run) for row in store.vault(state=None)] == [
        (1, "restored", "run_b"),
        (2, "pruned", None),
        (3, "kept", None),
    ]
    assert events(store, run="run_a")[-2:] == ["vault-restored", "vault-pruned"]
    with pytest.raises(NotFound), store.write() as write:
        write.mark_vault("run_a", [3, 4], VaultState.PRUNED, BOB)
    assert [row.entry for row in store.vault()] == [3]


def test_what_a_live_plan_would_take_out_of_a_vault_is_named_by_it(store):
    apply(store, "pl_a", "run_a", vault=[kept("run_a", 1), kept("run_a", 2)])
    assert store.named() == {}
    propose(store, "pl_b", undo_of="run_a", claims=[("run_a", 1), ("run_a", 1)])
    assert store.named() == {("run_a", 1): "pl_b"}
    decide(store, Verdict.REJECT, id="pl_b")
    assert store.named() == {}


def test_the_latest_time_on_record_is_of_the_newest_event_or_of_what_is_kept(store):
    apply(store, "pl_a", "run_a", vault=[kept("run_a", 1)])
    (event,) = store.rows(sa.select(schema.audit.c.at).order_by(schema.audit.c.seq.desc()).limit(1))
    assert store.latest() == event["at"]
    apply(store, "pl_b", "run_b", vault=[kept("run_b", 1, kept_at=event["at"] + 5)])
    assert store.latest() == event["at"] + 5


def test_a_revision_claims_from_the_vault_only_what_it_still_names(store):
    apply(store, "pl_a", "run_a", vault=[kept("run_a", 1), kept("run_a", 2)])
    propose(store, "pl_b", claims=[("run_a", 1)])
    revise(store, "pl_b", claims=[("run_a", 2)])
    assert store.named() == {("run_a", 2): "pl_b"}
